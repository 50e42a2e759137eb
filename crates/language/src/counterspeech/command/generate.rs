//! `orrery counterspeech generate`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, eprint_line, print_json, print_line};
use clap::Args;
use serde_json::json;

use super::options::{Draw, Model, prompts, records};
use crate::counterspeech::{Configuration, Grid, Replier, Run};

/// Options of `generate`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech generate --out replies.jsonl --limit 3
  orrery counterspeech generate --model llama-2-13b-chat.gguf --adapter LLaMA-2-13b-chat_CounterSpeech_Mu \\
      --data records.jsonl --grid grid.toml --out replies.jsonl

Replies are kept one by one: the same command goes on where it was stopped. Beside them stand what they were made with
(.run.json) and the summaries of people (.summaries.jsonl). Without `--grid`, the default grid is cut to the adapters
that are there.")]
pub struct Generate {
    #[command(flatten)]
    model: Model,
    /// Records, one JSON object a line; `synthetic` are invented ones that ship with the program
    #[arg(long, value_name = "FILE", default_value = "synthetic")]
    data: PathBuf,
    /// Models and contexts, in place of the default grid of 36
    #[arg(long, value_name = "FILE")]
    grid: Option<PathBuf>,
    /// Prompts, in place of the built-in ones
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Replies, one a line
    #[arg(long, value_name = "FILE", default_value = "replies.jsonl")]
    out: PathBuf,
    /// Answer only the first N records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// The legal basis on which people are described by their histories; it is written down
    #[arg(long, value_name = "TEXT")]
    basis: Option<String>,
    #[command(flatten)]
    draw: Draw,
    /// Seed of the draws
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Generate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let prompts = prompts(self.prompts.as_deref())?;
        let grid = self.grid.as_deref().map(Grid::open).transpose()?;
        let mut records = records(&self.data)?;
        records.truncate(self.limit.map_or(usize::MAX, |limit| limit as usize));
        let model = self.model.open()?;
        let cells = match grid {
            Some(grid) => grid.configurations(),
            None => available(&Grid::default(), &model),
        };
        let run = Run {
            replier: &model,
            prompts: &prompts,
            records: &records,
            configurations: &cells,
            drawing: self.draw.drawing(),
            seed: self.seed,
            basis: self.basis.as_deref(),
        };
        let tally = run.write(&self.out, context, self.output.json, &mut |line| {
            eprint_line(&format!("note: {line}"))
        })?;
        if tally.broken > 0 {
            eprint_line(&format!(
                "warning: {} broken lines were taken out of `{}`",
                tally.broken,
                self.out.display()
            ));
        }
        for (block, count) in &tally.absent {
            eprint_line(&format!(
                "warning: {count} prompts lack the block {block}: their records do not say what it needs"
            ));
        }
        if self.output.json {
            return print_json(&json!({"out": base::files::shown(&self.out), "tally": tally}));
        }
        print_line(&format!(
            "{} replies in `{}`, {} of them made now; {} refusals, which count as such and not as replies",
            tally.rows,
            self.out.display(),
            tally.rows - tally.kept,
            tally.refused
        ))
    }
}

/// The cells of the default grid whose adapters are there; a line about the others.
fn available(grid: &Grid, model: &Replier) -> Vec<Configuration> {
    let (there, missing): (Vec<&String>, Vec<&String>) =
        grid.models.iter().partition(|name| model.has(name));
    let cells: Vec<Configuration> = grid.configurations();
    let kept: Vec<Configuration> = cells
        .into_iter()
        .filter(|cell| there.contains(&&cell.model))
        .collect();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|it| it.as_str()).collect();
        eprint_line(&format!(
            "note: {} configurations of the default grid; {} need adapters (`--adapter`)",
            kept.len(),
            names.join(", ")
        ));
    }
    kept
}
