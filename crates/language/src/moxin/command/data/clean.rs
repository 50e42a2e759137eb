//! `orrery moxin data import`, `filter` and `dedup`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Common, report, share};
use crate::moxin::data::dedup::{Dedup, dedup};
use crate::moxin::data::filter::{Filter, filter};
use crate::moxin::data::import::{Strange, import};
use crate::moxin::data::paragraphs::{Bloom, paragraphs};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery moxin data import my-texts/ --out data/raw")]
pub struct Import {
    /// Files, and folders of .txt, .md, .rst and .html files
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Folder for the output
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Read files that are not UTF-8 as Latin-1; else they are left out
    #[arg(long)]
    latin1: bool,
    #[command(flatten)]
    output: Output,
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

impl Import {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let strange = if self.latin1 {
            Strange::Latin1
        } else {
            Strange::Skip
        };
        let tally = import(&self.inputs, &self.out, strange, context)?;
        if tally.kept == 0 {
            let why = tally.troubles.first().map(|line| format!(" ({line})"));
            return Err(Failure::input(format!(
                "no file of the input holds text{}: give text files, or folders of them",
                why.unwrap_or_default()
            )));
        }
        report(&self.out, self.output.json, &tally)
    }
}

impl FilterArgs {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let decontaminate = self.decontaminate.iter().map(base::files::shown);
        let decontaminate: Vec<String> = decontaminate.collect();
        let params =
            json!({"min_chars": self.min_chars, "html": self.html, "decontaminate": decontaminate});
        let job = self.common.job("filter", params, &self.inputs, context)?;
        let options = Filter {
            min_chars: self.min_chars,
            html: self.html,
            decontaminate: self.decontaminate.clone(),
        };
        let done = filter(&job, &options, self.common.pieces.gz)?;
        self.common.report(done.as_ref())
    }
}

impl DedupArgs {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        if self.of == Of::Paragraphs {
            if self.common.pieces.shard.is_some() {
                return Err(Failure::input(
                    "paragraphs are compared with all before them, so that machines cannot share the work: leave `--shard` out",
                ));
            }
            let params = json!({"of": "paragraphs", "grams": self.grams});
            let job = self.common.job("dedup", params, &self.inputs, context)?;
            let done = paragraphs(
                &job,
                Bloom::new(self.grams * 1_000_000, 0.01),
                self.common.pieces.gz,
            )?;
            return self.common.report(done.as_ref());
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
        let done = dedup(&job, &options, self.common.pieces.gz)?;
        self.common.report(done.as_ref())
    }
}
