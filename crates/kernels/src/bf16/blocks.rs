//! Products block by block, with tiles.

use std::ops::Range;

use super::pack::{AHEAD, Panels, Units};
use super::{Before, COLUMNS, Way};
use crate::amx::{self, Block, Tiles};
use crate::bf16_x86::{interleave, pairs, prefetch};
use crate::product::Operand;

/// A block's sums where not all of it belongs to the result.
#[repr(align(64))]
struct Aside([f32; amx::ROWS * amx::COLUMNS]);

/// What nothing was before: one row for all.
static NOTHING: Aside = Aside([0.0; amx::ROWS * amx::COLUMNS]);

impl Units {
    /// Of `rows` rows of `k` values from row `first` on: each row by itself, with rows and units to whole blocks, zero
    /// where nothing is.
    ///
    /// # Safety
    /// The machine must have bf16; the operand must hold the rows.
    pub(super) unsafe fn in_blocks(
        (values, [row, column]): Operand<'_>,
        first: usize,
        rows: usize,
        k: usize,
    ) -> Self {
        let full = k.div_ceil(2);
        let units = full.next_multiple_of(amx::STEP);
        let mut packed = vec![0; rows.next_multiple_of(amx::ROWS) * units];
        if column == 1 {
            for (i, to) in packed.chunks_exact_mut(units).take(rows).enumerate() {
                // SAFETY: handed down.
                unsafe { pairs(&values[(first + i) * row..][..k], &mut to[..full]) };
            }
        } else {
            // Rows lie together: make one step's units of all of them, then turn those.
            let mut lines = vec![0; amx::STEP * rows];
            for start in (0..full).step_by(amx::STEP) {
                let count = amx::STEP.min(full - start);
                let at = |p: usize| (p < k).then(|| &values[p * column + first * row..]);
                for (u, line) in (start..).zip(lines.chunks_exact_mut(rows).take(count)) {
                    for ahead in [at(2 * u + AHEAD), at(2 * u + AHEAD + 1)] {
                        prefetch(ahead.unwrap_or_default(), rows);
                    }
                    // SAFETY: handed down.
                    unsafe { interleave(at(2 * u), at(2 * u + 1), row, line) };
                }
                for (i, to) in packed.chunks_exact_mut(units).take(rows).enumerate() {
                    for (u, to) in to[start..start + count].iter_mut().enumerate() {
                        *to = lines[u * rows + i];
                    }
                }
            }
        }
        Self {
            values: packed,
            rows,
            strides: [units, 1],
        }
    }
}

