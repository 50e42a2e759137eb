//! `orrery moxin data`.

use std::path::PathBuf;

use base::command::{Context, Failure, is_quiet, say, tell};
use base::job::Shard;
use clap::{Args, Subcommand, ValueEnum};
use engine::text::Tokenizer;
use serde_json::{Value, json};

use crate::moxin::data::dedup::{Dedup, dedup};
use crate::moxin::data::filter::{Filter, filter};
use crate::moxin::data::import::{Strange, import};
use crate::moxin::data::job::Job;
use crate::moxin::data::mix::{Source, mix};
use crate::moxin::data::pack::{Joining, pack};
use crate::moxin::data::paragraphs::{Bloom, paragraphs};
use crate::moxin::data::pieces::pieces;
use crate::moxin::data::quality::{Cut, Quality, QualityConfig, quality};
use crate::moxin::data::tally::Tally;

/// The steps of the data pipeline. Each reads files of JSON lines (`{"text": …}`, `.gz` too) or folders of them, and writes a
/// folder with as many pieces and a `manifest.json`. The same command goes on where a run was stopped.
#[derive(Subcommand, Debug)]
pub enum Data {
    /// Text files (.txt, .md, .html…) as JSON lines
    Import(Import),
    /// Clean texts, without short ones and what evaluations ask
    Filter(FilterArgs),
    /// Near-duplicates go
    Dedup(DedupArgs),
    /// Keep what a classifier takes for good text, or train one
    Quality(QualityArgs),
    /// Several sources in given shares
    Mix(MixArgs),
    /// Encode, shuffle and join documents for training
    Pack(PackArgs),
}

/// Options of every step.
#[derive(Args, Debug)]
pub struct Common {
    /// Folder for the output
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Work on every Nth piece from I on; run the others elsewhere, then the command without this
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Files are cut into pieces of so many MB
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65536))]
    piece_mb: u64,
    /// Write compressed files
    #[arg(long)]
    gz: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Common {
    fn job(
        &self,
        step: &'static str,
        params: Value,
        inputs: &[PathBuf],
        context: Context,
    ) -> Result<Job<'_>, Failure> {
        if inputs.is_empty() {
            return Err(Failure::input(
                "there is no input: name files of JSON lines, or folders of them",
            ));
        }
        Ok(Job {
            step,
            params: json!({"options": params, "piece_mb": self.piece_mb, "gz": self.gz}),
            pieces: pieces(inputs, self.piece_mb << 20)?,
            out: &self.out,
            shard: self.shard.or_else(Shard::of_array_task),
            stop: context.stop,
        })
    }

    /// Says what came out.
    fn say(&self, done: Option<&Tally>) -> Result<(), Failure> {
        let Some(tally) = done else {
            let line = "the pieces of this shard are done; run the other shards, then the same command without `--shard`";
            return match self.json {
                true => say(&json!({"done": false}).to_string()),
                false => say(line),
            };
        };
        if !is_quiet() {
            tally.troubles.iter().take(10).for_each(|line| tell(line));
        }
        if tally.documents == 0 {
            return Err(Failure::input(format!(
                "the input holds no document{}: give JSON lines with a `text`",
                tally
                    .troubles
                    .first()
                    .map(|line| format!(" ({line})"))
                    .unwrap_or_default()
            )));
        }
        if self.json {
            return say(&json!({"done": true, "out": self.out, "total": tally}).to_string());
        }
        let mut line = format!(
            "{} of {} documents, {:.1} of {:.1} MB of text",
            tally.kept,
            tally.documents,
            tally.kept_bytes as f64 / 1e6,
            tally.text_bytes as f64 / 1e6
        );
        if tally.tokens > 0 {
            line.push_str(&format!(", {} tokens", tally.tokens));
        }
        let removed: Vec<String> = tally
            .removed
            .iter()
            .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
            .collect();
        if !removed.is_empty() {
            line.push_str(&format!("; left out: {}", removed.join(", ")));
        }
        say(&line)?;
        if !is_quiet() {
            tell(&format!("wrote `{}`", self.out.display()));
        }
        Ok(())
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery moxin data import my-texts/ --out data/raw")]
pub struct Import {
    /// Files, and folders of .txt, .md, .rst and .html files
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Folder for the output
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Read files that are no UTF-8 as Latin-1; else they are left out
    #[arg(long)]
    latin1: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery moxin data filter data/raw --out data/clean --decontaminate arc-easy.jsonl"
)]
pub struct FilterArgs {
    /// Files of JSON lines, or folders of them
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
    /// Fewest characters of a document, without punctuation and blanks
    #[arg(long, value_name = "N", default_value_t = 200)]
    min_chars: usize,
    /// Texts are HTML
    #[arg(long)]
    html: bool,
    /// Documents that share 13 words in a row with any text of this file of JSON lines go; may be given again
    #[arg(long, value_name = "FILE")]
    decontaminate: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// 128 permutations, similarity 0.8
    Text,
    /// 256 permutations, similarity 0.85
    Code,
    /// Equal texts only
    Exact,
    /// Paragraphs that were seen before, by 13 words in a row
    Paragraphs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery moxin data dedup data/clean --out data/unique --verify
  orrery moxin data dedup wiki/ web/ --out data/unique --shard 0/4

Of near-duplicates the first stays: name better sources first.")]
pub struct DedupArgs {
    /// Files of JSON lines, or folders of them
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
    /// What is looked for
    #[arg(long, value_enum, default_value = "text")]
    of: Of,
    /// Least Jaccard similarity of near-duplicates, in place of the usual one
    #[arg(long, value_name = "SHARE", value_parser = share)]
    threshold: Option<f64>,
    /// Characters of a gram
    #[arg(long, value_name = "N", default_value_t = 13, value_parser = clap::value_parser!(u16).range(1..=1000))]
    width: u16,
    /// Compare candidates gram by gram: slower, and no document goes that is not similar
    #[arg(long)]
    verify: bool,
    /// Grams that the filter for paragraphs is made for, in millions
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    grams: u64,
    /// Seed of the permutations
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

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
    /// Work on every Nth piece from I on
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Files are cut into pieces of so many MB
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65536))]
    piece_mb: u64,
    /// Write compressed files
    #[arg(long)]
    gz: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
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

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("give a number from 0 to 1".into()),
    }
}

