//! `orrery counterspeech indicators` and `rank`.

use std::path::PathBuf;

use base::command::{
    Context, Failure, Output, eprint_line, is_quiet, print_json, print_line, warn,
};
use base::files::write_bytes;
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use super::options::{prompts, records};
use crate::counterspeech::indicators::{Instruments, PANELS, measure};
use crate::counterspeech::store::read_lines;
use crate::counterspeech::{
    Aggregate, BASELINE, Grid, Replier, Row, effects, factor_plot, rank, read_summary, summarise,
    write_summary, write_table,
};
use crate::guardian::{Guardian, GuardianOptions};

/// Options of `indicators`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech indicators --replies replies.jsonl --out indicators.csv --plot factors.svg

`--out` has a row a reply; beside it, `.summary.csv` has a row a configuration with bootstrap intervals over records.
Which metrics the paper used is not known: these are ours, see docs/counterspeech.md.")]
pub struct Indicators {
    /// Replies that `generate` wrote
    #[arg(long, value_name = "FILE")]
    replies: PathBuf,
    /// The records that they answer
    #[arg(long, value_name = "FILE", default_value = "synthetic")]
    data: PathBuf,
    /// The grid, for its factors
    #[arg(long, value_name = "FILE")]
    grid: Option<PathBuf>,
    /// The prompts, for how many examples they show
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Model whose embeddings are compared; `none` leaves cosines out
    #[arg(long, value_name = "MODEL", default_value = "smollm2")]
    model: String,
    /// Guard that measures toxicity; `none` leaves it out
    #[arg(long, value_name = "MODEL", default_value = "smollm2")]
    guard: String,
    /// A row a reply
    #[arg(long, value_name = "FILE", default_value = "indicators.csv")]
    out: PathBuf,
    /// What every factor does to every indicator, as a picture (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Seed of the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Indicators {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let (rows, wrong) = read_lines::<Row>(&self.replies, "reply")?;
        warn(&wrong);
        if rows.is_empty() {
            return Err(Failure::input(format!(
                "`{}` holds no reply: `generate` writes them",
                self.replies.display()
            )));
        }
        let records = records(&self.data)?;
        let grid = self
            .grid
            .as_deref()
            .map(Grid::open)
            .transpose()?
            .unwrap_or_default();
        let shown = prompts(self.prompts.as_deref())?.examples;
        let embedder = match self.model.as_str() {
            "none" => None,
            name => Some(Replier::open(name, &[])?),
        };
        let guard = match self.guard.as_str() {
            "none" => None,
            name => Some(Guardian::load(name, GuardianOptions::default())?),
        };
        let instruments = Instruments {
            embedder: embedder.as_ref(),
            guard: guard.as_ref(),
            shown,
        };
        let measured = measure(&rows, &records, &instruments, context, self.output.json)?;
        let summaries = summarise(&rows, &measured, &Rng::new(self.seed).child("indicators"));
        let effects = effects(&summaries, &grid.factors());
        write_table(&self.out, &measured)?;
        let summary = self.out.with_extension("summary.csv");
        write_summary(&summary, &summaries)?;
        if let Some(path) = &self.plot {
            if effects.is_empty() {
                return Err(Failure::input(
                    "there is nothing to plot: the replies have no two configurations that differ by a factor of the grid",
                ));
            }
            write_bytes(path, factor_plot(&effects).as_bytes())?;
        }
        if self.output.json {
            return print_json(&json!({"configurations": summaries, "factors": effects}));
        }
        let head = PANELS.map(|(name, more, _)| {
            format!("{:>17}", format!("{name} {}", if more { "↑" } else { "↓" }))
        });
        print_line(&format!(
            "{:<14} replies refused{}",
            "configuration",
            head.concat()
        ))?;
        for it in &summaries {
            let cells = PANELS.map(|(name, ..)| match it.means.get(name) {
                Some(mean) => format!("{:>17.3}", mean.mean),
                None => format!("{:>17}", "–"),
            });
            print_line(&format!(
                "{:<14} {:>7} {:>7}{}",
                it.config,
                it.replies,
                it.refused,
                cells.concat()
            ))?;
        }
        if embedder.is_none() {
            eprint_line(
                "note: with `--model none` no cosine is taken: personalization is that of the style alone",
            );
        }
        if !is_quiet() {
            eprint_line(&format!("intervals are in `{}`", summary.display()));
        }
        Ok(())
    }
}

/// Options of `rank`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech rank --indicators indicators.summary.csv --top 7")]
pub struct Rank {
    /// The summary that `indicators` wrote
    #[arg(long, value_name = "FILE")]
    indicators: PathBuf,
    /// Mean rank, or mean z-score
    #[arg(long, value_enum, default_value = "borda")]
    by: Aggregate,
    /// Name the best N for a study, the baseline among them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..))]
    top: Option<u16>,
    #[command(flatten)]
    output: Output,
}

impl Rank {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let (names, scales) = read_summary(&self.indicators)?;
        let ranked = rank(names.len(), &scales, self.by);
        let chosen: Option<Vec<&str>> = self.top.map(|top| {
            let best = ranked
                .iter()
                .map(|it| names[it.at].as_str())
                .filter(|name| *name != BASELINE);
            std::iter::once(BASELINE)
                .chain(best.take(usize::from(top) - 1))
                .collect()
        });
        if self.output.json {
            let rows: Vec<_> = ranked
                .iter()
                .map(|it| json!({"config": names[it.at], "score": it.score, "ranks": it.ranks}))
                .collect();
            let indicators: Vec<&str> = scales.iter().map(|it| it.name.as_str()).collect();
            return print_json(
                &json!({"indicators": indicators, "ranking": rows, "study": chosen}),
            );
        }
        let score = match self.by {
            Aggregate::Borda => "mean rank",
            Aggregate::Z => "mean z",
        };
        let head: String = scales.iter().map(|it| format!("{:>17}", it.name)).collect();
        print_line(&format!("{:<14} {score:>9}{head}", "configuration"))?;
        for it in &ranked {
            let cells = it.ranks.iter().map(|rank| match rank {
                Some(rank) => format!("{rank:>17.1}"),
                None => format!("{:>17}", "–"),
            });
            print_line(&format!(
                "{:<14} {:>9.2}{}",
                names[it.at],
                it.score,
                cells.collect::<String>()
            ))?;
        }
        match chosen {
            Some(chosen) => print_line(&format!("\n--configs {}", chosen.join(","))),
            None => Ok(()),
        }
    }
}
