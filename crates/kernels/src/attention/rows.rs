//! What happens to scores between the products. Scores are `[keys, queries]`: a lane is a query.

use super::format::{Format, Vector};
use super::mask::Tile;
use super::pack::vector;
use super::{Attention, AttentionDims};
use crate::math::{LANES, fold, mul_add};

/// `2ˣ` with a relative error below 2·10⁻⁷; 0 below −126, NaN for NaN. For `x` below 127.
///
/// The polynomial has the smallest relative error on ±½ of those of degree 5 that are 1 at 0; its factor of x is
/// not quite ln 2.
#[inline(always)]
#[allow(clippy::approx_constant)]
fn exp2<F: Format>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const LOWEST: f32 = -126.0;
    // Written so that a NaN fails the comparison and stays.
    let clamped = if x < LOWEST { LOWEST } else { x };
    let shifted = clamped + ROUND;
    let r = clamped - (shifted - ROUND);
    let p = fused::<F>(r, 1.326_472_7e-3, 9.671_513e-3);
    let p = fused::<F>(r, p, 5.550_733_6e-2);
    let p = fused::<F>(r, p, 2.402_224_2e-1);
    let p = fused::<F>(r, p, 6.931_47e-1);
    let p = fused::<F>(r, p, 1.0);
    // The low bits of `shifted` are the nearest integer in two's complement: move them into the exponent.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let value = p * power;
    if x < LOWEST { 0.0 } else { value }
}

#[inline(always)]
fn fused<F: Format>(a: f32, b: f32, c: f32) -> f32 {
    if F::FMA {
        mul_add::<true>(a, b, c)
    } else {
        mul_add::<false>(a, b, c)
    }
}

/// The running softmax of sixteen queries.
#[derive(Clone, Copy)]
pub(super) struct Running {
    /// The largest score so far.
    pub(super) top: Vector,
    /// The sum of the exponentials of scores less the largest one.
    pub(super) total: Vector,
}

impl Running {
    pub(super) const START: Self = Self {
        top: [f32::NEG_INFINITY; LANES],
        total: [0.0; LANES],
    };
}

/// Replaces the scores of one group of sixteen queries by `2^(scale · (score − largest))`, as places along the keys;
/// gives the factor for what was summed before.
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
pub(super) unsafe fn probabilities<F: Format>(
    scores: &mut [Vector],
    groups: usize,
    group: usize,
    keys: usize,
    scale: f32,
    running: &mut Running,
) -> Vector {
    let scores = &mut scores[group..];
    // Four maxima at a time, so that none waits for the one before.
    let [mut a, mut b, mut c, mut d] = [running.top; 4];
    let at = |row: usize| scores[row.min(keys - 1) * groups];
    let mut row = 0;
    while row < keys {
        // SAFETY: promised.
        unsafe {
            a = F::max(at(row), a);
            b = F::max(at(row + 1), b);
            c = F::max(at(row + 2), c);
            d = F::max(at(row + 3), d);
        }
        row += 4;
    }
    // SAFETY: promised.
    let top = unsafe { F::max(F::max(a, b), F::max(c, d)) };
    let (mut factor, mut shift) = ([0.0; LANES], [0.0; LANES]);
    for l in 0..LANES {
        // Where nothing was seen yet, all exponentials shall be 0.
        let finite = if top[l] == f32::NEG_INFINITY {
            0.0
        } else {
            top[l]
        };
        shift[l] = -(finite * scale);
        factor[l] = exp2::<F>((running.top[l] - finite) * scale);
    }
    let mut total = [0.0; LANES];
    for place in 0..keys.div_ceil(F::VALUES) {
        let first = exponentials::<F>(
            &scores[place * F::VALUES * groups],
            scale,
            &shift,
            &mut total,
        );
        let second = if F::VALUES == 2 && place * 2 + 1 < keys {
            exponentials::<F>(&scores[(place * 2 + 1) * groups], scale, &shift, &mut total)
        } else {
            [0.0; LANES]
        };
        // SAFETY: promised.
        scores[place * groups] = unsafe { F::across(first, second) };
    }
    for l in 0..LANES {
        running.total[l] = running.total[l] * factor[l] + total[l];
    }
    running.top = top;
    factor
}

#[inline(always)]
fn exponentials<F: Format>(
    scores: &Vector,
    scale: f32,
    shift: &Vector,
    total: &mut Vector,
) -> Vector {
    let mut values = [0.0; LANES];
    for l in 0..LANES {
        values[l] = exp2::<F>(fused::<F>(scores[l], scale, shift[l]));
        total[l] += values[l];
    }
    values
}

/// What the backward pass knows of sixteen queries.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Minus the binary logarithm of the sum of exponentials.
    pub(super) shift: Vector,
    /// `Σ dO ∘ O`.
    pub(super) inner: Vector,
}

