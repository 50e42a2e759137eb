//! `orrery moxin data`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, eprint_line, is_quiet, print_json, print_line};
use base::job::Shard;
use clap::Args;
use serde_json::{Value, json};

use crate::moxin::data::job::Job;
use crate::moxin::data::pieces::pieces;
use crate::moxin::data::tally::Tally;
use choose::{MixArgs, PackArgs, QualityArgs};
use clean::{DedupArgs, FilterArgs, Import};

mod choose;
mod clean;

base::verbs! {
    /// The steps of the data pipeline. Each reads files of JSON lines (`{"text": …}`, `.gz` too) or folders of them, and writes a
    /// folder with as many pieces and a `manifest.json`. The same command goes on where a run was stopped.
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
}

/// Options of every step.
#[derive(Args, Debug)]
pub struct Common {
    /// Folder for the output
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    pieces: Pieces,
}

/// How a step goes through its input, and what it prints.
#[derive(Args, Clone, Debug)]
pub struct Pieces {
    /// Work on every Nth piece from I on; run the others elsewhere, then the command without this
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Files are cut into pieces of so many MB
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65536))]
    piece_mb: u64,
    /// Write compressed files
    #[arg(long)]
    gz: bool,
    #[command(flatten)]
    output: Output,
}

impl Common {
    fn job(
        &self,
        step: &'static str,
        params: Value,
        inputs: &[PathBuf],
        context: Context,
    ) -> Result<Job<'_>, Failure> {
        self.pieces.job(&self.out, step, params, inputs, context)
    }

    fn report(&self, done: Option<&Tally>) -> Result<(), Failure> {
        self.pieces.report(&self.out, done)
    }
}

impl Pieces {
    fn job<'a>(
        &self,
        out: &'a Path,
        step: &'static str,
        params: Value,
        inputs: &[PathBuf],
        context: Context,
    ) -> Result<Job<'a>, Failure> {
        if inputs.is_empty() {
            return Err(Failure::input(
                "there is no input: name files of JSON lines, or folders of them",
            ));
        }
        Ok(Job {
            step,
            params: json!({"options": params, "piece_mb": self.piece_mb, "gz": self.gz}),
            pieces: pieces(inputs, self.piece_mb << 20)?,
            out,
            shard: self.shard.or_else(Shard::of_array_task),
            stop: context.stop,
        })
    }

    /// Prints what came out.
    fn report(&self, out: &Path, done: Option<&Tally>) -> Result<(), Failure> {
        match (done, self.output.json) {
            (Some(tally), json) => report(out, json, tally),
            (None, true) => print_json(&json!({"done": false})),
            (None, false) => print_line(
                "the pieces of this shard are done; run the other shards, then the same command without `--shard`",
            ),
        }
    }
}

/// Prints what came out.
fn report(out: &Path, json: bool, tally: &Tally) -> Result<(), Failure> {
    if !is_quiet() {
        tally
            .troubles
            .iter()
            .take(10)
            .for_each(|line| eprint_line(line));
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
    if json {
        return print_json(&json!({"done": true, "out": base::files::shown(out), "total": tally}));
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
    print_line(&line)?;
    if !is_quiet() {
        eprint_line(&format!("wrote `{}`", out.display()));
    }
    Ok(())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("give a number from 0 to 1".into()),
    }
}
