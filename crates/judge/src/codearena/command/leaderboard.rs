//! `orrery codearena leaderboard`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, print_json, print_line, warn};
use base::numerics::spearman;
use base::rng::Rng;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::score::{Counted, LABELLED, demand_labels, share};
use crate::codearena::item::{BASELINE, Identity};
use crate::codearena::rating::{Board, Games, Rating};
use crate::codearena::tables::{By, Format, Row, Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scale {
    /// Bradley–Terry, the baseline at 1000
    Bt,
}

/// Options of `leaderboard`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena leaderboard a.jsonl b.jsonl --format markdown
  orrery codearena leaderboard a.jsonl b.jsonl --rating bt
  orrery codearena leaderboard a.jsonl b.jsonl c.jsonl --against humaneval.json   # {\"model\": score, …}")]
pub struct Leaderboard {
    /// Judged files, one a model
    #[arg(required = true, value_name = "FILE")]
    judged: Vec<PathBuf>,
    /// Columns of the table
    #[arg(long, value_enum, default_value = "main")]
    by: By,
    /// Format of the table
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Ratings in place of win rates
    #[arg(long, value_enum)]
    rating: Option<Scale>,
    /// The baseline, where files do not name it
    #[arg(long, default_value = BASELINE)]
    baseline: String,
    /// Bootstrap rounds of the intervals
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    rounds: u64,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// JSON with a score of another benchmark for each model: prints the pairs and their rank correlation
    #[arg(long, value_name = "FILE", conflicts_with = "rating")]
    against: Option<PathBuf>,
    /// Least share of games with a label in each file; below it there is no table
    #[arg(long, value_name = "SHARE", default_value_t = LABELLED, value_parser = share)]
    min_labelled: f32,
    #[command(flatten)]
    output: Output,
}

impl Leaderboard {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let (mut rows, mut board) = (Vec::new(), Board::default());
        for path in &self.judged {
            let stem = || {
                path.file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            };
            // Files agree in their questions and not in their ids, which the official judge numbers anew; items that share a
            // text are distinguished by how often it came before.
            let mut times: HashMap<Identity, usize> = HashMap::new();
            let mut games = Games::default();
            let file = Counted::read(path, self.by, false, &mut |item| {
                let time = times.entry(Identity::of(&item.item.question)).or_default();
                games.add(&format!("{time} {}", item.item.question), &item.labels);
                *time += 1;
            })?;
            demand_labels(path, &file.bias, self.min_labelled)?;
            let name = file.about.model.unwrap_or_else(stem);
            let baseline = file.about.baseline.as_deref().unwrap_or(&self.baseline);
            board.add_all(&name, baseline, games);
            rows.push(Row {
                name,
                groups: file.groups,
                all: file.scores.all,
            });
        }
        if self.rating.is_some() {
            let ratings = board.ratings(
                &self.baseline,
                self.rounds as usize,
                &Rng::new(self.seed).child("bootstrap"),
            )?;
            let warnings = ratings.iter().filter_map(|rating| rating.warning.clone());
            warn(&warnings.collect::<Vec<_>>());
            return match self.output.json || self.format == Format::Json {
                true => print_json(&json!({"ratings": ratings})),
                false => print_line(&self.ratings(&ratings)),
            };
        }
        rows.sort_by(|a, b| {
            b.all
                .score()
                .total_cmp(&a.all.score())
                .then_with(|| a.name.cmp(&b.name))
        });
        if let Some(path) = &self.against {
            return self.agreement(&rows, path);
        }
        let format = if self.output.json {
            Format::Json
        } else {
            self.format
        };
        print_line(&Table::new(rows).render(format))
    }

    fn ratings(&self, ratings: &[Rating]) -> String {
        let row = |rating: &Rating| {
            let end = |at: usize| rating.interval.and_then(|ends| ends.get(at).copied());
            let number =
                |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
            [
                rating.name.clone(),
                number(Some(rating.rating)),
                number(end(0)),
                number(end(1)),
                format!("{:.1}", 100.0 * rating.win_rate),
                rating.games.to_string(),
            ]
        };
        let heads = ["model", "rating", "low", "high", "wins", "games"];
        let rows = ratings.iter().map(row);
        self.format.write(&base::table::Table::new(heads, rows))
    }

    /// The pairs of the paper's figure 8, and Spearman's correlation [ours].
    fn agreement(&self, rows: &[Row], path: &Path) -> Result<(), Failure> {
        let shown = path.display();
        let text = base::files::read(path).map_err(|cause| {
            Failure::input(format!("cannot read `{shown}`: {cause}: check the path"))
        })?;
        let other: BTreeMap<String, f64> = serde_json::from_slice(&text).map_err(|cause| {
            Failure::input(format!("`{shown}` is not an object of numbers: {cause}"))
        })?;
        let pairs: Vec<(&str, f64, f64)> = rows
            .iter()
            .filter_map(|row| Some((row.name.as_str(), row.all.score(), *other.get(&row.name)?)))
            .collect();
        let (ours, theirs): (Vec<f64>, Vec<f64>) =
            pairs.iter().map(|pair| (pair.1, pair.2)).unzip();
        let correlation = spearman(&ours, &theirs).map(|it| it.value).ok_or_else(|| {
            Failure::input(format!("`{shown}` names fewer than 3 of the models, or all have one score: a rank correlation needs more"))
        })?;
        if self.output.json {
            return print_json(&json!({"pairs": pairs, "spearman": correlation}));
        }
        let lines = pairs
            .iter()
            .map(|(name, a, b)| format!("{name},{:.4},{b}\n", a));
        print_line(&format!(
            "model,codearena,other\n{}spearman,{correlation:.4},",
            lines.collect::<String>()
        ))
    }
}
