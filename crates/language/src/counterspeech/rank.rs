//! Rankings of configurations over several indicators.

use base::numerics::mid_ranks;
use serde::{Deserialize, Serialize};

/// How ranks or scores of indicators become one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Mean rank; equal values share the mean of their ranks.
    #[default]
    Borda,
    /// Mean z-score.
    Z,
}

/// An indicator of all configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// Its name.
    pub name: String,
    /// Whether more is better.
    pub more_is_better: bool,
    /// A value for each configuration; none where it was not measured.
    pub values: Vec<Option<f64>>,
}

/// A configuration's place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// Number of the configuration.
    pub at: usize,
    /// Its rank by each indicator, 1 the best.
    pub ranks: Vec<Option<f64>>,
    /// Mean rank (less is better), or mean z-score (more is better).
    pub score: f64,
}

/// Orders `count` configurations, the best first. A configuration is judged by the indicators that it has; one without any
/// comes last. Equal scores keep the order of the configurations.
pub fn rank(count: usize, scales: &[Scale], aggregate: Aggregate) -> Vec<Ranked> {
    let mut ranks = vec![vec![None; scales.len()]; count];
    let mut z = ranks.clone();
    for (column, scale) in scales.iter().enumerate() {
        let sign = if scale.more_is_better { -1.0 } else { 1.0 };
        let known: Vec<(usize, f64)> = (0..count)
            .filter_map(|at| Some((at, sign * (*scale.values.get(at)?)?)))
            .collect();
        let values: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / values.len() as f64).sqrt();
        for ((at, value), rank) in known.iter().zip(mid_ranks(&values)) {
            ranks[*at][column] = Some(rank);
            let distance = if deviation > 0.0 {
                (mean - value) / deviation
            } else {
                0.0
            };
            z[*at][column] = Some(distance);
        }
    }
    let mean = |row: &Vec<Option<f64>>| {
        let known: Vec<f64> = row.iter().copied().flatten().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let mut ranked: Vec<Ranked> = (0..count)
        .map(|at| Ranked {
            at,
            score: match aggregate {
                Aggregate::Borda => mean(&ranks[at]).unwrap_or(f64::INFINITY),
                Aggregate::Z => mean(&z[at]).unwrap_or(f64::NEG_INFINITY),
            },
            ranks: ranks[at].clone(),
        })
        .collect();
    ranked.sort_by(|a, b| match aggregate {
        Aggregate::Borda => a.score.total_cmp(&b.score),
        Aggregate::Z => b.score.total_cmp(&a.score),
    });
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_ranks_and_z_scores() {
        let scale = |name: &str, more_is_better, values: [f64; 3]| Scale {
            name: name.into(),
            more_is_better,
            values: values.map(Some).to_vec(),
        };
        let scales = [
            scale("a", true, [1.0, 2.0, 2.0]),
            scale("b", false, [0.1, 0.2, 0.9]),
        ];
        let borda = rank(3, &scales, Aggregate::Borda);
        let order: Vec<(usize, f64)> = borda.iter().map(|it| (it.at, it.score)).collect();
        assert_eq!(order, [(1, 1.75), (0, 2.0), (2, 2.25)]);
        assert_eq!(borda[0].ranks, [Some(1.5), Some(2.0)]);
        let z = rank(3, &scales, Aggregate::Z);
        assert_eq!(z[0].at, 1);
        assert!(z.iter().map(|it| it.score).sum::<f64>().abs() < 1e-12);
    }
}
