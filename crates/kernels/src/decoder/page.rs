//! Attention of some rows over one page of a cache.

use super::cache::PAGE;
use crate::math::{LANES, exp};
use crate::simd::Simd;

/// Scores of `N` rows with the keys `[head, PAGE]` of a page; gives `N`.
///
/// # Safety
/// The machine must have the instructions of `L`; `q` holds `N` heads, `scores` room for `N` pages.
#[inline(always)]
pub(super) unsafe fn score<L: Simd, const N: usize>(
    q: &[f32],
    keys: &[f32],
    head: usize,
    scores: &mut [f32],
) -> usize {
    let (q, scores) = (&q[..N * head], &mut scores[..N * PAGE]);
    let keys = &keys[..head * PAGE];
    // SAFETY: inside the slices by the lines above; the instructions are promised.
    unsafe {
        let mut sums = [[L::zero(); PAGE / LANES]; N];
        for d in 0..head {
            let keys = keys.as_ptr().add(d * PAGE);
            let keys: [L; PAGE / LANES] = std::array::from_fn(|i| L::load(keys.add(i * LANES)));
            for (r, sums) in sums.iter_mut().enumerate() {
                let q = L::splat(*q.get_unchecked(r * head + d));
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum = q.mul_add(key, *sum);
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (i, sum) in sums.into_iter().enumerate() {
                sum.store(scores.as_mut_ptr().add(r * PAGE + i * LANES));
            }
        }
    }
    N
}

/// Turns scores into exponentials, adds these to the totals, and gives what earlier sums are multiplied by.
#[inline(always)]
pub(super) fn probabilities<const FMA: bool>(
    scores: &mut [f32; PAGE],
    largest: &mut f32,
    totals: &mut [f32; LANES],
) -> f32 {
    let new = crate::softmax::max(scores).max(*largest);
    let factor = exp::<FMA>(*largest - new);
    *largest = new;
    for score in scores.iter_mut() {
        *score = exp::<FMA>(*score - new);
    }
    for (l, total) in totals.iter_mut().enumerate() {
        let sum = (scores[l] + scores[l + LANES]) + (scores[l + 2 * LANES] + scores[l + 3 * LANES]);
        *total = *total * factor + sum;
    }
    factor
}

/// Adds the values `[PAGE, padded]` of some keys, weighted, to the sums of `N` rows; gives `N`.
///
/// # Safety
/// The machine must have the instructions of `L`; `sums` holds `N` rows of `padded` values.
#[inline(always)]
pub(super) unsafe fn gather<L: Simd, const N: usize>(
    weights: &[[f32; PAGE]],
    keys: [usize; 2],
    values: &[f32],
    padded: usize,
    sums: &mut [f32],
) -> usize {
    let mut column = 0;
    while column < padded {
        // SAFETY: handed down; columns stay inside the rows.
        column += LANES
            * unsafe {
                match (padded - column) / LANES {
                    4.. => columns::<L, N, 4>(weights, keys, values, padded, column, sums),
                    _ => columns::<L, N, 1>(weights, keys, values, padded, column, sums),
                }
            };
    }
    N
}

/// [`gather`] for `C · 16` columns from `column` on; gives `C`.
///
/// # Safety
/// As for [`gather`].
#[inline(always)]
unsafe fn columns<L: Simd, const N: usize, const C: usize>(
    weights: &[[f32; PAGE]],
    [first, end]: [usize; 2],
    values: &[f32],
    padded: usize,
    column: usize,
    sums: &mut [f32],
) -> usize {
    let sums = &mut sums[..N * padded];
    let (weights, values) = (&weights[..N], &values[..PAGE * padded]);
    // SAFETY: inside the slices by the lines above; the instructions are promised.
    unsafe {
        let place = |r: usize, c: usize| r * padded + column + c * LANES;
        let mut parts: [[L; C]; N] = std::array::from_fn(|r| {
            std::array::from_fn(|c| L::load(sums.as_ptr().add(place(r, c))))
        });
        for key in first..end {
            let value: [L; C] =
                std::array::from_fn(|c| L::load(values.as_ptr().add(place(key, c))));
            for (r, parts) in parts.iter_mut().enumerate() {
                let weight = L::splat(*weights.get_unchecked(r).get_unchecked(key));
                for (part, value) in parts.iter_mut().zip(value) {
                    *part = weight.mul_add(value, *part);
                }
            }
        }
        for (r, parts) in parts.into_iter().enumerate() {
            for (c, part) in parts.into_iter().enumerate() {
                part.store(sums.as_mut_ptr().add(place(r, c)));
            }
        }
    }
    C
}

/// `tanh(x) = 1 − 2/(e²ˣ + 1)`.
#[inline(always)]
pub(super) fn tanh<const FMA: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (exp::<FMA>(2.0 * x) + 1.0)
}
