//! Mean cross entropy of logits, with labels or with probabilities as targets.

use crate::error::{LearningError, Result};

/// What a batch should be classified as.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One label a picture.
    Labels(Vec<u8>),
    /// Probabilities, `[batch, classes]`, each row with the sum 1.
    Probabilities(Vec<f32>),
}

impl Targets {
    /// Probability of `class` for picture `row`.
    fn of(&self, row: usize, class: usize, classes: usize) -> f32 {
        match self {
            Self::Labels(labels) => f32::from(usize::from(labels[row]) == class),
            Self::Probabilities(values) => values[row * classes + class],
        }
    }
}

/// Mean loss, and the gradient of the logits.
///
/// # Errors
/// Where targets do not fit the logits.
pub fn cross_entropy(logits: &[f32], targets: &Targets, classes: usize) -> Result<(f32, Vec<f32>)> {
    let rows = logits.len() / classes.max(1);
    let fits = match targets {
        Targets::Labels(labels) => {
            labels.len() == rows && labels.iter().all(|&label| usize::from(label) < classes)
        }
        Targets::Probabilities(values) => values.len() == logits.len(),
    };
    if !fits {
        return Err(LearningError::invalid(format!(
            "the labels do not fit {rows} pictures of {classes} classes: give one label below {classes} a picture"
        )));
    }
    let mut grad = Vec::with_capacity(logits.len());
    let mut loss = 0.0f64;
    for (row, logits) in logits.chunks_exact(classes).enumerate() {
        let log = log_softmax(logits);
        for (class, &log) in log.iter().enumerate() {
            let target = targets.of(row, class, classes);
            if target != 0.0 {
                loss -= f64::from(target) * f64::from(log);
            }
            grad.push((log.exp() - target) / rows as f32);
        }
    }
    Ok(((loss / rows.max(1) as f64) as f32, grad))
}

/// Derivatives of the gradients of logits and of targets where the logits move by `moved`.
pub(super) fn cross_entropy_moved(
    logits: &[f32],
    moved: &[f32],
    classes: usize,
) -> (Vec<f32>, Vec<f32>) {
    let rows = (logits.len() / classes.max(1)) as f32;
    let mut of_logits = Vec::with_capacity(logits.len());
    let mut of_targets = Vec::with_capacity(logits.len());
    for (logits, moved) in logits
        .chunks_exact(classes)
        .zip(moved.chunks_exact(classes))
    {
        let chance: Vec<f32> = log_softmax(logits).iter().map(|log| log.exp()).collect();
        let mean: f32 = chance.iter().zip(moved).map(|(p, m)| p * m).sum();
        for (p, m) in chance.iter().zip(moved) {
            of_logits.push(p * (m - mean) / rows);
            of_targets.push((mean - m) / rows);
        }
    }
    (of_logits, of_targets)
}

/// Logarithms of the probabilities of one row.
pub fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let log = largest + sum.ln();
    logits.iter().map(|logit| logit - log).collect()
}
