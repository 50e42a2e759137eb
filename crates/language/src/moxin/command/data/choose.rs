//! `orrery moxin data quality`, `mix` and `pack`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, print_json, print_line};
use clap::Args;
use engine::text::Tokenizer;
use serde_json::{Value, json};

use super::{Common, Pieces, share};
use crate::moxin::data::mix::{Source, mix};
use crate::moxin::data::pack::{Joining, pack};
use crate::moxin::data::quality::{Cut, Quality, QualityConfig, quality};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery moxin data quality --good good.jsonl --other web.jsonl --model quality.safetensors
  orrery moxin data quality data/unique --model quality.safetensors --keep 0.1 --out data/good")]
pub struct QualityArgs {
    /// Files of JSON lines, or folders of them
    inputs: Vec<PathBuf>,
    /// The classifier's file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Train the classifier: examples of good text
    #[arg(long, value_name = "FILE", requires = "other", conflicts_with_all = ["out", "inputs"])]
    good: Vec<PathBuf>,
    /// Train the classifier: examples of other text
    #[arg(long, value_name = "FILE", requires = "good")]
    other: Vec<PathBuf>,
    /// Folder for the output
    #[arg(short, long, value_name = "DIR", required_unless_present = "good")]
    out: Option<PathBuf>,
    /// Share of the documents that stays, the best ones
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    keep: f64,
    /// Keep documents from this score on instead
    #[arg(long, value_name = "SCORE", value_parser = share)]
    min_score: Option<f64>,
    /// Values of a vector
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1024))]
    width: u16,
    /// Vectors
    #[arg(long, value_name = "N", default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    buckets: u32,
    /// Times that examples are seen
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    epochs: u16,
    /// Seed of vectors and order
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    pieces: Pieces,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery moxin data mix --source web=data/good:0.7 --source code=data/code:0.3 --total-mb 500 --out data/mixed

A source without a share is taken whole, once.")]
pub struct MixArgs {
    /// A source, its files and its share of the rest
    #[arg(long = "source", value_name = "NAME=PATH[:SHARE]", required = true)]
    sources: Vec<String>,
    #[command(flatten)]
    common: Common,
    /// Text of the mixture, in MB; small sources are repeated
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    total_mb: Option<u64>,
    /// Seed of the choice
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery moxin data pack data/mixed --tokenizer vocabulary/ --out packed/"
)]
pub struct PackArgs {
    /// Files of JSON lines, or folders of them
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
    /// Folder or file of the tokenizer
    #[arg(long, value_name = "PATH")]
    tokenizer: PathBuf,
    /// As the official script: each document cut to N tokens or filled up at its beginning, which counts in the loss
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    compat_official: Option<u32>,
    /// Seed of the order
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl QualityArgs {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        if !self.good.is_empty() {
            return self.train();
        }
        let out = self.out.as_deref().unwrap_or(Path::new(""));
        let model = Quality::open(&self.model)?;
        let params = json!({"model": base::files::shown(&self.model), "keep": self.keep, "min_score": self.min_score});
        let job = (self.pieces).job(out, "quality", params, &self.inputs, context)?;
        let cut = match self.min_score {
            Some(score) => Cut::Score(score as f32),
            None => Cut::Best(self.keep),
        };
        let done = quality(&job, &model, cut, self.pieces.gz)?;
        self.pieces.report(out, done.as_ref())
    }

    fn train(&self) -> Result<(), Failure> {
        let texts = |files: &[PathBuf]| -> Result<Vec<String>, Failure> {
            let mut all = Vec::new();
            for file in files {
                for (_, mut record) in base::job::jsonl::read(file)?.records {
                    if let Some(Value::String(text)) = record.remove("text") {
                        all.push(text);
                    }
                }
            }
            Ok(all)
        };
        let (good, other) = (texts(&self.good)?, texts(&self.other)?);
        let config = QualityConfig {
            width: usize::from(self.width),
            buckets: self.buckets,
            epochs: usize::from(self.epochs),
            seed: self.seed,
            ..QualityConfig::default()
        };
        let model = Quality::train(&good, &other, &config)?;
        model.save(&self.model)?;
        let above = |texts: &[String]| texts.iter().filter(|text| model.score(text) >= 0.5).count();
        let right = above(&good) + other.len() - above(&other);
        let share = right as f64 / (good.len() + other.len()).max(1) as f64;
        match self.pieces.output.json {
            true => print_json(&json!({"good": good.len(), "other": other.len(), "right": share})),
            false => print_line(&format!(
                "learned from {} good and {} other texts; {:.1} % of them are classified correctly; wrote `{}`",
                good.len(),
                other.len(),
                100.0 * share,
                self.model.display()
            )),
        }
    }
}

impl MixArgs {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let (mut sources, mut inputs) = (Vec::new(), Vec::new());
        for given in &self.sources {
            let wrong = || {
                Failure::input(format!(
                    "`{given}` names no source: write NAME=PATH or NAME=PATH:SHARE, such as web=data/web:0.7"
                ))
            };
            let (name, place) = given.split_once('=').ok_or_else(wrong)?;
            let (path, share) = match place
                .rsplit_once(':')
                .map(|(path, share)| (path, share.parse::<f64>()))
            {
                Some((path, Ok(share))) if share > 0.0 && share.is_finite() => (path, Some(share)),
                Some((_, Ok(_))) => return Err(wrong()),
                _ => (place, None),
            };
            if name.is_empty() || path.is_empty() {
                return Err(wrong());
            }
            sources.push(Source {
                name: name.to_owned(),
                share,
            });
            inputs.push(PathBuf::from(path));
        }
        let params = json!({"sources": self.sources, "total_mb": self.total_mb, "seed": self.seed});
        let job = self.common.job("mix", params, &inputs, context)?;
        let total = self.total_mb.map(|megabytes| megabytes * 1_000_000);
        let done = mix(&job, &sources, total, self.seed, self.common.pieces.gz)?;
        self.common.report(done.as_ref())
    }
}

impl PackArgs {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let tokenizer = Tokenizer::open(&self.tokenizer)?;
        let joining = match self.compat_official {
            Some(length) => Joining::Official(length as usize),
            None => Joining::Stream,
        };
        let params = json!({"tokenizer": base::files::shown(&self.tokenizer), "tokens": tokenizer.len(), "joining": joining, "seed": self.seed});
        let job = self.common.job("pack", params, &self.inputs, context)?;
        let done = pack(&job, &tokenizer, joining, self.seed)?;
        self.common.report(done.as_ref())
    }
}
