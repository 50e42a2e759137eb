//! Small matrix products that stay in the first-level cache: what attention is made of.

use crate::math::{LANES, mul_add};

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
/// `a` is `[rows, inner]`; `b` is `[inner, width]` and `out` `[rows, width]`, dense; `width` must be a multiple of
/// the lanes. Sums run over `inner` in order.
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
    let mut row = 0;
    while row < a.rows {
        let left = a.rows - row;
        // SAFETY: the assertions above bound every index that `strip` uses for rows below `a.rows`.
        row += unsafe {
            if WIDE && left >= 8 {
                strip::<8, 2, FMA, ADD>(a, row, b, inner, width, out)
            } else if left >= 4 {
                strip::<4, 1, FMA, ADD>(a, row, b, inner, width, out)
            } else {
                strip::<1, 1, FMA, ADD>(a, row, b, inner, width, out)
            }
        };
    }
}

/// `ROWS` rows of the product; gives their number.
///
/// # Safety
/// The rows from `row` on must lie inside `a` and `out`, `b` must hold `inner · width` values.
#[inline(always)]
unsafe fn strip<const ROWS: usize, const VECTORS: usize, const FMA: bool, const ADD: bool>(
    a: Left<'_>,
    row: usize,
    b: &[f32],
    inner: usize,
    width: usize,
    out: &mut [f32],
) -> usize {
    let mut column = 0;
    while column < width {
        // SAFETY: handed down; a tile of `VECTORS` is used only where that many lanes are left.
        column += unsafe {
            if width - column >= VECTORS * LANES {
                tile::<ROWS, VECTORS, FMA, ADD>(a, row, b, column, inner, width, out)
            } else {
                tile::<ROWS, 1, FMA, ADD>(a, row, b, column, inner, width, out)
            }
        };
    }
    ROWS
}

/// `ROWS × (VECTORS · 16)` values of the product, kept in registers; gives their number of columns.
///
/// # Safety
/// As for [`strip`], and the columns from `column` on must lie inside `width`.
#[inline(always)]
unsafe fn tile<const ROWS: usize, const VECTORS: usize, const FMA: bool, const ADD: bool>(
    a: Left<'_>,
    row: usize,
    b: &[f32],
    column: usize,
    inner: usize,
    width: usize,
    out: &mut [f32],
) -> usize {
    let mut sums = [[[0.0f32; LANES]; VECTORS]; ROWS];
    // SAFETY: the caller bounds rows, columns and `inner`; each access below stays within those.
    unsafe {
        let a_start = a.values.as_ptr().add(row * a.row);
        let b_start = b.as_ptr().add(column);
        for p in 0..inner {
            let b_row = b_start.add(p * width).cast::<[[f32; LANES]; VECTORS]>();
            let b_row = b_row.read_unaligned();
            for (i, sums) in sums.iter_mut().enumerate() {
                let value = *a_start.add(i * a.row + p * a.column);
                for v in 0..VECTORS {
                    for l in 0..LANES {
                        sums[v][l] = mul_add::<FMA>(value, b_row[v][l], sums[v][l]);
                    }
                }
            }
        }
        let start = out.as_mut_ptr().add(row * width + column);
        for (i, sums) in sums.iter_mut().enumerate() {
            let place = start.add(i * width).cast::<[[f32; LANES]; VECTORS]>();
            if ADD {
                let before = place.read_unaligned();
                for v in 0..VECTORS {
                    for l in 0..LANES {
                        sums[v][l] += before[v][l];
                    }
                }
            }
            place.write_unaligned(*sums);
        }
    }
    VECTORS * LANES
}
