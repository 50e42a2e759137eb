//! `orrery codearena syncode`: the steps of SynCode-Instruct, alone or all together.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use engine::command::{Context, Failure, Steps, number_in, say};
use engine::rng::Rng;

use super::options::{ServerOptions, warn, workers};
use crate::codearena::syncode::config::RunConfig;
use crate::codearena::syncode::filter::Rules;
use crate::codearena::syncode::lang::{self, Wanted};
use crate::codearena::syncode::{Stats, Step, answer};

mod steps;

/// The steps.
#[derive(Subcommand, Debug)]
pub enum Syncode {
    /// Keep pages about code, by a classifier trained on examples
    Recall(Recall),
    /// Tell the language of each page's code, or train what tells it
    Lang(Lang),
    /// Make text of HTML: navigation and advertisements go, code stays
    Clean(Plain),
    /// Let a model write a question inspired by each page
    Ask(Ask),
    /// Sample several answers to each question
    Answer(Answer),
    /// Run the answers in the sandbox, or let a model score them; keep the best
    Verify(Verify),
    /// Drop doubles, benchmark leaks, what is too short or long, and surplus of a language
    Filter(Filter),
    /// All steps, from a configuration
    Run(Run),
}

/// Files of a step.
#[derive(Args, Debug)]
pub(super) struct Files {
    /// JSON lines of the step before; for the first steps also a folder of HTML, text or markdown
    #[arg(long = "in", value_name = "FILE")]
    pub input: PathBuf,
    /// Where the records go; statistics stand in FILE.stats.json, unfinished work in FILE.part
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Records at a time
    #[arg(long, default_value_t = 4, value_parser = workers())]
    pub workers: usize,
    /// Print the statistics as JSON
    #[arg(long)]
    pub json: bool,
}

/// A language model.
#[derive(Args, Debug)]
pub(super) struct Model {
    /// Base address of an OpenAI-compatible server, or file:REPLIES.jsonl with lines {"match", "replies"}
    #[arg(long, value_name = "URL")]
    pub endpoint: String,
    /// The model's name on the server
    #[arg(long, default_value = "")]
    pub model: String,
    #[command(flatten)]
    pub server: ServerOptions,
}

fn share(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 1.0)
}

/// Options of `recall`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode recall --in pages.jsonl --positives code.jsonl --negatives other.jsonl --out recall.jsonl"
)]
pub struct Recall {
    #[command(flatten)]
    files: Files,
    /// Pages about code: JSON lines with `text`, or a folder
    #[arg(long, value_name = "FILE")]
    positives: PathBuf,
    /// Other pages
    #[arg(long, value_name = "FILE")]
    negatives: PathBuf,
    /// Probability from which a page is about code
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    threshold: f32,
    /// Seed of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Options of `lang`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena syncode lang --in recall.jsonl --out lang.jsonl --keep python,c,java --share html=0.2
  orrery codearena syncode lang --train sources/ --out lang.safetensors
  orrery codearena syncode lang --in recall.jsonl --lang-model lang.safetensors --out lang.jsonl")]
pub struct Lang {
    /// JSON lines with `text`, or a folder
    #[arg(long = "in", value_name = "FILE", required_unless_present = "train")]
    input: Option<PathBuf>,
    /// Where the pages go, or the classifier
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Train a classifier on this folder of sources
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["input", "lang_model"])]
    train: Option<PathBuf>,
    /// A trained classifier [default: a table of telling words]
    #[arg(long, value_name = "FILE")]
    lang_model: Option<PathBuf>,
    /// Languages to keep, several with commas [default: all]
    #[arg(long, value_delimiter = ',')]
    keep: Vec<String>,
    /// Share of pages to keep of a language that there is too much of, such as html=0.2
    #[arg(long, value_name = "LANG=SHARE", value_parser = language_share)]
    share: Vec<(String, f64)>,
    /// Seed of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Pages at a time
    #[arg(long, default_value_t = 4, value_parser = workers())]
    workers: usize,
    /// Print the statistics as JSON
    #[arg(long)]
    json: bool,
}

fn language_share(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("give a language and a share, such as html=0.2")?;
    Ok((name.to_owned(), f64::from(share(value)?)))
}

/// Options of a step that needs files alone.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode clean --in lang.jsonl --out clean.jsonl"
)]
pub struct Plain {
    #[command(flatten)]
    files: Files,
}

/// Options of `ask`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode ask --in clean.jsonl --endpoint http://127.0.0.1:8000/v1 --model Qwen2.5-72B-Instruct --out questions.jsonl"
)]
pub struct Ask {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    model: Model,
    /// Which of the paper's two training stages the data is for
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=2))]
    stage: u64,
}

