//! Small matrix products that stay in the first-level cache: what attention is made of.

use crate::lanes::{Lanes, Portable};
use crate::math::LANES;

/// A matrix of `rows` rows read value by value: element `(i, p)` is `values[i · row + p · column]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// Smallest multiple of the lanes that holds `len` values.
#[inline(always)]
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(LANES)
}

/// `out = a · b`, or `out += a · b` where `ADD`.
///
/// `a` is `[rows, inner]`, `b` `[inner, width]` and `out` `[rows, width]`, dense; `width` must be a multiple of the
/// lanes. Sums run over `inner` in order.
#[inline(always)]
pub(crate) fn product<const FMA: bool, const WIDE: bool, const ADD: bool>(
    a: Left<'_>,
    b: &[f32],
    width: usize,
    out: &mut [f32],
) {
    let inner = b.len() / width;
    if a.rows == 0 || inner == 0 {
        return;
    }
    assert!(width.is_multiple_of(LANES) && out.len() >= a.rows * width);
    assert!((a.rows - 1) * a.row + (inner - 1) * a.column < a.values.len());
    // SAFETY: the assertions bound every index used below; `WIDE` and `FMA` are set where the instructions exist.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{__m256, __m512};
            if WIDE {
                return strips::<__m512, 8, 2, ADD>(a, b, inner, width, out);
            }
            if FMA {
                return strips::<[__m256; 2], 6, 1, ADD>(a, b, inner, width, out);
            }
        }
        strips::<Portable<FMA>, 4, 1, ADD>(a, b, inner, width, out);
    }
}

/// The product, `ROWS` rows at a time, then one by one.
///
/// # Safety
/// `a` must hold its rows, `b` `inner · width` values, `out` `a.rows · width`; the machine must have the
/// instructions of `V`.
#[inline(always)]
unsafe fn strips<V: Lanes, const ROWS: usize, const VECTORS: usize, const ADD: bool>(
    a: Left<'_>,
    b: &[f32],
    inner: usize,
    width: usize,
    out: &mut [f32],
) {
    let mut row = 0;
    // SAFETY: handed down; each tile lies inside the rows and columns that are left.
    unsafe {
        while row + ROWS <= a.rows {
            strip::<V, ROWS, VECTORS, ADD>(a, row, b, inner, width, out);
            row += ROWS;
        }
        if row + 4 <= a.rows {
            strip::<V, 4, VECTORS, ADD>(a, row, b, inner, width, out);
            row += 4;
        }
        while row < a.rows {
            strip::<V, 1, VECTORS, ADD>(a, row, b, inner, width, out);
            row += 1;
        }
    }
}

/// `ROWS` rows of the product.
///
/// # Safety
/// As for [`strips`], with the rows from `row` on inside `a`.
#[inline(always)]
unsafe fn strip<V: Lanes, const ROWS: usize, const VECTORS: usize, const ADD: bool>(
    a: Left<'_>,
    row: usize,
    b: &[f32],
    inner: usize,
    width: usize,
    out: &mut [f32],
) {
    let mut column = 0;
    // SAFETY: handed down.
    unsafe {
        while column + VECTORS * LANES <= width {
            tile::<V, ROWS, VECTORS, ADD>(a, row, b, column, inner, width, out);
            column += VECTORS * LANES;
        }
        while column < width {
            tile::<V, ROWS, 1, ADD>(a, row, b, column, inner, width, out);
            column += LANES;
        }
    }
}

/// `ROWS × (VECTORS · 16)` values of the product, kept in registers.
///
/// # Safety
/// As for [`strip`], with the columns from `column` on inside `width`.
#[inline(always)]
unsafe fn tile<V: Lanes, const ROWS: usize, const VECTORS: usize, const ADD: bool>(
    a: Left<'_>,
    row: usize,
    b: &[f32],
    column: usize,
    inner: usize,
    width: usize,
    out: &mut [f32],
) {
    // SAFETY: the caller bounds rows, columns and `inner`; each access below stays within those.
    unsafe {
        let mut sums = [[V::zero(); VECTORS]; ROWS];
        let a_start = a.values.as_ptr().add(row * a.row);
        let b_start = b.as_ptr().add(column);
        for p in 0..inner {
            let mut b_row = [V::zero(); VECTORS];
            for (v, b) in b_row.iter_mut().enumerate() {
                *b = V::load(b_start.add(p * width + v * LANES));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let value = V::splat(*a_start.add(i * a.row + p * a.column));
                for (sum, b) in sums.iter_mut().zip(b_row) {
                    *sum = value.mul_add(b, *sum);
                }
            }
        }
        let start = out.as_mut_ptr().add(row * width + column);
        for (i, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let place = start.add(i * width + v * LANES);
                let before = if ADD { V::load(place) } else { V::zero() };
                if ADD { before.add(*sum) } else { *sum }.store(place);
            }
        }
    }
}
