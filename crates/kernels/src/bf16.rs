//! Matrix products of values rounded to bf16, summed in f32: VDPBF16PS, two multiplications an instruction.
//!
//! Both operands are first turned into *units*: two bf16 values that follow one another along the summed axis, in
//! one `u32`, the earlier one in the low half. An odd axis ends with a zero.

mod blocks;
mod pack;

use std::ops::Range;

use rayon::prelude::*;

use crate::amx;
use crate::bf16_x86::{Tile, tile};
use crate::parallel::Fresh;
use crate::product::{Operand, Product};

pub(crate) use pack::Panels;
use pack::Units;

/// Rows of the left operand whose units are in memory at one time; for tiles more, while they take few bytes.
const ROWS: usize = 96;
/// The most of them for tiles, and the units that they take then.
const TALL: (usize, usize) = (256, 100_000);
/// Rows of a tile: with four vectors of columns, 24 sums stay in registers.
const TILE: usize = 6;
/// Columns of a panel of the right operand.
const COLUMNS: usize = 64;
/// Units after which a tile's sums go to memory, so that its part of a panel stays in the cache.
const DEPTH: usize = 512;
/// Tasks that a product of few rows is cut into at most, a constant so that nothing depends on the number of threads.
const SPREAD: usize = 8;

/// How a product is worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Row by row, with vectors.
    Vectors,
    /// Block by block, with the tiles of AMX.
    Tiles,
    /// As by tiles, in plain steps.
    #[cfg(test)]
    Imitated,
}

impl Way {
    /// Rows from which tiles, which hold sixteen, are worth it.
    const MANY: usize = 16;

    /// The fastest way to a product of `rows` rows on this machine.
    fn best(rows: usize) -> Self {
        if rows >= Self::MANY && amx::available() {
            Self::Tiles
        } else {
            Self::Vectors
        }
    }
}

/// Whether this machine multiplies bf16 values.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
}

/// Writes the product to `out` `[m, n]`; its inner size must not be zero.
///
/// # Safety
/// [`available`] must have said so; the operands must hold their elements.
pub(crate) unsafe fn write(product: &Product<'_>, out: &mut Fresh, parallel: bool) {
    let [m, n, k] = product.size;
    if m * n == 0 {
        return;
    }
    // SAFETY: handed down.
    unsafe {
        let panels = Panels::new(product.rhs, k, n, parallel);
        panels.write(product.lhs, m, product.bias, out, parallel);
    }
}

/// What a product is added to.
#[derive(Clone, Copy)]
enum Before<'a> {
    Nothing,
    /// A row for every row.
    Bias(&'a [f32]),
    /// The sums over earlier units, which are in the output.
    Sums,
}

impl Before<'_> {
    /// Where the tile at `place` of the output, from `column` on, finds what was before; and the distance between
    /// its rows, which are `width` apart in the output.
    fn of(self, place: *mut f32, column: usize, width: usize) -> (*const f32, usize) {
        match self {
            Before::Nothing => (std::ptr::null(), 0),
            Before::Bias(bias) => (bias[column..].as_ptr(), 0),
            Before::Sums => (place.cast_const(), width),
        }
    }
}

impl Panels {
    /// Writes `lhs · panels + bias` to `out` `[m, columns]`; neither the inner size nor `m` may be zero.
    ///
    /// # Safety
    /// The machine must have bf16; the operand must hold its elements.
    pub(crate) unsafe fn write(
        &self,
        lhs: Operand<'_>,
        m: usize,
        bias: Option<&[f32]>,
        out: &mut Fresh,
        parallel: bool,
    ) {
        // SAFETY: handed down.
        unsafe { self.write_by(Way::best(m), lhs, m, bias, out, parallel) }
    }

