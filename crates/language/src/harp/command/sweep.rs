//! `orrery harp sweep`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps, print_json, print_line};
use clap::Args;
use serde_json::json;

use super::options::{Model, bits, share};
use crate::harp::sweep::{Grid, Text};
use crate::harp::task::read_text;
use crate::harp::{SweepRow, SystemError, read_items, sweep};

/// Options of `sweep`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery harp sweep --text story.txt
  orrery harp sweep --task tasks.jsonl --theta 0.5,1,2,4 --delta 0.05,0.1,0.2 --beta 0.5,0.7

Texts are not generated but read: each token is scored given those before it. Two passes score every setting.")]
pub struct Sweep {
    #[command(flatten)]
    model: Model,
    /// Tasks, one JSON object a line; the tokens of the answers are scored
    #[arg(long, value_name = "FILE", required_unless_present = "text")]
    task: Option<PathBuf>,
    /// A text of which each paragraph is scored
    #[arg(long, value_name = "FILE", conflicts_with = "task")]
    text: Option<PathBuf>,
    /// Thresholds, in bits; 0 looks twice everywhere
    #[arg(long, value_name = "BITS", value_delimiter = ',', default_value = "0,1,3,6", value_parser = bits)]
    theta: Vec<f32>,
    /// Shares of embedding coordinates that are zero
    #[arg(long, value_name = "SHARE", value_delimiter = ',', default_value = "0.1,0.2", value_parser = share)]
    delta: Vec<f32>,
    /// Weights of the first look's logits
    #[arg(long, value_name = "WEIGHT", value_delimiter = ',', default_value = "0.5", value_parser = share)]
    beta: Vec<f32>,
    /// Score only the first N tasks or paragraphs
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Seed of the masks
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Sweep {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let mut parts: Vec<(String, String)> = match (&self.task, &self.text) {
            (Some(path), _) => {
                let items = read_items(path)?.into_iter();
                items.map(|item| (item.prompt, item.answer)).collect()
            }
            (None, Some(path)) => {
                let text = read_text(path)?;
                let parts = text.split("\n\n").filter(|part| !part.trim().is_empty());
                parts
                    .map(|part| (String::new(), part.trim().to_owned()))
                    .collect()
            }
            (None, None) => Vec::new(),
        };
        parts.truncate(self.limit.unwrap_or(usize::MAX).max(1));
        let pipeline = self.model.open()?;
        let encode = |(prompt, scored): &(String, String)| -> Result<Text, SystemError> {
            let mut ids = pipeline.tokenizer.encode_prompt(prompt)?;
            let from = ids.len();
            // A space belongs to the word that follows it, as in most vocabularies.
            let gap = match prompt.is_empty() || prompt.ends_with(char::is_whitespace) {
                true => "",
                false => " ",
            };
            ids.extend(
                pipeline
                    .tokenizer
                    .encode(&format!("{gap}{}", scored.trim_start()))?,
            );
            Ok((ids, from))
        };
        let texts = parts.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let grid = Grid {
            thetas: self.theta.clone(),
            deltas: self.delta.clone(),
            betas: self.beta.clone(),
            seed: self.seed,
        };
        let mut bar = Steps::new("texts", self.output.json);
        let mut progress = |at: usize| {
            bar.at(at, texts.len());
            context.proceed().map_err(SystemError::from)
        };
        let rows = sweep(&pipeline, &texts, &grid, &mut progress)?;
        bar.finish();
        match self.output.json {
            true => print_json(&json!({"rows": rows})),
            false => table(&rows),
        }
    }
}

fn table(rows: &[SweepRow]) -> Result<(), Failure> {
    let positions = rows.first().map_or(0, |row| row.positions);
    print_line(&format!("{positions} positions; loss in nats"))?;
    print_line("theta   delta   beta    looks twice   accuracy     loss")?;
    for row in rows {
        let setting = match row.setting {
            None => format!("{:<24}", "vanilla"),
            Some([theta, delta, beta]) => format!("{theta:<8}{delta:<8}{beta:<8}"),
        };
        print_line(&format!(
            "{setting}{:>9.1} %  {:>8.2} %  {:>7.4}",
            100.0 * row.hesitation_rate,
            100.0 * row.accuracy,
            row.loss
        ))?;
    }
    Ok(())
}