/// Options of `answer`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode answer --in questions.jsonl --endpoint http://127.0.0.1:8000/v1 --model Qwen2.5-Coder-32B-Instruct --out answers.jsonl"
)]
pub struct Answer {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    model: Model,
    /// Candidates a question
    #[arg(long, default_value_t = answer::CANDIDATES, value_parser = clap::value_parser!(u64).range(1..=64))]
    candidates: u64,
    /// Sampling temperature
    #[arg(long, default_value_t = 0.8)]
    temperature: f64,
}

/// Options of `verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode verify --in answers.jsonl --endpoint http://127.0.0.1:8000/v1 --model Qwen2.5-72B-Instruct --out verified.jsonl

The model writes tests for algorithmic questions that bring none in `tests`, and scores candidates that tests cannot tell apart."
)]
pub struct Verify {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    model: Model,
}

/// Options of `filter`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode filter --in verified.jsonl --benchmark humaneval.jsonl --out final.jsonl"
)]
pub struct Filter {
    #[command(flatten)]
    files: Files,
    /// Files whose runs of ten words must not come up: JSON lines (every text in them counts) or plain text
    #[arg(long, value_name = "FILE")]
    benchmark: Vec<PathBuf>,
    /// Fewest characters of question and answer
    #[arg(long, default_value_t = Rules::default().shortest)]
    shortest: usize,
    /// Most characters of question and answer
    #[arg(long, default_value_t = Rules::default().longest)]
    longest: usize,
    /// Most records of one language; 0 for any number
    #[arg(long, default_value_t = 0)]
    most_per_language: usize,
}

/// Options of `run`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery codearena syncode run --config syncode.yaml

syncode.yaml:
  pages: pages/
  out: data/
  asker: {url: http://127.0.0.1:8000/v1, model: Qwen2.5-72B-Instruct}
  answerer: {url: http://127.0.0.1:8001/v1, model: Qwen2.5-Coder-32B-Instruct}
  languages: [python, c, java]
  benchmarks: [humaneval.jsonl]")]
pub struct Run {
    /// All settings
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Seed of what is trained
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    server: ServerOptions,
    /// Print the statistics of all steps as JSON
    #[arg(long)]
    json: bool,
}

/// What every step is given besides its own settings.
pub(super) struct Stage<'a> {
    pub name: &'static str,
    pub input: &'a Path,
    pub out: &'a Path,
    pub workers: usize,
    pub context: Context,
    pub quiet: bool,
}

impl<'a> Stage<'a> {
    fn of(name: &'static str, files: &'a Files, context: Context) -> Self {
        Self {
            name,
            input: &files.input,
            out: &files.out,
            workers: files.workers,
            context,
            quiet: files.json,
        }
    }

    fn step(&self, settings: String) -> Step<'a> {
        Step {
            name: self.name,
            input: self.input,
            output: self.out,
            settings,
            workers: self.workers,
            stop: self.context.stop,
        }
    }

    fn bar(&self) -> Steps {
        Steps::new(self.name, self.quiet)
    }
}

/// Does it.
///
/// # Errors
/// One line with the cause and the mend.
pub(super) fn run(command: &Syncode, context: Context) -> Result<(), Failure> {
    match command {
        Syncode::Recall(verb) => {
            let stage = Stage::of("recall", &verb.files, context);
            let stats = steps::recall(
                &stage,
                &verb.positives,
                &verb.negatives,
                verb.threshold,
                verb.seed,
            )?;
            tell(&stats, &verb.files)
        }
        Syncode::Lang(verb) => verb.run(context),
        Syncode::Clean(verb) => tell(
            &steps::clean(&Stage::of("clean", &verb.files, context))?,
            &verb.files,
        ),
        Syncode::Ask(verb) => {
            let model = verb.model.open(context)?;
            tell(
                &steps::ask(&Stage::of("ask", &verb.files, context), &model, verb.stage)?,
                &verb.files,
            )
        }
        Syncode::Answer(verb) => {
            let (model, stage) = (
                verb.model.open(context)?,
                Stage::of("answer", &verb.files, context),
            );
            tell(
                &steps::answer(&stage, &model, verb.candidates, verb.temperature)?,
                &verb.files,
            )
        }
        Syncode::Verify(verb) => {
            let (model, stage) = (
                verb.model.open(context)?,
                Stage::of("verify", &verb.files, context),
            );
            tell(&steps::verify(&stage, &model, &model)?, &verb.files)
        }
        Syncode::Filter(verb) => {
            let rules = Rules {
                shortest: verb.shortest,
                longest: verb.longest,
                most_per_language: verb.most_per_language,
            };
            let stage = Stage::of("filter", &verb.files, context);
            tell(
                &steps::filter(&stage, &rules, &verb.benchmark)?,
                &verb.files,
            )
        }
        Syncode::Run(verb) => verb.run(context),
    }
}