    /// [`Self::write`] in a given way, for which the machine and the panels are fit.
    ///
    /// # Safety
    /// As for [`Self::write`].
    unsafe fn write_by(
        &self,
        way: Way,
        lhs: Operand<'_>,
        m: usize,
        bias: Option<&[f32]>,
        out: &mut Fresh,
        parallel: bool,
    ) {
        let n = self.columns;
        assert!(out.len() == m * n);
        // Few rows are spread over threads by columns as well.
        let most = match way {
            Way::Vectors => ROWS,
            _ => (TALL.1 / self.units.max(1)).clamp(ROWS, TALL.0) / amx::ROWS * amx::ROWS,
        };
        let (blocks, width) = match m.div_ceil(most) {
            blocks if blocks >= SPREAD || !parallel => (blocks, n),
            blocks => (
                blocks,
                (n * blocks).div_ceil(SPREAD).next_multiple_of(COLUMNS),
            ),
        };
        let groups = n.div_ceil(width);
        let place = Place(out.as_mut_ptr().cast::<f32>());
        let work = |task: usize| {
            let (first, columns) = (task / groups * most, task % groups * width);
            let rows = most.min(m - first);
            let columns = columns..n.min(columns + width);
            // SAFETY: handed down; the operand holds the rows; no two tasks write the same place.
            unsafe {
                let left = match way {
                    Way::Vectors => Units::new(lhs, first, rows, self.inner),
                    _ => Units::in_blocks(lhs, first, rows, self.inner),
                };
                let units = match way {
                    Way::Vectors => self.inner.div_ceil(2),
                    _ => self.units,
                };
                let out = place.row(first * n);
                for start in (0..units).step_by(DEPTH) {
                    let depth = DEPTH.min(units - start);
                    let before = match bias {
                        _ if start > 0 => Before::Sums,
                        Some(bias) => Before::Bias(bias),
                        None => Before::Nothing,
                    };
                    match way {
                        Way::Vectors => {
                            self.multiply(&left, start, depth, before, columns.clone(), out);
                        }
                        _ => self.in_blocks(way, &left, start, depth, before, &columns, out),
                    }
                }
            }
        };
        if parallel {
            (0..blocks * groups).into_par_iter().for_each(work);
        } else {
            (0..blocks * groups).for_each(work);
        }
    }

    /// `left · panels` over `depth` units from `start` on, added to what was before, for the panels of `range`, which starts
    /// with one.
    ///
    /// # Safety
    /// The machine must have bf16; `out` must hold the rows of `left`, with sums where `before` says so.
    unsafe fn multiply(
        &self,
        left: &Units,
        start: usize,
        depth: usize,
        before: Before<'_>,
        range: Range<usize>,
        out: *mut f32,
    ) {
        let n = self.columns;
        let [row_step, unit_step] = left.strides;
        for first in range.step_by(COLUMNS) {
            let columns = COLUMNS.min(n - first);
            let stride = columns.next_multiple_of(16);
            let panel = &self.values[first * self.units + start * stride..];
            let mut row = 0;
            while row < left.rows {
                let rows = TILE.min(left.rows - row);
                // SAFETY: the panel, the units and `out` hold `rows`, `depth` and `columns`.
                unsafe {
                    let place = out.add(row * n + first);
                    tile(Tile {
                        left: left.values[row * row_step + start * unit_step..].as_ptr(),
                        row_step,
                        unit_step,
                        panel: panel.as_ptr(),
                        stride,
                        depth,
                        out: place,
                        out_step: n,
                        rows,
                        columns,
                        before: before.of(place, first, n),
                    });
                }
                row += rows;
            }
        }
    }
}

/// Where a product goes; each task writes places of its own.
struct Place(*mut f32);

// SAFETY: the pointer is only passed on; tasks write disjoint places.
unsafe impl Sync for Place {}

impl Place {
    /// The place `from` values further on.
    ///
    /// # Safety
    /// It must be inside the output.
    unsafe fn row(&self, from: usize) -> *mut f32 {
        // SAFETY: promised.
        unsafe { self.0.add(from) }
    }
}
