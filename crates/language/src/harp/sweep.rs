//! θ, δ and β at once, on given texts.

use base::rng::Rng;
use serde::Serialize;

use super::{HarpPipeline, Position, SystemError, score};

/// What is swept.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Thresholds, in bits; 0 looks twice nearly always.
    pub thetas: Vec<f32>,
    /// Shares of coordinates that are set to zero.
    pub deltas: Vec<f32>,
    /// Weights of the ordinary logits.
    pub betas: Vec<f32>,
    /// Seed of the masks.
    pub seed: u64,
}

/// One setting over all positions; the first row is the ordinary model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepRow {
    /// θ, δ and β; absent for the ordinary model.
    pub setting: Option<[f32; 3]>,
    /// Share of positions whose best token was right.
    pub accuracy: f64,
    /// Mean `−ln p` of the right token, in nats.
    pub loss: f64,
    /// Share of positions with a second look.
    pub hesitation_rate: f64,
    /// Positions.
    pub positions: usize,
}

/// A text, and how many of its first tokens are not scored.
pub type Text = (Vec<u32>, usize);

/// Scores every setting of `grid` on `texts`, teacher-forced; `progress` hears how many are done.
///
/// # Errors
/// [`SystemError`] where texts do not fit the model or hold nothing to score.
pub fn sweep(
    pipeline: &HarpPipeline,
    texts: &[Text],
    grid: &Grid,
    progress: &mut dyn FnMut(usize) -> Result<(), SystemError>,
) -> Result<Vec<SweepRow>, SystemError> {
    let mut positions = Vec::new();
    for (at, (ids, from)) in texts.iter().enumerate() {
        progress(at)?;
        let mut rng = Rng::new(grid.seed).child("reframe").item(at as u64);
        let from = (*from).max(1);
        positions.extend(score(
            &pipeline.decoder,
            ids,
            from,
            &grid.deltas,
            &grid.betas,
            &mut rng,
        )?);
    }
    if positions.is_empty() {
        return Err(SystemError::Input(
            "the texts have no position to score: give longer ones".into(),
        ));
    }
    let mut rows = vec![row(&positions, None, 0)];
    for (d, &delta) in grid.deltas.iter().enumerate() {
        for (b, &beta) in grid.betas.iter().enumerate() {
            for &theta in &grid.thetas {
                let column = d * grid.betas.len() + b;
                rows.push(row(&positions, Some([theta, delta, beta]), column));
            }
        }
    }
    Ok(rows)
}

fn row(positions: &[Position], setting: Option<[f32; 3]>, column: usize) -> SweepRow {
    let (mut hits, mut loss, mut looks) = (0.0, 0.0, 0.0);
    for position in positions {
        let guess = match setting {
            Some([theta, ..]) if position.entropy > theta => {
                looks += 1.0;
                position.mixed[column]
            }
            _ => position.vanilla,
        };
        hits += f64::from(u8::from(guess.hit));
        loss += guess.loss;
    }
    let count = positions.len() as f64;
    SweepRow {
        setting,
        accuracy: hits / count,
        loss: loss / count,
        hesitation_rate: looks / count,
        positions: positions.len(),
    }
}
