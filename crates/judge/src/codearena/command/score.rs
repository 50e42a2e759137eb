//! `orrery codearena score` and `report`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, print_json, print_line, report, warn};
use clap::Args;
use serde_json::json;

use crate::codearena::bias::Bias;
use crate::codearena::report;
use crate::codearena::scores::{About, Groups, JudgedItem, Scores, each_judged, read_judged};
use crate::codearena::tables::{By, Format, Row, Table};
use crate::codearena::taxonomy::UNCLASSIFIED;

/// Options of `score`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena score --judged judged.jsonl
  orrery codearena score --judged judged.jsonl --by sub --format latex
  orrery codearena score --judged judged.jsonl --metric judged.jsonl.metric")]
pub struct Score {
    /// A judged file, ours or the official one
    #[arg(long, alias = "output_path", value_name = "FILE")]
    judged: PathBuf,
    /// Columns of the table
    #[arg(long, value_enum, default_value = "main")]
    by: By,
    /// Format of the table
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Leave out items whose games both have no label; the official program counts them as ties
    #[arg(long)]
    drop_failed: bool,
    /// Least share of games with a label; below it there is no score
    #[arg(long, value_name = "SHARE", default_value_t = LABELLED, value_parser = share)]
    min_labelled: f32,
    /// Write the metrics as the official program does, with the same keys
    #[arg(long, value_name = "FILE")]
    metric: Option<PathBuf>,
    /// Print one JSON object with everything
    #[arg(long)]
    json: bool,
}

impl Score {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let counted = Counted::read(&self.judged, self.by, self.drop_failed, &mut |_| {})?;
        let Counted {
            about,
            scores,
            bias,
            groups,
        } = counted;
        if scores.all.items == 0 {
            return Err(Failure::input(
                "no item has a label: judge them again, or leave `--drop-failed` out",
            ));
        }
        demand_labels(&self.judged, &bias, self.min_labelled)?;
        if let Some(path) = &self.metric {
            let mut text =
                serde_json::to_vec_pretty(&scores.official()).map_err(Failure::failed)?;
            text.push(b'\n');
            base::files::write_bytes(path, &text)?;
        }
        let table = Table::new(vec![Row {
            name: about.model.unwrap_or_else(|| "model".into()),
            groups,
            all: scores.all,
        }]);
        if self.json {
            return print_json(&json!({
                "metric": scores.official(), "items": scores.all.items, "failed_items": scores.failed,
                "games": bias.games, "labelled_games": bias.games - bias.failed_games,
                "table": table.json(), "bias": bias,
            }));
        }
        print_line(&table.render(self.format))?;
        if self.format != Format::Table {
            return Ok(());
        }
        let percent = |share: Option<f64>| {
            share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
        };
        print_line(&format!(
            "\n{} of {} games have a label\nscore {:.1} %, won {:.1} %, tied {:.1} % of {} items; {} items without any label count as ties\n\
             judge: position bias {} of {} items, {} of the games without a label",
            bias.games - bias.failed_games,
            bias.games,
            100.0 * scores.all.score(),
            100.0 * scores.all.win_rate(),
            100.0 * scores.all.tie_rate(),
            scores.all.items,
            scores.failed,
            percent(bias.position_bias),
            bias.complete,
            percent(bias.failure_rate),
        ))
    }
}

/// Least share of games with a label, where nobody says otherwise.
pub(super) const LABELLED: f32 = 0.5;

/// A share from 0 to 1, for clap.
pub(super) fn share(text: &str) -> Result<f32, String> {
    base::command::number_in(text, 0.0, 1.0)
}

/// Refuses a file in which fewer than `least` of the games have a label: unjudged ties are not a result.
pub(super) fn demand_labels(path: &Path, bias: &Bias, least: f32) -> Result<(), Failure> {
    let labelled = bias.games - bias.failed_games;
    match labelled as f64 >= f64::from(least) * bias.games as f64 {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "only {labelled} of {} games of `{}` have a label, fewer than {:.0} %: play them again with `judge --retry-unlabelled`, or lower `--min-labelled`",
            bias.games,
            path.display(),
            100.0 * least
        ))),
    }
}

/// A judged file counted item by item, of which nothing else stays in memory.
pub(super) struct Counted {
    pub(super) about: About,
    pub(super) scores: Scores,
    pub(super) bias: Bias,
    /// By what was asked for.
    pub(super) groups: Groups,
}

impl Counted {
    /// Reads a file and tells what is odd about it; `each` sees what is counted.
    pub(super) fn read(
        path: &Path,
        by: By,
        drop_failed: bool,
        each: &mut dyn FnMut(&JudgedItem),
    ) -> Result<Self, Failure> {
        let (mut scores, mut bias, mut groups) =
            (Scores::default(), Bias::default(), Groups::new());
        let mut unknown = 0;
        let about = each_judged(path, &mut |item| {
            unknown += usize::from(is_unknown(&item));
            if drop_failed && item.failed() {
                return;
            }
            scores.add(&item);
            bias.add(&item);
            by.add(&mut groups, &item);
            each(&item);
        })?;
        warn_of_oddities(path, &about, unknown);
        scores.model.clone_from(&about.model);
        Ok(Self {
            about,
            scores,
            bias,
            groups,
        })
    }
}

fn is_unknown(item: &JudgedItem) -> bool {
    item.class.main == UNCLASSIFIED
}

/// Tells what is odd about a judged file.
fn warn_of_oddities(path: &Path, about: &About, unknown: usize) {
    warn(&about.troubles);
    if unknown > 0 {
        let line = format!(
            "{unknown} items of `{}` have no task type of the taxonomy: they count as {UNCLASSIFIED}",
            path.display()
        );
        warn(&[line]);
    }
}

/// Options of `report`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery codearena report --judged judged.jsonl --out report.html"
)]
pub struct Report {
    /// A judged file
    #[arg(long, value_name = "FILE")]
    judged: PathBuf,
    /// The page
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Report {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let file = read_judged(&self.judged)?;
        let unknown = file.items.iter().filter(|item| is_unknown(item)).count();
        warn_of_oddities(&self.judged, &file.about, unknown);
        base::files::write_bytes(&self.out, report::html(&file).as_bytes())?;
        match self.json {
            true => print_json(
                &json!({"out": self.out.display().to_string(), "items": file.items.len()}),
            ),
            false => report(
                false,
                &format!("wrote {}: {} items", self.out.display(), file.items.len()),
            ),
        }
    }
}
