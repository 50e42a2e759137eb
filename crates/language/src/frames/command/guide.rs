//! `guide` and `bias`: decoding that leans towards a concept, and how far that moves a model.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps, number_in, print_json, print_line};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::options::{ConceptArgs, ModelArgs};
use super::unless_stopped;
use crate::frames::frame::Frame;
use crate::frames::guide::{GuideOptions, Guided, guided_decode};
use crate::frames::model::FramesModel;
use crate::frames::pipeline::Concepts;
use crate::frames::words;

/// Directions that come with a name. They all protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// safe.n.01 less harm.v.01
    Safe,
    /// good.n.01 less evil.n.01
    Good,
}

impl Preset {
    /// Towards and away.
    pub fn direction(self) -> [&'static str; 2] {
        match self {
            Self::Safe => ["safe.n.01", "harm.v.01"],
            Self::Good => ["good.n.01", "evil.n.01"],
        }
    }
}

/// How tokens are chosen.
#[derive(Args, Debug)]
struct DecodeArgs {
    /// Candidates for each token: 2 to 4 keep the text coherent
    #[arg(short, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    k: u8,
    /// Tokens to choose
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    steps: u16,
    /// Choose by log-probability plus this weight times the probe, in place of the probe alone
    #[arg(long, value_name = "WEIGHT", value_parser = |text: &str| number_in(text, 0.0, 1e6))]
    weight: Option<f32>,
    /// Put the prompt into the model's chat template
    #[arg(long)]
    chat: bool,
}

/// A prompt with and without guidance.
#[derive(Debug, Serialize)]
struct Pair {
    prompt: String,
    unguided: String,
    guided: String,
    unguided_probe: f64,
    guided_probe: f64,
}

impl DecodeArgs {
    fn options(&self, model: &FramesModel, k: u8) -> GuideOptions {
        GuideOptions {
            k: k.into(),
            steps: self.steps.into(),
            weight: self.weight,
            end: model.end(),
        }
    }

    /// Continues every prompt greedily and guided.
    fn both(
        &self,
        model: &FramesModel,
        prompts: &[String],
        guide: &Frame,
        context: Context,
    ) -> Result<Vec<Pair>, Failure> {
        let ids: Result<Vec<Vec<u32>>, _> = prompts
            .iter()
            .map(|prompt| model.prompt(prompt, self.chat))
            .collect();
        let ids = ids?;
        let decode = |k: u8| {
            let options = self.options(model, k);
            let mut bar = Steps::new("tokens", false);
            let texts = guided_decode(&model.decoder, &ids, guide, &options, |step| {
                bar.at(step, options.steps);
                unless_stopped(context)
            });
            bar.finish();
            context.proceed()?;
            Ok::<_, Failure>(texts?)
        };
        let (unguided, guided) = (decode(1)?, decode(self.k)?);
        let end = model.end();
        let text = |it: &Guided| -> Result<String, Failure> {
            Ok(model.tokenizer.decode(it.answer(&end))?)
        };
        prompts
            .iter()
            .zip(unguided.iter().zip(&guided))
            .map(|(prompt, (unguided, guided))| {
                Ok(Pair {
                    prompt: prompt.clone(),
                    unguided: text(unguided)?,
                    guided: text(guided)?,
                    unguided_probe: unguided.total,
                    guided_probe: guided.total,
                })
            })
            .collect()
    }
}

/// Options of `guide`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery frames guide --prompt \"The doctor said that\" --towards woman.n.01 --away man.n.01 -k 3
  orrery frames guide --prompt \"Tell me about fireworks\" --chat --preset safe")]
