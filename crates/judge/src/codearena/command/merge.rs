//! `orrery codearena merge`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, is_quiet, print_line, warn};
use base::job::jsonl::{self, Record};
use base::job::log::check_results;
use clap::Args;
use serde_json::{Value, json};

use super::check::{ks, rates, summary};
use crate::codearena::bias::Bias;
use crate::codearena::parts::merge;
use crate::codearena::passk::Grades;
use crate::codearena::sandbox::Graded;
use crate::codearena::scores::each_judged;

/// Options of `merge`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena merge judged.*-of-4.jsonl --out judged.jsonl
  orrery codearena merge graded.*-of-4.jsonl --out graded.jsonl --k 1,5

What comes out is what one run over all items writes.")]
pub struct Merge {
    /// The files that `generate`, `judge` or `check` wrote with `--shard`
    #[arg(required = true, value_name = "FILE")]
    shards: Vec<PathBuf>,
    /// Where all results go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Merge what is there, even if shards are missing or incomplete
    #[arg(long)]
    partial: bool,
    /// The k of pass@k for shards of `check`, several with commas
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = ks)]
    k: Vec<u64>,
    #[command(flatten)]
    output: Output,
}

impl Merge {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        check_results(&self.out, &self.shards)?;
        let merged = merge(&self.shards, &self.out, self.partial)?;
        warn(&merged.missing);
        let (text, mut about) = match merged.job.verb.as_str() {
            "judge" if merged.records > 0 => self.judged()?,
            "check" => self.graded()?,
            _ => (
                format!("{} answers", merged.records),
                json!({"answers": merged.records}),
            ),
        };
        about["out"] = json!(self.out.display().to_string());
        if !merged.missing.is_empty() {
            about["incomplete"] = json!(merged.missing);
        }
        match self.output.json {
            true => print_line(&about.to_string()),
            false if is_quiet() => print_line(&text),
            false => print_line(&format!("wrote {}: {text}", self.out.display())),
        }
    }

    fn judged(&self) -> Result<(String, Value), Failure> {
        let mut bias = Bias::default();
        each_judged(&self.out, &mut |item| bias.add(&item))?;
        let labelled = bias.games - bias.failed_games;
        let text = format!(
            "{} items, {labelled} of {} games with a label",
            bias.items, bias.games
        );
        let about = json!({"items": bias.items, "games": bias.games, "labelled_games": labelled});
        Ok((text, about))
    }

    fn graded(&self) -> Result<(String, Value), Failure> {
        let mut grades = Grades::default();
        jsonl::each(&self.out, &mut |_, mut record: Record| {
            let graded = record.remove("graded").unwrap_or_default();
            if let Ok(graded) = serde_json::from_value::<Graded>(graded) {
                let id = record.get("id").map(|id| match id {
                    Value::String(id) => id.clone(),
                    id => id.to_string(),
                });
                grades.add(&id.unwrap_or_default(), &graded.grade);
            }
        })?;
        Ok((summary(&grades, &self.k), rates(&grades, &self.k)))
    }
}
