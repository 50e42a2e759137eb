//! Do raters agree, and do indicators agree with them?

use std::collections::BTreeMap;

use base::numerics::{Correlation, kendall, krippendorff_ordinal, spearman};
use serde::Serialize;

use super::super::indicators::{COLUMNS, Measured, PANELS, value};
use super::Rating;

/// Agreement of raters in one aspect and condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The aspect.
    pub aspect: String,
    /// The condition.
    pub condition: String,
    /// Krippendorff's α, ordinal.
    pub alpha: Option<f64>,
}

/// Agreement in every aspect and condition; what is rated is a reply.
pub(super) fn agreement(ratings: &[&Rating]) -> Vec<Agreement> {
    type Units<'a> = BTreeMap<(&'a str, &'a str), Vec<i64>>;
    let mut cells: BTreeMap<(&str, &str), Units<'_>> = BTreeMap::new();
    for rating in ratings {
        let cell = (rating.aspect.as_str(), rating.condition.as_str());
        let unit = (rating.record.as_str(), rating.config.as_str());
        cells
            .entry(cell)
            .or_default()
            .entry(unit)
            .or_default()
            .push(rating.value);
    }
    let one = |((aspect, condition), units): ((&str, &str), Units<'_>)| Agreement {
        aspect: aspect.to_owned(),
        condition: condition.to_owned(),
        alpha: krippendorff_ordinal(&units.into_values().collect::<Vec<_>>()),
    };
    cells.into_iter().map(one).collect()
}

/// How an indicator goes with the ratings of an aspect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndicatorAgreement {
    /// The aspect.
    pub aspect: String,
    /// The indicator.
    pub indicator: String,
    /// `configurations` or `replies`.
    pub over: &'static str,
    /// How many.
    pub count: usize,
    /// Spearman's ρ.
    pub spearman: f64,
    /// Its p.
    pub p_spearman: f64,
    /// Kendall's τ-b.
    pub kendall: f64,
    /// Its p.
    pub p_kendall: f64,
}

/// Correlations of mean ratings with indicators, over configurations (means of both) and over single replies. Indicators that
/// are constant, or that fewer than three have, give none.
pub fn against_indicators(ratings: &[&Rating], measured: &[Measured]) -> Vec<IndicatorAgreement> {
    let mut aspects: BTreeMap<&str, BTreeMap<(&str, &str), Vec<f64>>> = BTreeMap::new();
    for rating in ratings {
        let reply = (rating.record.as_str(), rating.config.as_str());
        let replies = aspects.entry(rating.aspect.as_str()).or_default();
        replies.entry(reply).or_default().push(rating.value as f64);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut found = Vec::new();
    for (aspect, replies) in &aspects {
        for column in indicators() {
            let both = measured.iter().filter_map(|it| {
                let rated = replies.get(&(it.record.as_str(), it.config.as_str()))?;
                Some((it.config.as_str(), mean(rated), value(it, column)?))
            });
            let both: Vec<(&str, f64, f64)> = both.collect();
            let mut configs: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
            for (config, human, indicator) in &both {
                configs
                    .entry(config)
                    .or_default()
                    .push((*human, *indicator));
            }
            let of_configs = configs.values().map(|pairs| {
                let (human, indicator): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
                (mean(&human), mean(&indicator))
            });
            let over: [(&'static str, Vec<(f64, f64)>); 2] = [
                ("configurations", of_configs.collect()),
                ("replies", both.iter().map(|it| (it.1, it.2)).collect()),
            ];
            for (over, pairs) in over {
                let (human, indicator): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
                let (Some(rho), Some(tau)) =
                    (spearman(&human, &indicator), kendall(&human, &indicator))
                else {
                    continue;
                };
                found.push(row(aspect, column, over, human.len(), [rho, tau]));
            }
        }
    }
    found
}

fn row(
    aspect: &str,
    indicator: &str,
    over: &'static str,
    count: usize,
    [rho, tau]: [Correlation; 2],
) -> IndicatorAgreement {
    IndicatorAgreement {
        aspect: aspect.to_owned(),
        indicator: indicator.to_owned(),
        over,
        count,
        spearman: rho.value,
        p_spearman: rho.p,
        kendall: tau.value,
        p_kendall: tau.p,
    }
}

/// The columns that stand for panels.
fn indicators() -> impl Iterator<Item = &'static str> {
    let of_panels = |column: &&str| PANELS.iter().any(|panel| panel.2.contains(column));
    COLUMNS.into_iter().filter(of_panels)
}