impl Panels {
    /// `left · panels` over `depth` units from `start` on, both whole steps, added to what was before, for the panels of
    /// `range`, which starts with one.
    ///
    /// # Safety
    /// The machine must be fit for `way`; `out` must hold the rows of `left`, with sums where `before` says so.
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn in_blocks(
        &self,
        way: Way,
        left: &Units,
        start: usize,
        depth: usize,
        before: Before<'_>,
        range: &Range<usize>,
        out: *mut f32,
    ) {
        let n = self.columns;
        let [left_step, _] = left.strides;
        // SAFETY: the machine has tiles where they are the way.
        let tiles = (way == Way::Tiles).then(|| unsafe { Tiles::new() });
        // Blocks that end beyond the result are worked out here.
        let mut aside = Aside([0.0; amx::ROWS * amx::COLUMNS]);
        for panel in range.clone().step_by(COLUMNS) {
            let right_step = COLUMNS.min(n - panel).next_multiple_of(16);
            let units = &self.values[panel * self.units + start * right_step..];
            for column in (0..right_step).step_by(amx::COLUMNS) {
                let first = panel + column;
                let wide = right_step - column > amx::COLUMNS / 2;
                let width = if wide { amx::COLUMNS } else { amx::COLUMNS / 2 };
                let width = width.min(n - first);
                for row in (0..left.rows).step_by(amx::ROWS) {
                    let rows = amx::ROWS.min(left.rows - row);
                    let whole = rows == amx::ROWS && width.is_multiple_of(16);
                    // SAFETY: `out` holds these rows and columns; units are there to whole blocks and steps.
                    unsafe {
                        let place = out.add(row * n + first);
                        let (from, from_step) = before.of(place, first, n);
                        let mut block = Block {
                            left: left.values[row * left_step + start..].as_ptr(),
                            left_step,
                            right: units[column..].as_ptr(),
                            right_step,
                            wide,
                            steps: depth / amx::STEP,
                            before: from,
                            before_step: from_step,
                            out: place,
                            out_step: n,
                        };
                        if from.is_null() {
                            (block.before, block.before_step) = (NOTHING.0.as_ptr(), 0);
                        }
                        if !whole {
                            let sums = aside.0.as_mut_ptr();
                            if !from.is_null() {
                                for i in 0..rows {
                                    let from = from.add(i * from_step);
                                    from.copy_to(sums.add(i * amx::COLUMNS), width);
                                }
                                (block.before, block.before_step) = (sums, amx::COLUMNS);
                            }
                            (block.out, block.out_step) = (sums, amx::COLUMNS);
                        }
                        match &tiles {
                            Some(tiles) => tiles.block(&block),
                            None => amx::imitate(&block),
                        }
                        if !whole {
                            for i in 0..rows {
                                let to = place.add(i * n);
                                to.copy_from(aside.0.as_ptr().add(i * amx::COLUMNS), width);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::available;
    use crate::parallel::collect;

    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let next = |state: &mut u32| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        let mut state = seed;
        std::iter::from_fn(|| next(&mut state))
            .take(count)
            .collect()
    }

    /// Every way gives the same product, whatever the shape, the order of the operands and what it is added to.
    #[test]
    fn blocks_give_what_vectors_give() {
        if !available() {
            return;
        }
        let mut ways = vec![Way::Imitated];
        ways.extend(amx::available().then_some(Way::Tiles));
        for [m, n, k] in [
            [1, 1, 1],
            [16, 16, 32],
            [32, 64, 64],
            [31, 33, 31],
            [33, 49, 65],
            [97, 130, 1100],
            [130, 80, 33],
            [200, 17, 2111],
        ] {
            let (a, b, bias) = (noise(m * k, 1), noise(k * n, 2), noise(n, 3));
            for (lhs, rhs) in [([k, 1], [1, k]), ([1, m], [n, 1]), ([k, 1], [n, 1])] {
                for bias in [None, Some(&bias[..])] {
                    let product = |way: Way, parallel: bool| {
                        // SAFETY: the machine has bf16, the operands hold their elements, all of the result is written.
                        unsafe {
                            let panels =
                                Panels::packed((&b, rhs), k, n, parallel, way != Way::Vectors);
                            collect(m * n, |out| {
                                panels.write_by(way, (&a, lhs), m, bias, out, parallel);
                            })
                        }
                    };
                    let want = product(Way::Vectors, false);
                    for &way in &ways {
                        let got = product(way, false);
                        assert_eq!(got, product(way, true), "{way:?} {m} {n} {k}: threads");
                        for (got, want) in got.iter().zip(&want) {
                            let off = (got - want).abs();
                            assert!(off <= 1e-4, "{way:?} {m} × {n} × {k}: {got} for {want}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_value_that_is_no_number_stays_in_its_row_and_column() {
        if !available() {
            return;
        }
        let [m, n, k] = [33, 40, 50];
        let mut a = noise(m * k, 5);
        a[7 * k + 3] = f32::NAN;
        let b = noise(k * n, 6);
        // SAFETY: as above.
        let out = unsafe {
            let panels = Panels::packed((&b, [n, 1]), k, n, false, true);
            collect(m * n, |out| {
                panels.write_by(Way::Imitated, (&a, [k, 1]), m, None, out, false);
            })
        };
        for (i, value) in out.iter().enumerate() {
            assert_eq!(value.is_nan(), i / n == 7, "{i}");
        }
    }
}
