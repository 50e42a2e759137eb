//! Small matrix products that stay in the first-level caches: what attention is made of.

use crate::math::LANES;
use crate::simd::Simd;

/// A left operand read place by place: element `(i, p)` is `values[i · row + p · column]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// A right operand in panels, `[panels, inner, columns of a panel]`; the last panel is as wide as the columns that
/// are left. Only `count` of the rows from `first` on take part.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) inner: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// All columns, a multiple of the lanes.
    pub(crate) width: usize,
}

impl<'a> Right<'a> {
    /// With all rows.
    #[inline(always)]
    pub(crate) fn whole(values: &'a [f32], inner: usize, width: usize) -> Self {
        let (first, count) = (0, inner);
        Self {
            values,
            inner,
            first,
            count,
            width,
        }
    }
}

/// Where a product goes, `[rows, width]`, `row` places from row to row.
pub(crate) struct Out<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) row: usize,
}

/// Smallest multiple of the lanes that holds `len` values.
#[inline(always)]
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(LANES)
}

/// `out = a · b`, or `out += a · b` where `ADD`, in tiles of `ROWS` rows and `VECTORS` vectors, which is also the
/// width of the panels. Sums run over the inner axis in order.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
pub(crate) unsafe fn product<V: Simd, const ROWS: usize, const VECTORS: usize, const ADD: bool>(
    a: Left<'_>,
    b: Right<'_>,
    out: Out<'_>,
) {
    if a.rows == 0 || b.width == 0 || (ADD && b.count == 0) {
        return;
    }
    assert!(b.width.is_multiple_of(LANES) && b.width <= out.row);
    assert!(b.first + b.count <= b.inner && b.values.len() >= b.inner * b.width);
    assert!((a.rows - 1) * out.row + b.width <= out.values.len());
    assert!(b.count == 0 || (a.rows - 1) * a.row + (b.count - 1) * a.column < a.values.len());
    let mut column = 0;
    while column < b.width {
        let columns = (VECTORS * LANES).min(b.width - column);
        let tile = Tile {
            a: a.values.as_ptr(),
            a_steps: [a.row, a.column],
            // SAFETY: the panel and its rows lie inside the values, as asserted.
            b: unsafe { b.values.as_ptr().add(column * b.inner + b.first * columns) },
            b_step: columns,
            inner: b.count,
            // SAFETY: the column is one of the row.
            out: unsafe { out.values.as_mut_ptr().add(column) },
            out_step: out.row,
        };
        // SAFETY: the assertions bound every place of the tiles; the instructions are promised.
        unsafe {
            if columns == VECTORS * LANES {
                strips::<V, ROWS, VECTORS, ADD>(tile, a.rows);
            } else {
                let mut done = 0;
                while done < columns {
                    let mut one = tile;
                    one.b = tile.b.add(done);
                    one.out = tile.out.add(done);
                    strips::<V, ROWS, 1, ADD>(one, a.rows);
                    done += LANES;
                }
            }
        }
        column += columns;
    }
}

/// The places of a tile: its left rows, its columns of a panel, its results.
#[derive(Clone, Copy)]
struct Tile {
    a: *const f32,
    a_steps: [usize; 2],
    b: *const f32,
    b_step: usize,
    inner: usize,
    out: *mut f32,
    out_step: usize,
}

/// All `rows` of a panel, `ROWS` at a time, then four, then one by one.
///
/// # Safety
/// The places of all rows must be there; the machine must have the instructions of `V`.
#[inline(always)]
unsafe fn strips<V: Simd, const ROWS: usize, const VECTORS: usize, const ADD: bool>(
    mut at: Tile,
    mut rows: usize,
) {
    // SAFETY: handed down; each tile lies inside the rows that are left.
    unsafe {
        while rows >= ROWS {
            at = tile::<V, ROWS, VECTORS, ADD>(at);
            rows -= ROWS;
        }
        if rows >= 4 {
            at = tile::<V, 4, VECTORS, ADD>(at);
            rows -= 4;
        }
        while rows > 0 {
            at = tile::<V, 1, VECTORS, ADD>(at);
            rows -= 1;
        }
    }
}

/// `ROWS × (VECTORS · 16)` values of the product, kept in registers; gives the place of the next rows.
///
/// # Safety
/// As for [`strips`].
#[inline(always)]
unsafe fn tile<V: Simd, const ROWS: usize, const VECTORS: usize, const ADD: bool>(
    mut at: Tile,
) -> Tile {
    let [row, column] = at.a_steps;
    // SAFETY: the caller bounds rows, columns and `inner`; each access below stays within those.
    unsafe {
        let mut sums = [[V::zero(); VECTORS]; ROWS];
        for p in 0..at.inner {
            let mut b_row = [V::zero(); VECTORS];
            for (v, b) in b_row.iter_mut().enumerate() {
                *b = V::load(at.b.add(p * at.b_step + v * LANES));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let value = V::splat(*at.a.add(i * row + p * column));
                for (sum, b) in sums.iter_mut().zip(b_row) {
                    *sum = value.mul_add(b, *sum);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let place = at.out.add(i * at.out_step + v * LANES);
                if ADD {
                    V::load(place).add(*sum).store(place);
                } else {
                    sum.store(place);
                }
            }
        }
        at.a = at.a.wrapping_add(ROWS * row);
        at.out = at.out.wrapping_add(ROWS * at.out_step);
    }
    at
}
