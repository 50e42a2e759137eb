//! Softmax over rows.

use rayon::prelude::*;

use crate::error::{ShapeError, expect, rows};
use crate::level::{Level, leveled};
use crate::math::{LANES, exp, fold, mul_add};
use crate::parallel::{Fresh, collect, rows_per_task};

/// Softmax of each row of `x` `[rows, width]`. A row of only `-inf` gives NaN.
pub fn softmax(level: Level, x: &[f32], width: usize) -> Result<Vec<f32>, ShapeError> {
    rows("x", x.len(), width)?;
    let task = rows_per_task(width) * width.max(1);
    // SAFETY: `softmax_block` writes every value of its rows; the chunks cover all rows.
    Ok(unsafe {
        collect(x.len(), |out| {
            out.par_chunks_mut(task)
                .zip(x.par_chunks(task))
                .for_each(|(out, x)| softmax_block(level, x, width, out));
        })
    })
}

/// Gradient of [`softmax`]: from its result `y` and the gradient `grad` of that, both `[rows, width]`.
pub fn softmax_backward(
    level: Level,
    y: &[f32],
    grad: &[f32],
    width: usize,
) -> Result<Vec<f32>, ShapeError> {
    rows("y", y.len(), width)?;
    expect("grad", grad.len(), y.len())?;
    let task = rows_per_task(width) * width.max(1);
    // SAFETY: as in `softmax`.
    Ok(unsafe {
        collect(y.len(), |dx| {
            dx.par_chunks_mut(task)
                .zip(y.par_chunks(task).zip(grad.par_chunks(task)))
                .for_each(|(dx, (y, grad))| softmax_backward_block(level, y, grad, width, dx));
        })
    })
}

leveled! {
    fn softmax_block(x: &[f32], width: usize, out: &mut Fresh) {
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let max = max(x);
            let (total, out) = exp_row::<FMA>(x, max, out);
            let inverse = 1.0 / total;
            for out in out {
                *out *= inverse;
            }
        }
    }
}

leveled! {
    fn softmax_backward_block(y: &[f32], grad: &[f32], width: usize, dx: &mut Fresh) {
        let rows = y.chunks_exact(width).zip(grad.chunks_exact(width));
        for ((y, grad), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            let inner = dot::<FMA>(y, grad);
            for ((dx, y), grad) in dx.iter_mut().zip(y).zip(grad) {
                dx.write(y * (grad - inner));
            }
        }
    }
}

/// Largest value of a row; `-inf` for an empty one. NaNs are passed over.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, tail) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for l in 0..LANES {
            lanes[l] = if chunk[l] > lanes[l] {
                chunk[l]
            } else {
                lanes[l]
            };
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane = if x > *lane { x } else { *lane };
    }
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            let other = lanes[l + half];
            lanes[l] = if other > lanes[l] { other } else { lanes[l] };
        }
        half /= 2;
    }
    lanes[0]
}

/// Writes `e^(x − max)`; gives its sum and the row, now initialised.
#[inline(always)]
pub(crate) fn exp_row<'a, const FMA: bool>(
    x: &[f32],
    max: f32,
    out: &'a mut Fresh,
) -> (f32, &'a mut [f32]) {
    assert_eq!(x.len(), out.len(), "rows of one length");
    let mut lanes = [0.0; LANES];
    let (xs, x_tail) = x.as_chunks::<LANES>();
    let (outs, out_tail) = out.as_chunks_mut::<LANES>();
    for (x, out) in xs.iter().zip(outs) {
        for l in 0..LANES {
            let e = exp::<FMA>(x[l] - max);
            out[l].write(e);
            lanes[l] += e;
        }
    }
    for ((x, out), lane) in x_tail.iter().zip(out_tail).zip(&mut lanes) {
        let e = exp::<FMA>(x - max);
        out.write(e);
        *lane += e;
    }
    // SAFETY: the loops above wrote every value.
    (fold(lanes), unsafe { out.assume_init_mut() })
}

/// `Σ a · b`.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (az, a_tail) = a.as_chunks::<LANES>();
    let (bz, b_tail) = b.as_chunks::<LANES>();
    for (a, b) in az.iter().zip(bz) {
        for l in 0..LANES {
            lanes[l] = mul_add::<FMA>(a[l], b[l], lanes[l]);
        }
    }
    for ((a, b), lane) in a_tail.iter().zip(b_tail).zip(&mut lanes) {
        *lane = mul_add::<FMA>(*a, *b, *lane);
    }
    fold(lanes)
}