impl Model {
    fn open(&self, context: Context) -> Result<Box<dyn engine::endpoint::ChatModel>, Failure> {
        self.server.model(&self.endpoint, &self.model, context)
    }
}

fn tell(stats: &Stats, files: &Files) -> Result<(), Failure> {
    match files.json {
        true => say(&serde_json::to_string(stats).map_err(Failure::failed)?),
        false => say(&line(stats, &files.out)),
    }
}

fn line(stats: &Stats, out: &Path) -> String {
    let reasons: Vec<String> = stats
        .dropped
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let dropped = match reasons.is_empty() {
        true => String::new(),
        false => format!("; dropped: {}", reasons.join(", ")),
    };
    format!(
        "{:<7} wrote {}: {} of {} kept{dropped}",
        stats.stage,
        out.display(),
        stats.kept,
        stats.read
    )
}

impl Lang {
    fn run(&self, context: Context) -> Result<(), Failure> {
        if let Some(folder) = &self.train {
            let shown = folder.display();
            let model = lang::train(folder, &Rng::new(self.seed))
                .map_err(|cause| Failure::input(format!("cannot train on `{shown}`: {cause}")))?;
            model.write(&self.out)?;
            return match self.json {
                true => {
                    say(&serde_json::json!({"out": self.out, "labels": model.labels()}).to_string())
                }
                false => say(&format!(
                    "wrote {}: {}",
                    self.out.display(),
                    model.labels().join(", ")
                )),
            };
        }
        let Some(input) = &self.input else {
            return Err(Failure::input("name the pages with `--in`"));
        };
        let stage = Stage {
            name: "lang",
            input,
            out: &self.out,
            workers: self.workers,
            context,
            quiet: self.json,
        };
        let wanted = Wanted {
            keep: self.keep.clone(),
            shares: self.share.iter().cloned().collect(),
        };
        let stats = steps::lang(&stage, self.lang_model.as_deref(), &wanted)?;
        match self.json {
            true => say(&serde_json::to_string(&stats).map_err(Failure::failed)?),
            false => say(&line(&stats, &self.out)),
        }
    }
}

impl Run {
    fn run(&self, context: Context) -> Result<(), Failure> {
        let config = RunConfig::read(&self.config).map_err(Failure::input)?;
        std::fs::create_dir_all(&config.out).map_err(|cause| {
            Failure::input(format!(
                "cannot make the folder `{}`: {cause}: choose another `out`",
                config.out.display()
            ))
        })?;
        let open = |model: &crate::codearena::syncode::config::ModelConfig| {
            self.server.model(&model.url, &model.model, context)
        };
        let (asker, answerer) = (open(&config.asker)?, open(&config.answerer)?);
        let tester = open(config.tester.as_ref().unwrap_or(&config.asker))?;
        let scorer = open(config.scorer.as_ref().unwrap_or(&config.asker))?;
        let mut input = config.pages.clone();
        let mut all = Vec::new();
        for name in [
            "recall", "lang", "clean", "ask", "answer", "verify", "filter",
        ] {
            let file = match name {
                "ask" => "questions.jsonl",
                "answer" => "answers.jsonl",
                "verify" => "verified.jsonl",
                "filter" => "final.jsonl",
                other => &format!("{other}.jsonl"),
            };
            let out = config.out.join(file);
            let stage = Stage {
                name,
                input: &input,
                out: &out,
                workers: config.workers as usize,
                context,
                quiet: self.json,
            };
            let stats = match name {
                "recall" => match &config.recall {
                    Some(recall) => steps::recall(
                        &stage,
                        &recall.positives,
                        &recall.negatives,
                        recall.threshold,
                        self.seed,
                    )?,
                    None => continue,
                },
                "lang" => {
                    let wanted = Wanted {
                        keep: config.languages.clone(),
                        shares: config.shares.clone(),
                    };
                    steps::lang(&stage, config.lang_model.as_deref(), &wanted)?
                }
                "clean" => steps::clean(&stage)?,
                "ask" => steps::ask(&stage, &asker, config.stage)?,
                "answer" => steps::answer(&stage, &answerer, config.candidates, 0.8)?,
                "verify" => steps::verify(&stage, &tester, &scorer)?,
                _ => steps::filter(&stage, &config.filter, &config.benchmarks)?,
            };
            if !self.json {
                say(&line(&stats, &out))?;
            }
            all.push(stats);
            input = out;
        }
        match self.json {
            true => say(&serde_json::to_string(&all).map_err(Failure::failed)?),
            false => Ok(()),
        }
    }
}

/// Tells what could not be read of an input.
fn warn_of(input: &crate::codearena::syncode::stage::Input) {
    warn(&input.troubles);
}
