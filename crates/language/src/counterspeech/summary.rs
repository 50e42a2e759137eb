//! Indicators of configurations: means with intervals, and what factors do to them.

use std::collections::BTreeMap;

use base::numerics::bootstrap;
use base::numerics::statistics::Interval;
use base::rng::Rng;
use serde::Serialize;

use super::diversity::Diversity;
use super::grid::Factor;
use super::indicators::{COLUMNS, Measured, PANELS, value};
use super::rouge::{rouge_l, tokens};
use super::{Configuration, Row};

/// Draws of a bootstrap.
pub const DRAWS: usize = 2000;

/// A mean with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The mean of the replies that have the indicator.
    pub mean: f64,
    /// 95 %, by bootstrap over records.
    pub interval: Option<Interval>,
}

/// A configuration's indicators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigurationSummary {
    /// The configuration.
    pub config: String,
    /// Replies, refusals not among them.
    pub replies: usize,
    /// Refusals.
    pub refused: usize,
    /// Share of replies with P(harm) above ½.
    pub toxic_share: Option<f64>,
    /// By panel, then by column.
    pub means: BTreeMap<String, Mean>,
    /// Diversity of its replies.
    pub diversity: Diversity,
}

/// The mean of a panel over configurations with a factor and without it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactorEffect {
    /// The factor.
    pub factor: String,
    /// The panel.
    pub panel: &'static str,
    /// Over configurations with it.
    pub with: f64,
    /// Over all others.
    pub without: f64,
}

/// Summaries of the configurations, in the order in which they come.
pub fn summarise(rows: &[Row], measured: &[Measured], rng: &Rng) -> Vec<ConfigurationSummary> {
    let mut order: Vec<&str> = Vec::new();
    for row in rows {
        if !order.contains(&row.config.as_str()) {
            order.push(&row.config);
        }
    }
    let summary = |config: &&str| {
        let pairs = rows
            .iter()
            .zip(measured)
            .filter(|(row, _)| row.config == **config);
        let (rows, measured): (Vec<&Row>, Vec<&Measured>) = pairs.unzip();
        summary(config, &rows, &measured, &rng.child(config))
    };
    order.iter().map(summary).collect()
}

fn summary(config: &str, rows: &[&Row], measured: &[&Measured], rng: &Rng) -> ConfigurationSummary {
    let answered = || rows.iter().filter(|row| !row.refused);
    let mut means = BTreeMap::new();
    for column in COLUMNS {
        let values = measured
            .iter()
            .filter_map(|it| Some((it.record.as_str(), value(it, column)?)));
        let values: Vec<(&str, f64)> = values.collect();
        if let Some(mean) = clustered_mean(&values, &mut rng.child(column)) {
            means.insert(column.to_owned(), mean);
        }
    }
    let texts: Vec<&str> = answered().map(|row| row.text.as_str()).collect();
    let diversity = Diversity::of(&texts);
    if texts.len() > 1 {
        let interval = diversity_interval(&texts, &mut rng.child("diversity"));
        let mean = diversity.value();
        means.insert("diversity".into(), Mean { mean, interval });
    }
    for (panel, _, columns) in PANELS {
        if let Some(mean) = columns
            .iter()
            .find_map(|column| means.get(*column))
            .copied()
        {
            means.insert(panel.to_owned(), mean);
        }
    }
    let toxic: Vec<f64> = measured
        .iter()
        .filter_map(|it| value(it, "toxicity"))
        .collect();
    let above = toxic.iter().filter(|p| **p > 0.5).count() as f64;
    ConfigurationSummary {
        config: config.to_owned(),
        replies: texts.len(),
        refused: rows.len() - texts.len(),
        toxic_share: (!toxic.is_empty()).then(|| above / toxic.len() as f64),
        means,
        diversity,
    }
}

/// The mean of values by record, its interval by bootstrap over records; none of nothing.
pub(super) fn clustered_mean(values: &[(&str, f64)], rng: &mut Rng) -> Option<Mean> {
    let mut clusters: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (record, value) in values {
        let cluster = clusters.entry(record).or_default();
        *cluster = (cluster.0 + value, cluster.1 + 1.0);
    }
    let clusters: Vec<(f64, f64)> = clusters.into_values().collect();
    let mean = |drawn: &[usize]| {
        let sum = drawn.iter().map(|&at| clusters[at]);
        let (sum, count) = sum.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        sum / count
    };
    let all: Vec<usize> = (0..clusters.len()).collect();
    (!clusters.is_empty()).then(|| Mean {
        mean: mean(&all),
        interval: bootstrap(clusters.len(), DRAWS, rng, mean).filter(|_| clusters.len() > 1),
    })
}

/// The interval of 1 − mean pairwise ROUGE-L; a text that is drawn twice is not compared with itself.
fn diversity_interval(texts: &[&str], rng: &mut Rng) -> Option<Interval> {
    let tokens: Vec<Vec<String>> = texts.iter().map(|text| tokens(text)).collect();
    let count = tokens.len();
    let mut overlap = vec![0.0; count * count];
    for a in 0..count {
        for b in 0..a {
            let f = rouge_l(&tokens[a], &tokens[b]).f;
            (overlap[a * count + b], overlap[b * count + a]) = (f, f);
        }
    }
    // Quadratic in the texts: fewer draws where there are many.
    let draws = (20_000_000 / (count * count)).clamp(100, DRAWS);
    bootstrap(count, draws, rng, |drawn| {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (at, &a) in drawn.iter().enumerate() {
            for &b in drawn[..at].iter().filter(|b| **b != a) {
                sum += overlap[a * count + b];
                pairs += 1.0;
            }
        }
        1.0 - sum / pairs
    })
}

/// Means of every panel over configurations with and without each factor; where one side is empty there is no effect.
pub fn effects(summaries: &[ConfigurationSummary], factors: &[Factor]) -> Vec<FactorEffect> {
    let mut effects = Vec::new();
    for factor in factors {
        for (panel, ..) in PANELS {
            let side = |wanted: bool| {
                let chosen = summaries
                    .iter()
                    .filter(|it| factor.is_in(&Configuration::parse(&it.config)) == wanted);
                let values: Vec<f64> = chosen
                    .filter_map(|it| Some(it.means.get(panel)?.mean))
                    .collect();
                (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
            };
            if let (Some(with), Some(without)) = (side(true), side(false)) {
                effects.push(FactorEffect {
                    factor: factor.name.clone(),
                    panel,
                    with,
                    without,
                });
            }
        }
    }
    effects
}