/// `Σ dO ∘ O` of a query, with dO as the products read it, so that the gradient of a score that has all the
/// probability cancels.
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
pub(super) unsafe fn inner<F: Format>(grad: &[f32], out: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let mut at = 0;
    while at < grad.len() {
        // SAFETY: promised.
        let grad = unsafe { F::rounded(vector(grad, at)) };
        let out = vector(out, at);
        for l in 0..LANES {
            sums[l] = fused::<F>(grad[l], out[l], sums[l]);
        }
        at += LANES;
    }
    fold(sums)
}

/// Turns scores and gradients of probabilities into probabilities P and gradients of scores P∘(dP − Σ dO∘O).
#[inline(always)]
pub(super) fn gradients<F: Format>(
    scores: &mut [Vector],
    grads: &mut [Vector],
    known: &[Known],
    scale: f32,
) {
    let rows = scores
        .chunks_exact_mut(known.len())
        .zip(grads.chunks_exact_mut(known.len()));
    for (scores, grads) in rows {
        for ((p, ds), known) in scores.iter_mut().zip(grads).zip(known) {
            // Copies, so that no place can be two things at once.
            let (mut x, mut y, known) = (*p, *ds, *known);
            for l in 0..LANES {
                x[l] = exp2::<F>(fused::<F>(x[l], scale, known.shift[l]));
                y[l] = x[l] * (y[l] - known.inner[l]);
            }
            (*p, *ds) = (x, y);
        }
    }
}

/// As [`gradients`], where the tile holds all keys and no inner sum is known yet: Σ dO∘O is Σ P∘dP.
#[inline(always)]
pub(super) fn whole_gradients<F: Format>(
    scores: &mut [Vector],
    grads: &mut [Vector],
    known: &mut [Known],
    scale: f32,
) {
    let groups = known.len();
    let rows = scores
        .chunks_exact_mut(groups)
        .zip(grads.chunks_exact(groups));
    for (scores, grads) in rows {
        for ((p, dp), known) in scores.iter_mut().zip(grads).zip(&mut *known) {
            let (mut x, y, Known { shift, mut inner }) = (*p, *dp, *known);
            for l in 0..LANES {
                x[l] = exp2::<F>(fused::<F>(x[l], scale, shift[l]));
                inner[l] = fused::<F>(x[l], y[l], inner[l]);
            }
            (*p, known.inner) = (x, inner);
        }
    }
    let rows = scores
        .chunks_exact(groups)
        .zip(grads.chunks_exact_mut(groups));
    for (scores, grads) in rows {
        for ((p, ds), known) in scores.iter().zip(grads).zip(&*known) {
            let (x, mut y, inner) = (*p, *ds, known.inner);
            for l in 0..LANES {
                y[l] = x[l] * (y[l] - inner[l]);
            }
            *ds = y;
        }
    }
}

/// Packs each row of `groups` vectors into places along the row, at its start.
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
pub(super) unsafe fn squeeze<F: Format>(rows: &mut [Vector], groups: usize) {
    for row in rows.chunks_exact_mut(groups) {
        for pair in 0..groups.div_ceil(2) {
            let second = row.get(2 * pair + 1).copied().unwrap_or([0.0; LANES]);
            // SAFETY: promised.
            row[pair] = unsafe { F::along(row[2 * pair], second) };
        }
    }
}

/// Writes pairs of rows of `groups` vectors as places across the rows.
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
pub(super) unsafe fn stack<F: Format>(rows: &[Vector], groups: usize, to: &mut [Vector]) {
    for (rows, to) in rows.chunks(2 * groups).zip(to.chunks_exact_mut(groups)) {
        let (first, second) = rows.split_at(groups);
        for (g, to) in to.iter_mut().enumerate() {
            let second = second.get(g).copied().unwrap_or([0.0; LANES]);
            // SAFETY: promised.
            *to = unsafe { F::across(first[g], second) };
        }
    }
}

/// Adds the bias of a tile, divided by the scale that follows, to its scores `[keys, width]`.
#[inline(always)]
pub(super) fn add_bias(input: &Attention<'_>, tile: &Tile, width: usize, scores: &mut [f32]) {
    let Some(bias) = input.bias else {
        return;
    };
    let AttentionDims { keys, head, .. } = input.dims;
    let factor = (head.max(1) as f32).sqrt();
    for (i, query) in tile.queries.clone().enumerate() {
        let bias = &bias.row(tile.b, tile.h, query, keys)[tile.keys.clone()];
        for (bias, row) in bias.iter().zip(scores.chunks_exact_mut(width)) {
            row[i] += bias * factor;
        }
    }
}
