//! The classical merges as PEFT's `add_weighted_adapter` computes them: linear, concatenation, TIES (Yadav et al., 2023), DARE
//! (Yu et al., 2023), pruning by magnitude; on the factors, or on the update and then truncated.

use std::fmt;

use base::rng::Rng;
use serde::Serialize;

use super::adapter::Factors;
use super::matrix::Matrix;
use super::svd::truncated;

/// Which values count, and how they are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// All values, summed.
    Linear,
    /// The largest values, summed.
    MagnitudePrune,
    /// The largest values; of each entry those with the elected sign, averaged.
    Ties,
    /// Randomly kept values, scaled up, summed.
    DareLinear,
    /// Randomly kept values, scaled up; those with the elected sign, averaged.
    DareTies,
}

impl Rule {
    /// Its name in PEFT.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::MagnitudePrune => "magnitude_prune",
            Self::Ties => "ties",
            Self::DareLinear => "dare_linear",
            Self::DareTies => "dare_ties",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where kept entries come from: drawn, or recorded.
pub trait Keep {
    /// Which of `count` entries are kept, each with probability `density`.
    fn keep(&mut self, count: usize, density: f64) -> Vec<bool>;
}

impl Keep for Rng {
    fn keep(&mut self, count: usize, density: f64) -> Vec<bool> {
        (0..count).map(|_| self.chance(density as f32)).collect()
    }
}

/// A rule with its weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    /// The rule.
    pub rule: Rule,
    /// Weight of content and style.
    pub weights: [f32; 2],
    /// Share of the values that is kept, in `(0, 1]`; for rules that drop some.
    pub density: f64,
}

impl Weighted {
    /// Merges the factors, each side for itself, weighted by the root of `|weight · scale|`; the sign goes to the down side. The product holds cross
    /// terms of the two: it is not the sum of the updates. None where the ranks differ.
    pub fn factors(&self, pair: [&Factors; 2], keep: &mut dyn Keep) -> Option<Factors> {
        if pair[0].rank() != pair[1].rank() {
            return None;
        }
        let at = |side: usize| self.weights[side] * pair[side].scale();
        let roots = [0, 1].map(|side| at(side).abs().sqrt());
        let signed = [0, 1].map(|side| roots[side] * at(side).signum());
        let down = self.merge([&pair[0].down, &pair[1].down], signed, keep);
        let up = self.merge([&pair[0].up, &pair[1].up], roots, keep);
        Some(Factors {
            kernel: pair[0].kernel.clone(),
            ..Factors::new(down, up)
        })
    }

    /// Merges the updates and truncates to the larger rank.
    pub fn update(&self, pair: [&Factors; 2], keep: &mut dyn Keep) -> Factors {
        let [content, style] = pair.map(Factors::update);
        let merged = self.merge([&content, &style], self.weights, keep);
        let (up, down) = truncated(&merged, pair[0].rank().max(pair[1].rank()));
        Factors {
            kernel: pair[0].kernel.clone(),
            ..Factors::new(down, up)
        }
    }

    fn merge(&self, pair: [&Matrix; 2], weights: [f32; 2], keep: &mut dyn Keep) -> Matrix {
        let values = pair.map(|matrix| match self.rule {
            Rule::Linear => matrix.values.clone(),
            Rule::MagnitudePrune | Rule::Ties => largest(&matrix.values, self.density),
            Rule::DareLinear | Rule::DareTies => {
                let kept = keep.keep(matrix.values.len(), self.density);
                let pairs = matrix.values.iter().zip(kept);
                pairs
                    .map(|(value, kept)| {
                        if kept {
                            value / self.density as f32
                        } else {
                            0.0
                        }
                    })
                    .collect()
            }
        });
        let elects = matches!(self.rule, Rule::Ties | Rule::DareTies);
        let entry = |(a, b): (&f32, &f32)| {
            let weighted = [a * weights[0], b * weights[1]];
            if !elects {
                return weighted[0] + weighted[1];
            }
            // The sign of the unweighted sum; zero counts as positive. A zero agrees with neither sign.
            let sign = if a + b >= 0.0 { 1.0 } else { -1.0 };
            let agreeing = [a, b].map(|value| value * sign > 0.0);
            let count = agreeing.iter().filter(|agrees| **agrees).count();
            let pairs = weighted.iter().zip(agreeing);
            let sum: f32 = pairs
                .map(|(value, agrees)| if agrees { *value } else { 0.0 })
                .sum();
            sum / count.max(1) as f32
        };
        Matrix {
            rows: pair[0].rows,
            columns: pair[0].columns,
            values: values[0].iter().zip(&values[1]).map(entry).collect(),
        }
    }
}

/// The `density · n` values of largest magnitude; zeros elsewhere. Of equal ones the first are kept.
fn largest(values: &[f32], density: f64) -> Vec<f32> {
    let count = (density * values.len() as f64) as usize;
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    let key = |at: &u32| (std::cmp::Reverse(values[*at as usize].abs().to_bits()), *at);
    if count < order.len() {
        order.select_nth_unstable_by_key(count, key);
        order.truncate(count);
    }
    let mut kept = vec![0.0; values.len()];
    for at in order {
        kept[at as usize] = values[at as usize];
    }
    kept
}
