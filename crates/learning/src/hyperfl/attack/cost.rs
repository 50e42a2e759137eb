//! How far one gradient is from another.

use std::ops::Range;

use crate::hyperfl::vector::{dot64, squares};

/// Distances between gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// 1 − cosine over all tensors together (Inverting Gradients)
    #[default]
    Sim,
    /// Squared differences (DLG)
    L2,
    /// Absolute differences
    L1,
    /// 1 − cosine of each tensor, summed
    SimLocal,
}

/// Norms below which a cosine says nothing.
const LEAST: f64 = 1e-20;

impl Cost {
    /// The cost of `found` where `wanted` was seen, and its derivative by `found`; `tensors` are the places of the tensors.
    pub fn compare(
        self,
        tensors: &[Range<usize>],
        found: &[f32],
        wanted: &[f32],
    ) -> (f64, Vec<f32>) {
        match self {
            Self::Sim => one_minus_cosine(found, wanted),
            Self::SimLocal => {
                let mut grad = Vec::with_capacity(found.len());
                let mut sum = 0.0;
                for range in tensors {
                    let (cost, of) =
                        one_minus_cosine(&found[range.clone()], &wanted[range.clone()]);
                    sum += cost;
                    grad.extend(of);
                }
                (sum, grad)
            }
            Self::L2 | Self::L1 => {
                let mut sum = 0.0;
                let differences = found.iter().zip(wanted);
                let grad = differences.map(|(found, wanted)| {
                    let off = found - wanted;
                    if self == Self::L2 {
                        sum += f64::from(off) * f64::from(off);
                        2.0 * off
                    } else {
                        sum += f64::from(off.abs());
                        if off == 0.0 { 0.0 } else { off.signum() }
                    }
                });
                let grad = grad.collect();
                (sum, grad)
            }
        }
    }
}

/// Cosine between two lists; 0 where one is all zero. Computed on values divided by the largest, so that gradients of
/// saturated networks neither vanish nor overflow.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    1.0 - one_minus_cosine(a, b).0
}

fn one_minus_cosine(a: &[f32], b: &[f32]) -> (f64, Vec<f32>) {
    let largest = |values: &[f32]| {
        values
            .iter()
            .fold(0.0f32, |most, value| most.max(value.abs()))
    };
    let [la, lb] = [largest(a), largest(b)];
    let nothing = || (1.0, vec![0.0; a.len()]);
    if !(la > 0.0 && lb > 0.0 && la.is_finite() && lb.is_finite()) {
        return nothing();
    }
    let scaled = |values: &[f32], by: f32| -> Vec<f32> { values.iter().map(|v| v / by).collect() };
    let (x, y) = (scaled(a, la), scaled(b, lb));
    let (xx, yy, xy) = (squares(&x), squares(&y), dot64(&x, &y));
    let norms = xx.sqrt() * yy.sqrt();
    if norms < LEAST {
        return nothing();
    }
    let cosine = xy / norms;
    let [from_y, from_x] = [-1.0 / norms, cosine / xx].map(|factor| factor / f64::from(la));
    let grad = x
        .iter()
        .zip(&y)
        .map(|(x, y)| (from_y * f64::from(*y) + from_x * f64::from(*x)) as f32)
        .collect();
    (1.0 - cosine, grad)
}

/// Mean absolute difference of neighbours across plus that of neighbours down, and its derivative, of pictures
/// `[count, channels, rows, columns]`.
pub fn total_variation(x: &[f32], [_, rows, columns]: [usize; 3]) -> (f64, Vec<f32>) {
    let mut grad = vec![0.0; x.len()];
    let planes = x.len() / (rows * columns).max(1);
    let across = (planes * rows * (columns - 1)) as f64;
    let down = (planes * (rows - 1) * columns) as f64;
    let mut sum = 0.0;
    for plane in 0..planes {
        for row in 0..rows {
            for column in 0..columns {
                let at = (plane * rows + row) * columns + column;
                let mut pair = |other: usize, count: f64| {
                    let off = x[other] - x[at];
                    sum += f64::from(off.abs()) / count;
                    let sign = if off == 0.0 { 0.0 } else { off.signum() };
                    let part = sign / count as f32;
                    grad[other] += part;
                    grad[at] -= part;
                };
                if column + 1 < columns {
                    pair(at + 1, across);
                }
                if row + 1 < rows {
                    pair(at + columns, down);
                }
            }
        }
    }
    (sum, grad)
}