impl Data {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Import(it) => it.run(context),
            Self::Filter(it) => it.run(context),
            Self::Dedup(it) => it.run(context),
            Self::Quality(it) => it.run(context),
            Self::Mix(it) => it.run(context),
            Self::Pack(it) => it.run(context),
        }
    }
}

impl Import {
    fn run(&self, context: Context) -> Result<(), Failure> {
        let strange = if self.latin1 {
            Strange::Latin1
        } else {
            Strange::Skip
        };
        let tally = import(&self.inputs, &self.out, strange, context)?;
        let common = Common {
            out: self.out.clone(),
            shard: None,
            piece_mb: 1,
            gz: false,
            json: self.json,
        };
        common.say(Some(&tally))
    }
}

impl FilterArgs {
    fn run(&self, context: Context) -> Result<(), Failure> {
        let params = json!({"min_chars": self.min_chars, "html": self.html, "decontaminate": self.decontaminate});
        let job = self.common.job("filter", params, &self.inputs, context)?;
        let options = Filter {
            min_chars: self.min_chars,
            html: self.html,
            decontaminate: self.decontaminate.clone(),
        };
        let done = filter(&job, &options, self.common.gz)?;
        self.common.say(done.as_ref())
    }
}

impl DedupArgs {
    fn run(&self, context: Context) -> Result<(), Failure> {
        if self.of == Of::Paragraphs {
            if self.common.shard.is_some() {
                return Err(Failure::input(
                    "paragraphs are compared with all before them, so that machines cannot share the work: leave `--shard` out",
                ));
            }
            let params = json!({"of": "paragraphs", "grams": self.grams});
            let job = self.common.job("dedup", params, &self.inputs, context)?;
            let done = paragraphs(
                &job,
                Bloom::new(self.grams * 1_000_000, 0.01),
                self.common.gz,
            )?;
            return self.common.say(done.as_ref());
        }
        let usual = match self.of {
            Of::Code => Dedup::code(),
            Of::Exact => Dedup {
                permutations: 0,
                ..Dedup::text()
            },
            _ => Dedup::text(),
        };
        let options = Dedup {
            threshold: self.threshold.unwrap_or(usual.threshold),
            width: usize::from(self.width),
            seed: self.seed,
            verify: self.verify,
            ..usual
        };
        let job = self
            .common
            .job("dedup", json!(options), &self.inputs, context)?;
        let done = dedup(&job, &options, self.common.gz)?;
        self.common.say(done.as_ref())
    }
}

impl QualityArgs {
    fn run(&self, context: Context) -> Result<(), Failure> {
        if !self.good.is_empty() {
            return self.train();
        }
        let common = Common {
            out: self.out.clone().unwrap_or_default(),
            shard: self.shard,
            piece_mb: self.piece_mb,
            gz: self.gz,
            json: self.json,
        };
        let model = Quality::open(&self.model)?;
        let params = json!({"model": self.model, "keep": self.keep, "min_score": self.min_score});
        let job = common.job("quality", params, &self.inputs, context)?;
        let cut = match self.min_score {
            Some(score) => Cut::Score(score as f32),
            None => Cut::Best(self.keep),
        };
        let done = quality(&job, &model, cut, self.gz)?;
        common.say(done.as_ref())
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
        match self.json {
            true => {
                say(&json!({"good": good.len(), "other": other.len(), "right": share}).to_string())
            }
            false => say(&format!(
                "learned from {} good and {} other texts; {:.1} % of them are told apart; wrote `{}`",
                good.len(),
                other.len(),
                100.0 * share,
                self.model.display()
            )),
        }
    }
}

impl MixArgs {
    fn run(&self, context: Context) -> Result<(), Failure> {
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
        let done = mix(&job, &sources, total, self.seed, self.common.gz)?;
        self.common.say(done.as_ref())
    }
}

impl PackArgs {
    fn run(&self, context: Context) -> Result<(), Failure> {
        let tokenizer = Tokenizer::open(&self.tokenizer)?;
        let joining = match self.compat_official {
            Some(length) => Joining::Official(length as usize),
            None => Joining::Stream,
        };
        let params = json!({"tokenizer": self.tokenizer, "tokens": tokenizer.len(), "joining": joining, "seed": self.seed});
        let job = self.common.job("pack", params, &self.inputs, context)?;
        let done = pack(&job, &tokenizer, joining, self.seed)?;
        self.common.say(done.as_ref())
    }
}
