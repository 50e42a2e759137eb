//! Layer norm with what surrounds it in a transformer: modulation, gate and residual.

use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};
use crate::math::{LANES, fold, mul_add, sum};
use crate::parallel::{Fresh, collect, rows_per_task};
use crate::per_batch::PerBatch;

/// A layer norm over the last dimension of `[batch, tokens, width]`: `residual + factor · (x − mean) / √(var + eps)
/// + shift`, biased variance.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// `[batch, tokens, width]` of the values.
    pub dims: [usize; 3],
    /// Added to the variance.
    pub eps: f32,
    /// `[batch, width]`; absent: 1.
    pub factor: Option<&'a [f32]>,
    /// `[batch, width]`; absent: 0.
    pub shift: Option<&'a [f32]>,
    /// `[batch, tokens, width]`; absent: 0.
    pub residual: Option<&'a [f32]>,
}

/// What [`layer_norm_backward`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNormGrads {
    /// Of the values that were normalised, `[batch, tokens, width]`.
    pub x: Vec<f32>,
    /// Of the factor and of the shift, `[batch, width]` each, where they were asked for.
    pub affine: Option<(Vec<f32>, Vec<f32>)>,
}

/// Runs `norm` on `x` `[batch, tokens, width]`.
///
/// Gives the result, and for the backward pass the mean and `1/√(var + eps)` of each row, `[batch, tokens, 2]`.
pub fn layer_norm(
    level: Level,
    x: &[f32],
    norm: &LayerNorm<'_>,
) -> Result<(Vec<f32>, Vec<f32>), ShapeError> {
    let [batch, tokens, width] = norm.dims;
    let rows = batch * tokens;
    expect("x", x.len(), rows * width)?;
    let residual = norm.residual.unwrap_or_default();
    if norm.residual.is_some() {
        expect("residual", residual.len(), rows * width)?;
    }
    let ones = vec![1.0; if norm.factor.is_none() { width } else { 0 }];
    let zeros = vec![0.0; if norm.shift.is_none() { width } else { 0 }];
    let factor = PerBatch::new("factor", norm.factor, &ones, batch, width)?;
    let shift = PerBatch::new("shift", norm.shift, &zeros, batch, width)?;
    if x.is_empty() {
        return Ok((Vec::new(), vec![0.0; rows * 2]));
    }
    let task = rows_per_task(width).min(tokens);
    let mut out = Vec::new();
    // SAFETY: `forward_block` writes every value of the rows it is given and both their statistics; the chunks
    // below cover all rows.
    let stats = unsafe {
        collect(rows * 2, |stats| {
            out = collect(rows * width, |out| {
                out.par_chunks_mut(tokens * width)
                    .zip(stats.par_chunks_mut(tokens * 2))
                    .enumerate()
                    .for_each(|(b, (out, stats))| {
                        out.par_chunks_mut(task * width)
                            .zip(stats.par_chunks_mut(task * 2))
                            .enumerate()
                            .for_each(|(i, (out, stats))| {
                                let from = (b * tokens + i * task) * width;
                                let x = &x[from..from + out.len()];
                                let residual = residual.get(from..from + out.len());
                                let (factor, shift) = (factor.of(b), shift.of(b));
                                forward_block(
                                    level, x, residual, factor, shift, norm.eps, out, stats,
                                );
                            });
                    });
            });
        })
    };
    Ok((out, stats))
}

/// Gradients of [`layer_norm`]: from the values `x` that were normalised, the statistics that the forward pass gave
/// and the gradient `grad` of its result. The residual's gradient is `grad` itself.
pub fn layer_norm_backward(
    level: Level,
    x: &[f32],
    stats: &[f32],
    factor: Option<&[f32]>,
    grad: &[f32],
    [batch, tokens, width]: [usize; 3],
    affine: bool,
) -> Result<LayerNormGrads, ShapeError> {
    let rows = batch * tokens;
    expect("x", x.len(), rows * width)?;
    expect("stats", stats.len(), rows * 2)?;
    expect("grad", grad.len(), rows * width)?;
    let ones = vec![1.0; if factor.is_none() { width } else { 0 }];
    let factor = PerBatch::new("factor", factor, &ones, batch, width)?;
    let mut sums = vec![0.0; if affine { 2 * batch * width } else { 0 }];
    if x.is_empty() {
        let affine = affine.then(|| split(sums, batch * width));
        return Ok(LayerNormGrads {
            x: Vec::new(),
            affine,
        });
    }
    let task = rows_per_task(width).min(tokens);
    let tasks = tokens.div_ceil(task);
    // Sums of each task over its rows, `[batch, tasks, 2, width]`, added up in order afterwards.
    let mut partial = vec![0.0; if affine { batch * tasks * 2 * width } else { 0 }];
    let step = if affine { 2 * width } else { 0 };
    let mut partials: Vec<&mut [f32]> = split_evenly(&mut partial, step, batch * tasks);
    // SAFETY: `backward_block` writes every value of its rows; the chunks below cover all rows.
    let dx = unsafe {
        collect(rows * width, |dx| {
            dx.par_chunks_mut(tokens * width)
                .zip(partials.par_chunks_mut(tasks))
                .enumerate()
                .for_each(|(b, (dx, partials))| {
                    dx.par_chunks_mut(task * width)
                        .zip(partials)
                        .enumerate()
                        .for_each(|(i, (dx, partial))| {
                            let row = b * tokens + i * task;
                            let from = row * width;
                            let x = &x[from..from + dx.len()];
                            let grad = &grad[from..from + dx.len()];
                            let stats = &stats[row * 2..];
                            let (d_factor, d_shift) = partial.split_at_mut(partial.len() / 2);
                            let sums = affine.then_some((d_factor, d_shift));
                            backward_block(level, x, stats, factor.of(b), grad, dx, sums);
                        });
                });
        })
    };
    let affine = affine.then(|| {
        for (i, part) in partial.chunks_exact(width).enumerate() {
            let (b, which) = (i / 2 / tasks, i % 2);
            let to = (which * batch + b) * width;
            for (sum, part) in sums[to..to + width].iter_mut().zip(part) {
                *sum += part;
            }
        }
        split(sums, batch * width)
    });
    Ok(LayerNormGrads { x: dx, affine })
}

