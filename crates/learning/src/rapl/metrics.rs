//! How well embeddings and rewards follow what is true: alignment of videos, rank correlation, preference accuracy.

use base::numerics::{kendall, spearman};

use super::Result;
use super::embeddings::Embeddings;
use super::ground::Ground;

/// Mean Kendall's τ of nearest neighbours over all ordered pairs of videos, every `stride`-th frame; pairs without one are left out,
/// and 0 where none has one (XIRL's evaluator).
///
/// # Errors
/// As [`Ground::costs`].
pub fn alignment_tau(videos: &[Embeddings], stride: usize, ground: Ground) -> Result<f64> {
    let videos: Vec<Embeddings> = videos.iter().map(|video| video.strided(stride)).collect();
    let mut found = Vec::new();
    for (i, query) in videos.iter().enumerate() {
        for (j, other) in videos.iter().enumerate() {
            if i == j {
                continue;
            }
            let costs = ground.costs(query, other)?;
            let nearest: Vec<f64> = (0..costs.rows)
                .map(|at| {
                    let row = costs.row(at);
                    let first =
                        |best: usize, at: usize| if row[at] < row[best] { at } else { best };
                    (0..row.len()).fold(0, first) as f64
                })
                .collect();
            let times: Vec<f64> = (0..nearest.len()).map(|at| at as f64).collect();
            found.extend(kendall(&times, &nearest).map(|tau| tau.value));
        }
    }
    Ok(match found.len() {
        0 => 0.0,
        n => found.iter().sum::<f64>() / n as f64,
    })
}

/// How learned video rewards follow the true ones.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Agreement {
    /// Spearman's ρ with mean ranks for ties; 0 where one list is constant.
    pub spearman: f64,
    /// Kendall's τ-b.
    pub kendall: f64,
    /// Share of pairs with different true rewards that are ordered as they are; ties count half.
    pub accuracy: f64,
}

/// Compares learned with true video rewards, one a video.
pub fn agreement(learned: &[f64], truth: &[f64]) -> Agreement {
    let (mut right, mut pairs) = (0.0, 0.0);
    for i in 0..truth.len() {
        for j in 0..i {
            if truth[i] != truth[j] {
                pairs += 1.0;
                right += match (truth[i] - truth[j]) * (learned[i] - learned[j]) {
                    product if product > 0.0 => 1.0,
                    product if product < 0.0 => 0.0,
                    _ => 0.5,
                };
            }
        }
    }
    Agreement {
        spearman: spearman(learned, truth).map_or(0.0, |found| found.value),
        kendall: kendall(learned, truth).map_or(0.0, |found| found.value),
        accuracy: if pairs > 0.0 { right / pairs } else { 0.5 },
    }
}
