//! Cross-entropy over classes.

use rayon::prelude::*;

use crate::error::{expect, rows};
use crate::input_error::{InputError, index};
use crate::level::{Level, leveled};
use crate::math::{LANES, exp, fold, sum};
use crate::parallel::{Fresh, collect, rows_per_task};
use crate::softmax::max;

/// Cross-entropy of logits `[rows, classes]` and one target class a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// Values of a row.
    pub classes: usize,
    /// Rows with this target have no loss and no gradient.
    pub ignore: Option<i64>,
    /// From 0 to 1: this part of the target is spread evenly over all classes.
    pub smoothing: f32,
}

impl CrossEntropy {
    /// Over `classes`, of every row, without smoothing.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            ignore: None,
            smoothing: 0.0,
        }
    }

    /// The class of each row, or none.
    fn targets(&self, targets: &[i64]) -> Result<Vec<Option<usize>>, InputError> {
        if !(0.0..=1.0).contains(&self.smoothing) {
            return Err(InputError::Setting {
                name: "smoothing",
                range: "from 0 to 1",
                found: f64::from(self.smoothing),
            });
        }
        let class = |(row, &target): (usize, &i64)| {
            if self.ignore == Some(target) {
                Ok(None)
            } else {
                index("targets", row, target, self.classes).map(Some)
            }
        };
        targets.iter().enumerate().map(class).collect()
    }
}

/// The loss of each row of `logits` `[rows, classes]`, and `ln Σ eˣ` of each row for the backward pass.
///
/// A row that is ignored has loss 0: the mean is the sum over the number of rows that are not. A row with a NaN, with
/// `+inf`, or of `-inf` only has the loss NaN.
pub fn cross_entropy(
    level: Level,
    loss: &CrossEntropy,
    logits: &[f32],
    targets: &[i64],
) -> Result<(Vec<f32>, Vec<f32>), InputError> {
    let rows = rows("logits", logits.len(), loss.classes)?;
    expect("targets", targets.len(), rows)?;
    let targets = loss.targets(targets)?;
    let task = rows_per_task(loss.classes);
    let mut losses = Vec::new();
    // SAFETY: `forward_block` writes both values of every row; the chunks cover all rows.
    let log_sums = unsafe {
        collect(rows, |log_sums| {
            losses = collect(rows, |losses| {
                losses
                    .par_chunks_mut(task)
                    .zip(log_sums.par_chunks_mut(task))
                    .zip(targets.par_chunks(task))
                    .zip(logits.par_chunks((task * loss.classes).max(1)))
                    .for_each(|(((losses, log_sums), targets), logits)| {
                        forward_block(level, loss, logits, targets, losses, log_sums);
                    });
            });
        })
    };
    Ok((losses, log_sums))
}

/// Gradient of the logits of [`cross_entropy`], `[rows, classes]`: from its second result and the gradient `grad`
/// `[rows]` of each row's loss.
pub fn cross_entropy_backward(
    level: Level,
    loss: &CrossEntropy,
    logits: &[f32],
    targets: &[i64],
    log_sums: &[f32],
    grad: &[f32],
) -> Result<Vec<f32>, InputError> {
    let rows = rows("logits", logits.len(), loss.classes)?;
    expect("targets", targets.len(), rows)?;
    expect("log_sums", log_sums.len(), rows)?;
    expect("grad", grad.len(), rows)?;
    let targets = loss.targets(targets)?;
    let task = rows_per_task(loss.classes);
    let width = (task * loss.classes).max(1);
    // SAFETY: `backward_block` writes every value of its rows; the chunks cover all rows.
    Ok(unsafe {
        collect(logits.len(), |dx| {
            let rows = targets.par_chunks(task).zip(log_sums.par_chunks(task));
            dx.par_chunks_mut(width)
                .zip(logits.par_chunks(width))
                .zip(rows.zip(grad.par_chunks(task)))
                .for_each(|((dx, logits), ((targets, log_sums), grad))| {
                    backward_block(level, loss, logits, targets, log_sums, grad, dx);
                });
        })
    })
}

leveled! {
    /// ln Σ eˣ − (1 − smoothing) · x[target] − smoothing · mean(x).
    fn forward_block(
        loss: &CrossEntropy,
        logits: &[f32],
        targets: &[Option<usize>],
        losses: &mut Fresh,
        log_sums: &mut Fresh,
    ) {
        let rows = logits.chunks_exact(loss.classes).zip(targets);
        for ((x, target), (to, log_sum)) in rows.zip(losses.iter_mut().zip(log_sums)) {
            let max = max(x);
            let total = max + exp_sum::<FMA>(x, max).ln();
            log_sum.write(total);
            let value = target.map_or(0.0, |target| {
                let own = total - x[target];
                if loss.smoothing == 0.0 {
                    return own;
                }
                let all = total - sum(x) / loss.classes as f32;
                own + loss.smoothing * (all - own)
            });
            to.write(value);
        }
    }
}

leveled! {
    /// grad · (softmax(x) − (1 − smoothing) · [target] − smoothing / classes). Every value is written.
    fn backward_block(
        loss: &CrossEntropy,
        logits: &[f32],
        targets: &[Option<usize>],
        log_sums: &[f32],
        grad: &[f32],
        dx: &mut Fresh,
    ) {
        let classes = loss.classes;
        let even = loss.smoothing / classes as f32;
        let rows = logits.chunks_exact(classes).zip(dx.chunks_exact_mut(classes));
        for ((x, dx), ((target, log_sum), grad)) in rows.zip(targets.iter().zip(log_sums).zip(grad)) {
            let Some(target) = target else {
                dx.fill(std::mem::MaybeUninit::new(0.0));
                continue;
            };
            for (dx, x) in dx.iter_mut().zip(x) {
                dx.write(grad * (exp::<FMA>(x - log_sum) - even));
            }
            let share = exp::<FMA>(x[*target] - log_sum) - even - (1.0 - loss.smoothing);
            dx[*target].write(grad * share);
        }
    }
}

/// `Σ e^(x − max)`.
#[inline(always)]
fn exp_sum<const FMA: bool>(x: &[f32], max: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, tail) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for l in 0..LANES {
            lanes[l] += exp::<FMA>(chunk[l] - max);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *lane += exp::<FMA>(x - max);
    }
    fold(lanes)
}
