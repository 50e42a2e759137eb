//! `eval` and `calibrate`: how well scores tell risky from harmless.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps, print_line, use_calling_thread_as_worker};
use base::numerics::statistics::Interval;
use base::rng::Rng;
use clap::Args;
use serde_json::{Value, json};

use super::options::{ModelOptions, open_records, probability};
use crate::guardian::metrics::{Metrics, Scored, interval};
use crate::guardian::pipeline::THRESHOLD;
use crate::guardian::record::Record;

/// Options of `eval`.
#[derive(Args, Debug)]
#[command(
    after_help = "Lines that have a probability are taken as they are, such as those of `screen`; the others are assessed.

Examples:
  orrery guardian eval --data labelled.jsonl
  orrery guardian eval --data scored.jsonl --roc roc.json --json"
)]
pub struct Eval {
    /// Labelled lines
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Bootstrap resamples for the 95 % intervals
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    resamples: u32,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the points of the ROC curves here, as JSON
    #[arg(long, value_name = "FILE")]
    roc: Option<PathBuf>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    output: Output,
}

/// Scores and labels by risk.
type Scores = BTreeMap<String, (Vec<f64>, Vec<bool>)>;

/// Takes or makes the score of every labelled line.
fn score(
    records: &[Record],
    model: &ModelOptions,
    quiet: bool,
    context: Context,
) -> Result<Scores, Failure> {
    let labelled: Vec<&Record> = records
        .iter()
        .filter(|record| record.label.is_some())
        .collect();
    if labelled.is_empty() {
        return Err(Failure::input(
            "no line has a `label`: 1 where the risk is there, 0 where it is not",
        ));
    }
    let given = |record: &Record| {
        record
            .rest
            .get("probability")
            .and_then(Value::as_f64)
            .filter(|p| (0.0..=1.0).contains(p))
    };
    let guardian = match labelled.iter().all(|record| given(record).is_some()) {
        true => None,
        false => Some(model.load(&[])?),
    };
    let mut scores = Scores::new();
    let mut steps = Steps::new("assessing", quiet);
    for (index, record) in labelled.iter().enumerate() {
        context.proceed()?;
        let risk = record.config()?;
        let score = match (given(record), &guardian) {
            (Some(score), _) => score,
            (None, Some(guardian)) => guardian.assess(&record.messages, &risk)?.probability,
            (None, None) => continue,
        };
        let (all, risky) = scores.entry(risk.name().to_owned()).or_default();
        all.push(score);
        risky.push(record.risky().unwrap_or_default());
        steps.at(index + 1, labelled.len());
    }
    steps.finish();
    Ok(scores)
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let mut scores = score(
            &open_records(&self.data)?.0,
            &self.model,
            self.output.json,
            context,
        )?;
        if scores.len() > 1 {
            let all = scores
                .values()
                .flat_map(|(s, r)| s.iter().copied().zip(r.iter().copied()))
                .unzip();
            scores.insert("all".into(), all);
        }
        let mut found = serde_json::Map::new();
        let mut curves = serde_json::Map::new();
        for (risk, (scores, risky)) in &scores {
            let scored = Scored::new(scores, risky);
            let threshold = THRESHOLD;
            let metrics = scored.metrics(threshold);
            let resampled = scored.resampled(
                threshold,
                self.resamples as usize,
                &Rng::new(self.seed).child(risk),
            );
            let bounds = |metric: fn(&Metrics) -> Option<f64>| {
                interval(
                    resampled.iter().filter_map(metric).collect(),
                    resampled.len(),
                )
            };
            let intervals: BTreeMap<&str, Option<Interval>> = NAMED
                .iter()
                .map(|(name, metric)| (*name, bounds(*metric)))
                .collect();
            if !self.output.json {
                print_line(&format!(
                    "{risk}: {} items, {} risky",
                    metrics.items, metrics.risky
                ))?;
                for (name, metric) in NAMED {
                    let value =
                        metric(&metrics).map_or("–".to_owned(), |value| format!("{value:.3}"));
                    let bounds = intervals[name].map_or(String::new(), |it| {
                        format!("  [{:.3}, {:.3}]", it.low, it.high)
                    });
                    print_line(&format!("  {name:<22} {value}{bounds}"))?;
                }
                for low in &metrics.low_rates {
                    print_line(&format!(
                        "  up to FPR {:<12} AUC {:.3}, recall {:.3}",
                        low.fpr, low.auc, low.recall
                    ))?;
                }
            }
            found.insert(
                risk.clone(),
                json!({"metrics": metrics, "intervals": intervals, "threshold": threshold}),
            );
            let points: Vec<[Option<f64>; 3]> = scored
                .roc()
                .iter()
                .map(|point| point.map(|x| x.is_finite().then_some(x)))
                .collect();
            curves.insert(risk.clone(), json!(points));
        }
        if let Some(path) = &self.roc {
            let text =
                json!({"columns": ["false_positive_rate", "recall", "threshold"], "risks": curves})
                    .to_string();
            base::files::write_bytes(path, text.as_bytes())?;
        }
        match self.output.json {
            true => print_line(&Value::Object(found).to_string()),
            false => Ok(()),
        }
    }
}

type Metric = fn(&Metrics) -> Option<f64>;

/// Metrics with intervals.
const NAMED: [(&str, Metric); 10] = [
    ("auc", |m| m.auc),
    ("auprc", |m| m.auprc),
    ("f1", |m| Some(m.f1)),
    ("recall", |m| m.recall),
    ("precision", |m| Some(m.precision)),
    ("false_positive_rate", |m| m.false_positive_rate),
    ("balanced_accuracy", |m| m.balanced_accuracy),
    ("accuracy", |m| Some(m.accuracy)),
    ("f1_macro", |m| Some(m.f1_macro)),
    ("recall_at_fpr_0.1", |m| {
        m.low_rates.first().map(|low| low.recall)
    }),
];

/// Options of `calibrate`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery guardian calibrate --data labelled.jsonl --fpr 0.05 --out thresholds.json")]
pub struct Calibrate {
    /// Labelled lines that no metric will be reported on
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Highest share of harmless items that may be flagged
    #[arg(long, default_value = "0.05", value_parser = probability)]
    fpr: f32,
    /// Where the thresholds go, for --thresholds of the other verbs
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    output: Output,
}

impl Calibrate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let scores = score(
            &open_records(&self.data)?.0,
            &self.model,
            self.output.json,
            context,
        )?;
        let mut thresholds = BTreeMap::new();
        for (risk, (scores, risky)) in &scores {
            let scored = Scored::new(scores, risky);
            let threshold = scored.threshold_at(f64::from(self.fpr)).ok_or_else(|| {
                Failure::input(format!(
                    "`{risk}` has no harmless line (label 0): false positives cannot be counted"
                ))
            })?;
            if !self.output.json {
                let metrics = scored.metrics(threshold);
                let recall = metrics
                    .recall
                    .map_or("–".into(), |recall| format!("{recall:.3}"));
                print_line(&format!(
                    "{risk:<20} threshold {threshold:.4}: recall {recall} on these lines"
                ))?;
            }
            thresholds.insert(risk, threshold);
        }
        let text = json!({"fpr": self.fpr, "thresholds": thresholds});
        base::files::write_bytes(&self.out, format!("{text}\n").as_bytes())?;
        match self.output.json {
            true => print_line(&text.to_string()),
            false => Ok(()),
        }
    }
}
