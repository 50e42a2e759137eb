//! `synth`: labelled lines.

use std::path::PathBuf;
use std::time::Duration;

use base::command::{Context, Failure, print_json, print_line};
use base::endpoint::{ChatModel, Dialect, Endpoint, EndpointConfig, Retry};
use base::job::jsonl;
use base::rng::Rng;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::guardian::sets::{SETS, Split, read_set};
use crate::guardian::store::balanced;
use crate::guardian::synth::{
    Half, PromptKind, mentions, prompts, retrieval, tool_calls, word_meanings,
};

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Tool calls, half of them with one planted fault
    Tools,
    /// Retrieval: all three risks, from glosses of WordNet
    Retrieval,
    /// Context relevance: "What does X mean?" and a gloss
    Meanings,
    /// Two custom risks over the same texts: mentions an animal, mentions a food
    Mentions,
    /// Harmless prompts that look harmful
    Benign,
    /// Plainly harmful prompts
    Typical,
    /// Harmful prompts in disguise
    Adversarial,
    /// A split of the public sets in --folder
    Sets,
}

/// Options of `synth`.
#[derive(Args, Debug)]
#[command(
    after_help = "Without --url the prompts are mild sentences of ours; with it a language model behind an OpenAI-compatible server writes them
(its key from OPENAI_API_KEY).

Examples:
  orrery guardian synth --kind tools --count 2400 --out calls.jsonl
  orrery guardian synth --kind adversarial --url http://127.0.0.1:8000/v1 --name my-model --count 100 --out prompts.jsonl
  orrery guardian synth --kind sets --folder data --set xstest --split train --most 300 --out sets.jsonl"
)]
pub struct Synth {
    /// What to make
    #[arg(long, value_enum)]
    kind: Kind,
    /// How many contents
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// Which half of tools and nouns: what is tested shares none with what is trained on
    #[arg(long, value_enum, default_value = "train")]
    half: Half,
    /// Seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Base address of a server whose model writes prompts
    #[arg(long, requires = "name")]
    url: Option<String>,
    /// The model's name there
    #[arg(long)]
    name: Option<String>,
    /// Folder with the public sets: xstest, hatecheck, hate-offensive-tweets, halueval-general
    #[arg(long, value_name = "FOLDER", required_if_eq("kind", "sets"))]
    folder: Option<PathBuf>,
    /// Which public sets; may be given several times [default: all]
    #[arg(long = "set", value_name = "NAME", value_parser = SETS)]
    sets: Vec<String>,
    /// Which split of the public sets; the test split is the proof's
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// At most so many lines of each set, risk and label
    #[arg(long, default_value_t = 100_000)]
    most: usize,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

impl Synth {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let rng = Rng::new(self.seed);
        let count = self.count as usize;
        let by_model = |kind| -> Result<_, Failure> {
            let model = self.model(context)?;
            let model = model.as_ref().map(|model| model as &dyn ChatModel);
            Ok(prompts(count, kind, &rng, model)?)
        };
        let records = match self.kind {
            Kind::Tools => tool_calls(count, self.half, &rng)?,
            Kind::Retrieval => retrieval(count, self.half, &rng)?,
            Kind::Meanings => word_meanings(count, self.half, &rng)?,
            Kind::Mentions => mentions(count, self.half, &rng)?,
            Kind::Benign => by_model(PromptKind::Benign)?,
            Kind::Typical => by_model(PromptKind::Typical)?,
            Kind::Adversarial => by_model(PromptKind::Adversarial)?,
            Kind::Sets => {
                let folder = self.folder.clone().unwrap_or_default();
                let mut all = Vec::new();
                for set in SETS.iter().filter(|set| self.wants(set)) {
                    all.extend(balanced(read_set(&folder, set, self.split)?, self.most));
                }
                all
            }
        };
        if records.is_empty() {
            return Err(Failure::failed(match self.kind {
                Kind::Sets => "that split of the sets is empty: check the files in --folder",
                _ => "the model wrote no line that begins with `Request:`: try another model",
            }));
        }
        jsonl::write(&self.out, &records)?;
        match self.json {
            true => {
                print_json(&json!({"lines": records.len(), "out": base::files::shown(&self.out)}))
            }
            false => print_line(&format!("{} lines: {}", records.len(), self.out.display())),
        }
    }

    fn wants(&self, set: &str) -> bool {
        self.sets.is_empty() || self.sets.iter().any(|it| it == set)
    }

    fn model(&self, context: Context) -> Result<Option<Endpoint>, Failure> {
        let (Some(url), Some(name)) = (&self.url, &self.name) else {
            return Ok(None);
        };
        let key = std::env::var("OPENAI_API_KEY")
            .ok()
            .map(|key| key.trim().to_owned());
        let config = EndpointConfig {
            url: url.clone(),
            model: name.clone(),
            key: key.filter(|key| !key.is_empty()),
            timeout: Duration::from_secs(600),
            retry: Retry::default(),
            dialect: Dialect::default(),
        };
        Endpoint::new(config, Some(context.stop))
            .map(Some)
            .map_err(Failure::input)
    }
}
