//! Options of the steps.

use std::path::PathBuf;

use base::command::{Context, Failure, number_in};
use base::endpoint::{ChatModel, Embedder};
use clap::Args;

use crate::codearena::command::options::{ServerOptions, workers};
use crate::codearena::syncode::answer;
use crate::codearena::syncode::filter::Rules;

/// Files of a step.
#[derive(Args, Debug)]
pub(super) struct Files {
    /// JSON lines of the step before; recall, lang and clean also take a folder of HTML, text or markdown
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
    /// Base URL of an OpenAI-compatible server, or file:REPLIES.jsonl with lines {"match", "replies"}
    #[arg(long, value_name = "URL")]
    pub endpoint: String,
    /// The model's name on the server
    #[arg(long, default_value = "", hide_default_value = true)]
    pub model: String,
    #[command(flatten)]
    pub server: ServerOptions,
}

impl Model {
    pub(super) fn open(&self, context: Context) -> Result<Box<dyn ChatModel>, Failure> {
        self.server.model(&self.endpoint, &self.model, context)
    }
}

/// An encoder, for classifiers over its vectors.
#[derive(Args, Debug)]
pub(super) struct EncoderOptions {
    /// Base URL of an OpenAI-compatible server with /embeddings: classifiers look at its vectors instead of n-grams
    #[arg(long, value_name = "URL", requires = "encoder_model")]
    pub encoder: Option<String>,
    /// The encoder's name on the server, such as microsoft/codebert-base
    #[arg(long, value_name = "NAME", requires = "encoder")]
    pub encoder_model: Option<String>,
    #[command(flatten)]
    pub server: ServerOptions,
}

impl EncoderOptions {
    pub(super) fn open(&self, context: Context) -> Result<Option<Box<dyn Embedder>>, Failure> {
        let name = self.encoder_model.as_deref().unwrap_or_default();
        let url = self.encoder.as_deref();
        url.map(|url| self.server.embedder(url, name, context))
            .transpose()
    }
}

fn share(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 1.0)
}

/// Options of `recall`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena syncode recall --in pages.jsonl --positives code.jsonl --negatives other.jsonl --out recall.jsonl
  orrery codearena syncode recall --in pages.jsonl --positives code.jsonl --negatives other.jsonl --good good.jsonl --poor poor.jsonl --repository-share 0.5 --out recall.jsonl

A few hundred pages of each kind are enough to learn from. A page's repository is its field `repo`, else owner and name on \
GitHub and its like, else the host of its address.")]
pub struct Recall {
    #[command(flatten)]
    pub(super) files: Files,
    #[command(flatten)]
    pub(super) seeds: Seeds,
    #[command(flatten)]
    pub(super) encoder: EncoderOptions,
    /// Seed of the training
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
}

/// Training examples and thresholds of recall.
#[derive(Args, Clone, Debug)]
pub(super) struct Seeds {
    /// Pages about code: JSON lines with `text`, or a folder
    #[arg(long, value_name = "FILE")]
    pub positives: PathBuf,
    /// Other pages
    #[arg(long, value_name = "FILE")]
    pub negatives: PathBuf,
    /// Probability from which a page is about code
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub threshold: f32,
    /// Recall all pages of a repository when at least this share of them is about code [default: each page for itself]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub repository_share: Option<f32>,
    /// Pages of high quality: drops pages of low quality
    #[arg(long, value_name = "FILE", requires = "poor")]
    pub good: Option<PathBuf>,
    /// Pages of low quality
    #[arg(long, value_name = "FILE", requires = "good")]
    pub poor: Option<PathBuf>,
    /// Probability from which a page is of high quality
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub quality: f32,
}

/// Options of `lang`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena syncode lang --in recall.jsonl --out lang.jsonl --keep python,c,java --share html=0.2
  orrery codearena syncode lang --train sources/ --out lang.safetensors
  orrery codearena syncode lang --in recall.jsonl --lang-model lang.safetensors --out lang.jsonl
  orrery codearena syncode lang --train sources/ --encoder http://127.0.0.1:8000/v1 --encoder-model microsoft/codebert-base --out codebert.safetensors")]