fn split(mut values: Vec<f32>, at: usize) -> (Vec<f32>, Vec<f32>) {
    let second = values.split_off(at);
    (values, second)
}

/// `count` slices of `len` values each.
fn split_evenly(values: &mut [f32], len: usize, count: usize) -> Vec<&mut [f32]> {
    if len == 0 {
        return (0..count).map(|_| &mut [] as &mut [f32]).collect();
    }
    values.chunks_mut(len).collect()
}

leveled! {
    /// Rows of `factor.len()` values; every value of `out`, and two statistics a row, are written.
    fn forward_block(
        x: &[f32],
        residual: Option<&[f32]>,
        factor: &[f32],
        shift: &[f32],
        eps: f32,
        out: &mut Fresh,
        stats: &mut Fresh,
    ) {
        let width = factor.len();
        let inverse = 1.0 / width as f32;
        let (stats, _) = stats.as_chunks_mut::<2>();
        let rows = x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(stats);
        for (i, ((x, out), stats)) in rows.enumerate() {
            let mean = sum(x) * inverse;
            let mut squares = [0.0; LANES];
            let (chunks, tail) = x.as_chunks::<LANES>();
            for chunk in chunks {
                for l in 0..LANES {
                    let centred = chunk[l] - mean;
                    squares[l] = mul_add::<FMA>(centred, centred, squares[l]);
                }
            }
            for (square, x) in squares.iter_mut().zip(tail) {
                *square = mul_add::<FMA>(x - mean, x - mean, *square);
            }
            let rstd = 1.0 / (fold(squares) * inverse + eps).sqrt();
            stats[0].write(mean);
            stats[1].write(rstd);
            let values = out.iter_mut().zip(x).zip(factor.iter().zip(shift));
            match residual {
                Some(residual) => {
                    let residual = &residual[i * width..][..width];
                    for (((out, x), (factor, shift)), residual) in values.zip(residual) {
                        let y = mul_add::<FMA>((x - mean) * rstd, *factor, *shift);
                        out.write(residual + y);
                    }
                }
                None => {
                    for ((out, x), (factor, shift)) in values {
                        out.write(mul_add::<FMA>((x - mean) * rstd, *factor, *shift));
                    }
                }
            }
        }
    }
}

leveled! {
    /// With x̂ the normalised row and g = grad · factor: dx = rstd · (g − mean(g) − x̂ · mean(g · x̂)). Every value
    /// of `dx` is written; `sums` grow by grad · x̂ and by grad.
    fn backward_block(
        x: &[f32],
        stats: &[f32],
        factor: &[f32],
        grad: &[f32],
        dx: &mut Fresh,
        sums: Option<(&mut [f32], &mut [f32])>,
    ) {
        let width = factor.len();
        let inverse = 1.0 / width as f32;
        let (stats, _) = stats.as_chunks::<2>();
        let mut sums = sums;
        let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
        let rows = rows.zip(dx.chunks_exact_mut(width)).zip(stats);
        for (((x, grad), dx), &[mean, rstd]) in rows {
            let mut g_sum = [0.0; LANES];
            let mut gx_sum = [0.0; LANES];
            let (xs, x_tail) = x.as_chunks::<LANES>();
            let (grads, grad_tail) = grad.as_chunks::<LANES>();
            let (factors, factor_tail) = factor.as_chunks::<LANES>();
            for ((x, grad), factor) in xs.iter().zip(grads).zip(factors) {
                for l in 0..LANES {
                    let g = grad[l] * factor[l];
                    g_sum[l] += g;
                    gx_sum[l] = mul_add::<FMA>(g, (x[l] - mean) * rstd, gx_sum[l]);
                }
            }
            let tail = x_tail.iter().zip(grad_tail).zip(factor_tail).enumerate();
            for (l, ((x, grad), factor)) in tail {
                let g = grad * factor;
                g_sum[l] += g;
                gx_sum[l] = mul_add::<FMA>(g, (x - mean) * rstd, gx_sum[l]);
            }
            let g_mean = fold(g_sum) * inverse;
            let gx_mean = fold(gx_sum) * inverse;
            let values = dx.iter_mut().zip(x).zip(grad.iter().zip(factor));
            match &mut sums {
                Some((d_factor, d_shift)) => {
                    let sums = d_factor.iter_mut().zip(d_shift.iter_mut());
                    for (((dx, x), (grad, factor)), (d_factor, d_shift)) in values.zip(sums) {
                        let normed = (x - mean) * rstd;
                        let g = mul_add::<FMA>(-normed, gx_mean, grad * factor - g_mean);
                        dx.write(rstd * g);
                        *d_factor = mul_add::<FMA>(*grad, normed, *d_factor);
                        *d_shift += grad;
                    }
                }
                None => {
                    for ((dx, x), (grad, factor)) in values {
                        let normed = (x - mean) * rstd;
                        let g = mul_add::<FMA>(-normed, gx_mean, grad * factor - g_mean);
                        dx.write(rstd * g);
                    }
                }
            }
        }
    }
}
