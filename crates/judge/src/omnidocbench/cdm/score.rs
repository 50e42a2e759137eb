//! From two drawings to precision, recall and F1.

use super::assign::{Pair, pair};
use super::boxes::Drawing;
use super::consensus::{Point, consensus};

/// How well one drawn formula matches another. Shares in `[0, 1]`, rounded to three decimals as the official code does.
#[derive(Clone, Debug, PartialEq)]
pub struct CdmScore {
    /// Share of the ground truth's tokens that were found.
    pub recall: f64,
    /// Share of the prediction's tokens that are right.
    pub precision: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Which boxes were paired.
    pub pairs: Vec<Pair>,
    /// For each pair whether it is believed: same symbol, same place.
    pub inliers: Vec<bool>,
}

impl CdmScore {
    /// Whether nothing differs; the share of such pairs is ExpRate@CDM.
    pub fn exact(&self) -> bool {
        self.f1 == 1.0
    }
}

/// Compares two drawings, each with at least one box.
pub fn compare(ground_truth: &Drawing, prediction: &Drawing) -> CdmScore {
    let pairs = pair(ground_truth, prediction);
    let centre = |bounds: [i64; 4]| -> Point {
        [
            (bounds[1] + bounds[3]) as f64 / 2.0,
            (bounds[0] + bounds[2]) as f64 / 2.0,
        ]
    };
    let points: Vec<(Point, Point)> = pairs
        .iter()
        .map(|pair| {
            (
                centre(ground_truth.boxes[pair.ground_truth].bounds),
                centre(prediction.boxes[pair.prediction].bounds),
            )
        })
        .collect();
    let mut inliers = consensus(&points);
    for (inlier, pair) in inliers.iter_mut().zip(&pairs) {
        *inlier &= pair.token_cost != 1.0;
    }
    let right = inliers.iter().filter(|inlier| **inlier).count() as f64;
    let (wanted, given) = (
        ground_truth.boxes.len() as f64,
        prediction.boxes.len() as f64,
    );
    let share = |part: f64, whole: f64| {
        if whole > 0.0 {
            thousandths(part / whole)
        } else {
            0.0
        }
    };
    CdmScore {
        recall: share(right, wanted),
        precision: share(right, given),
        f1: share(2.0 * right, wanted + given),
        pairs,
        inliers,
    }
}

/// Rounded to three decimals of the exact value, halves to even, as Python's `round` does.
fn thousandths(value: f64) -> f64 {
    format!("{value:.3}").parse().unwrap_or(value)
}