pub struct Lang {
    /// JSON lines with `text`, or a folder
    #[arg(long = "in", value_name = "FILE", required_unless_present = "train")]
    pub(super) input: Option<PathBuf>,
    /// Where the pages go, or the classifier
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Train a classifier on this folder of sources
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["input", "lang_model"])]
    pub(super) train: Option<PathBuf>,
    /// A classifier made with --train [default: a table of keywords]
    #[arg(long, value_name = "FILE")]
    pub(super) lang_model: Option<PathBuf>,
    #[command(flatten)]
    pub(super) encoder: EncoderOptions,
    /// Languages to keep, several with commas [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(super) keep: Vec<String>,
    /// Share of pages to keep of an overrepresented language, such as html=0.2
    #[arg(long, value_name = "LANG=SHARE", value_parser = language_share)]
    pub(super) share: Vec<(String, f64)>,
    /// Seed of the training
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Pages at a time
    #[arg(long, default_value_t = 4, value_parser = workers())]
    pub(super) workers: usize,
    /// Print the statistics as JSON
    #[arg(long)]
    pub(super) json: bool,
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
    pub(super) files: Files,
}

/// Options of `ask`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode ask --in clean.jsonl --endpoint http://127.0.0.1:8000/v1 --model Qwen2.5-72B-Instruct --out questions.jsonl"
)]
pub struct Ask {
    #[command(flatten)]
    pub(super) files: Files,
    #[command(flatten)]
    pub(super) model: Model,
    /// Which of the paper's two training stages the data is for
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=2))]
    pub(super) stage: u64,
}

/// Options of `answer`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode answer --in questions.jsonl --endpoint http://127.0.0.1:8000/v1 --model Qwen2.5-Coder-32B-Instruct --out answers.jsonl"
)]
pub struct Answer {
    #[command(flatten)]
    pub(super) files: Files,
    #[command(flatten)]
    pub(super) model: Model,
    /// Candidates a question
    #[arg(long, default_value_t = answer::CANDIDATES, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(super) candidates: u64,
    /// Sampling temperature
    #[arg(long, default_value_t = 0.8)]
    pub(super) temperature: f64,
}

/// Options of `verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode verify --in answers.jsonl --endpoint http://127.0.0.1:8000/v1 --model Qwen2.5-72B-Instruct --out verified.jsonl

The model writes tests for algorithmic questions that bring none in `tests`, and scores candidates that tests cannot tell apart."
)]
pub struct Verify {
    #[command(flatten)]
    pub(super) files: Files,
    #[command(flatten)]
    pub(super) model: Model,
}

/// Options of `filter`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena syncode filter --in verified.jsonl --benchmark humaneval.jsonl --out final.jsonl"
)]
pub struct Filter {
    #[command(flatten)]
    pub(super) files: Files,
    /// Benchmark files for 10-gram decontamination: JSON lines (every text in them counts) or plain text
    #[arg(long, value_name = "FILE")]
    pub(super) benchmark: Vec<PathBuf>,
    /// Minimum length of question and answer, in characters
    #[arg(long, default_value_t = Rules::default().shortest)]
    pub(super) shortest: usize,
    /// Maximum length of question and answer, in characters
    #[arg(long, default_value_t = Rules::default().longest)]
    pub(super) longest: usize,
    /// Maximum number of records of one language; 0 for no limit
    #[arg(long, default_value_t = 0)]
    pub(super) most_per_language: usize,
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
  benchmarks: [humaneval.jsonl]

Also: recall {positives, negatives, threshold, repository_share, good, poor, quality}, encoder {url, model}, lang_model, shares \
{html: 0.2}, tester and scorer (else the asker), candidates, filter {shortest, longest, most_per_language}, stage, workers.")]
pub struct Run {
    /// All settings
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Seed of what is trained
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) server: ServerOptions,
    /// Print the statistics of all steps as JSON
    #[arg(long)]
    pub(super) json: bool,
}