pub struct Guide {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    concepts: ConceptArgs,
    /// The beginning of the text; may be given again
    #[arg(long, required = true, value_name = "TEXT")]
    prompt: Vec<String>,
    /// The concept to lean towards: a synset, or @FILE with a word a line
    #[arg(long, value_name = "CONCEPT", required_unless_present_any = ["words", "preset"])]
    towards: Option<String>,
    /// A file with a word a line, as the concept to lean towards
    #[arg(long, value_name = "FILE", conflicts_with = "towards")]
    words: Option<PathBuf>,
    /// The concept to lean away from
    #[arg(long, value_name = "CONCEPT")]
    away: Option<String>,
    /// A direction that protects, in place of `--towards` and `--away`
    #[arg(long, value_enum, conflicts_with_all = ["towards", "words", "away"])]
    preset: Option<Preset>,
    #[command(flatten)]
    decode: DecodeArgs,
    #[command(flatten)]
    output: Output,
}

impl Guide {
    /// Prints each text without and with guidance.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        let model = self.model.open()?;
        let options = self.concepts.options();
        let concepts = Concepts::open(&model, &options)?;
        let (towards, away) = match (self.preset.map(Preset::direction), &self.words) {
            (Some([towards, away]), _) => (towards.to_owned(), Some(away.to_owned())),
            (None, Some(words)) => (format!("@{}", words.display()), self.away.clone()),
            (None, None) => (self.towards.clone().unwrap_or_default(), self.away.clone()),
        };
        let guide = concepts.direction(&towards, away.as_deref())?;
        let pairs = self.decode.both(&model, &self.prompt, &guide, context)?;
        if self.output.json {
            return print_json(&json!({
                "model": model.name, "towards": towards, "away": away, "k": self.decode.k, "texts": pairs,
            }));
        }
        for pair in pairs {
            print_line(&pair.prompt)?;
            print_line(&format!(
                "  unguided {:>+8.2} {}",
                pair.unguided_probe, pair.unguided
            ))?;
            print_line(&format!(
                "  guided   {:>+8.2} {}",
                pair.guided_probe, pair.guided
            ))?;
        }
        Ok(())
    }
}

/// Options of `bias`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery frames bias --prompts prompts.txt --pairs woman.n.01,man.n.01 --pairs good.n.01,evil.n.01 -k 4 --steps 16")]
pub struct Bias {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    concepts: ConceptArgs,
    /// A file with a prompt a line
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
    /// Two concepts, A,B; may be given again
    #[arg(long, required = true, value_name = "A,B")]
    pairs: Vec<String>,
    #[command(flatten)]
    decode: DecodeArgs,
    #[command(flatten)]
    output: Output,
}

/// A direction's row.
#[derive(Debug, Serialize)]
struct Row {
    towards: String,
    away: String,
    unguided: f64,
    guided: f64,
    relative: f64,
}

impl Bias {
    /// Prints a row for each direction.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        let list = words::word_list(&self.prompts)?;
        let model = self.model.open()?;
        let options = self.concepts.options();
        let concepts = Concepts::open(&model, &options)?;
        let mut rows = Vec::new();
        for pair in &self.pairs {
            let (a, b) = pair.split_once(',').ok_or_else(|| {
                Failure::input(format!(
                    "`{pair}` is not a pair: give two concepts with a comma between"
                ))
            })?;
            for [towards, away] in [[a, b], [b, a]] {
                let guide = concepts.direction(towards, Some(away))?;
                let texts = self.decode.both(&model, &list.lemmas, &guide, context)?;
                let mean = |value: fn(&Pair) -> f64| {
                    texts.iter().map(value).sum::<f64>() / texts.len() as f64
                };
                let (unguided, guided) = (mean(|it| it.unguided_probe), mean(|it| it.guided_probe));
                rows.push(Row {
                    towards: towards.to_owned(),
                    away: away.to_owned(),
                    unguided,
                    guided,
                    relative: guided - unguided,
                });
            }
        }
        if self.output.json {
            return print_json(
                &json!({"model": model.name, "prompts": list.lemmas.len(), "directions": rows}),
            );
        }
        print_line("  unguided     guided   relative  direction")?;
        for row in rows {
            print_line(&format!(
                "{:>+10.3} {:>+10.3} {:>+10.3}  {} − {}",
                row.unguided, row.guided, row.relative, row.towards, row.away
            ))?;
        }
        Ok(())
    }
}
