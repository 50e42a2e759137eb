//! Products with an input that is not rounded.

use super::BLOCK;
use super::formats::{Format, STEPS, Scales};
use super::panels::{Panel, Panels};
use super::tile::{Machine, Part, Target, split};
use super::vectors::{Portable, Vectors};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};
use crate::parallel::Fresh;

/// A dense matrix of f32.
#[derive(Clone, Copy)]
struct Dense<'a> {
    values: &'a [f32],
    columns: usize,
}

/// Writes `x · panelsᵀ` to `out` `[rows, outputs]`: every value. `x` is `[rows, columns]`.
pub(super) fn multiply<F: Format>(
    machine: Machine,
    x: &[f32],
    rows: usize,
    panels: &Panels<F>,
    outputs: usize,
    out: &mut Fresh,
) {
    let x = Dense {
        values: x,
        columns: x.len().checked_div(rows).unwrap_or(0),
    };
    split(rows, panels, outputs, out, |part, target| {
        // SAFETY: a `Machine` of a kind exists only where its features were detected; parts do not overlap.
        unsafe {
            match machine {
                #[cfg(target_arch = "x86_64")]
                Machine::Avx512 => avx512(part, x, panels, target),
                #[cfg(target_arch = "x86_64")]
                Machine::Avx2 => avx2(part, x, panels, target),
                Machine::Portable => compute::<Portable, F>(part, x, panels, target),
            }
        }
    });
}

/// [`compute`] with AVX-512.
///
/// # Safety
/// As for [`compute`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn avx512<F: Format>(part: Part, x: Dense<'_>, panels: &Panels<F>, target: &Target<'_>) {
    // SAFETY: handed down.
    unsafe { compute::<Avx512, F>(part, x, panels, target) }
}

/// [`compute`] with AVX2.
///
/// # Safety
/// As for [`compute`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
unsafe fn avx2<F: Format>(part: Part, x: Dense<'_>, panels: &Panels<F>, target: &Target<'_>) {
    // SAFETY: handed down.
    unsafe { compute::<Avx2, F>(part, x, panels, target) }
}

/// Computes a part.
///
/// # Safety
/// The machine must have the instructions of `V`; nobody else may write the part's results.
#[inline(always)]
unsafe fn compute<V: Vectors, F: Format>(
    part: Part,
    x: Dense<'_>,
    panels: &Panels<F>,
    target: &Target<'_>,
) {
    let [first, end] = part.rows;
    for p in part.panels[0]..part.panels[1] {
        let panel = panels.panel(p);
        let mut row = first;
        while row < end {
            // SAFETY: handed down.
            row += unsafe {
                match end - row {
                    8.. if V::ROWS >= 8 => tile::<V, F, 8>(&panel, p, x, row, target),
                    4.. => tile::<V, F, 4>(&panel, p, x, row, target),
                    _ => tile::<V, F, 1>(&panel, p, x, row, target),
                }
            };
        }
    }
}

/// Computes `N` rows from `row` on; gives `N`.
///
/// # Safety
/// As for [`compute`].
#[inline(always)]
unsafe fn tile<V: Vectors, F: Format, const N: usize>(
    panel: &Panel<'_, F>,
    index: usize,
    x: Dense<'_>,
    row: usize,
    target: &Target<'_>,
) -> usize {
    let rows: [_; N] = std::array::from_fn(|i| {
        let row = &x.values[(row + i) * x.columns..][..x.columns];
        row.as_chunks::<BLOCK>().0
    });
    // SAFETY: handed down.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        for (b, block) in panel.blocks.iter().enumerate() {
            let bytes = F::unpack::<V>(block);
            let scales = F::scales::<V>(&panel.headers[b / F::BLOCKS], b % F::BLOCKS);
            let x = rows.map(|row| &row[b]);
            for (s, &bytes) in bytes.iter().enumerate() {
                let weights = [
                    value::<V, F>(V::byte::<0>(bytes), &scales, s),
                    value::<V, F>(V::byte::<1>(bytes), &scales, s),
                    value::<V, F>(V::byte::<2>(bytes), &scales, s),
                    value::<V, F>(V::byte::<3>(bytes), &scales, s),
                ];
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = V::add(*sum, four::<V>(weights, x.as_chunks().0[s]));
                }
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            target.write(row + i, index, &V::array(sum));
        }
    }
    N
}

/// The sum of four products, added in pairs.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn four<V: Vectors>([a, b, c, d]: [V::Floats; 4], x: [f32; 4]) -> V::Floats {
    // SAFETY: handed down.
    unsafe {
        V::add(
            V::add(V::mul(a, V::splat(x[0])), V::mul(b, V::splat(x[1]))),
            V::add(V::mul(c, V::splat(x[2])), V::mul(d, V::splat(x[3]))),
        )
    }
}

/// The weights of q, which belong to step `step` of a block.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn value<V: Vectors, F: Format>(q: V::Floats, scales: &Scales<V>, step: usize) -> V::Floats {
    // SAFETY: handed down.
    unsafe {
        let q = V::sub(q, V::splat(F::OFFSET as f32));
        let scaled = V::mul(scales.factors[step / (STEPS / 2)], q);
        if F::SHIFTED {
            V::add(scaled, scales.shifts[step / (STEPS / 2)])
        } else {
            scaled
        }
    }
}
