//! Operands turned into units.

use rayon::prelude::*;

use super::COLUMNS;
use crate::amx;
use crate::bf16_x86::{interleave, pairs, prefetch};
use crate::product::Operand;

/// Values along the summed axis by which reading runs ahead.
pub(super) const AHEAD: usize = 16;

/// Units of some rows of a left operand.
pub(super) struct Units {
    pub(super) values: Vec<u32>,
    pub(super) rows: usize,
    /// Distance between rows and between units.
    pub(super) strides: [usize; 2],
}

impl Units {
    /// Of `rows` rows of `k` values from row `first` on.
    ///
    /// # Safety
    /// The machine must have bf16; the operand must hold the rows.
    pub(super) unsafe fn new(
        (values, [row, column]): Operand<'_>,
        first: usize,
        rows: usize,
        k: usize,
    ) -> Self {
        let units = k.div_ceil(2);
        let strides = if column == 1 { [units, 1] } else { [1, rows] };
        let mut packed = vec![0; rows * units];
        if column == 1 {
            for (i, to) in packed.chunks_exact_mut(units).enumerate() {
                // SAFETY: handed down.
                unsafe { pairs(&values[(first + i) * row..][..k], to) };
            }
        } else {
            for (u, to) in packed.chunks_exact_mut(rows).enumerate() {
                let at = |p: usize| (p < k).then(|| &values[p * column + first * row..]);
                // Rows are far apart: ask for later ones while these are turned.
                for ahead in [at(2 * u + AHEAD), at(2 * u + AHEAD + 1)] {
                    prefetch(ahead.unwrap_or_default(), rows);
                }
                // SAFETY: handed down.
                unsafe { interleave(at(2 * u), at(2 * u + 1), row, to) };
            }
        }
        Self {
            values: packed,
            rows,
            strides,
        }
    }
}

/// Units of a right operand in panels of 64 columns, `[panels, units, 64]`; the last panel is as wide as the
/// sixteens that are left.
pub(crate) struct Panels {
    pub(super) values: Vec<u32>,
    /// Values along the summed axis.
    pub(super) inner: usize,
    /// Units of a column in memory: for tiles whole steps, the last one filled up with zeros.
    pub(super) units: usize,
    pub(super) columns: usize,
}

impl Panels {
    /// Of a `[k, n]` operand.
    ///
    /// # Safety
    /// The machine must have bf16; the operand must hold its values.
    pub(crate) unsafe fn new(operand: Operand<'_>, k: usize, n: usize, parallel: bool) -> Self {
        // SAFETY: handed down.
        unsafe { Self::packed(operand, k, n, parallel, amx::available()) }
    }

    /// [`Self::new`], with whole steps of units where `steps`.
    ///
    /// # Safety
    /// As for [`Self::new`].
    pub(super) unsafe fn packed(
        operand: Operand<'_>,
        k: usize,
        n: usize,
        parallel: bool,
        steps: bool,
    ) -> Self {
        let units = match k.div_ceil(2) {
            units if steps => units.next_multiple_of(amx::STEP),
            units => units,
        };
        let mut values = vec![0; units * n.next_multiple_of(16)];
        let work = |(i, panel): (usize, &mut [u32])| {
            // SAFETY: handed down.
            unsafe { fill_panel(operand, k, n, i * COLUMNS, panel) };
        };
        let size = (units * COLUMNS).max(1);
        if parallel {
            values.par_chunks_mut(size).enumerate().for_each(work);
        } else {
            values.chunks_mut(size).enumerate().for_each(work);
        }
        Self {
            values,
            inner: k,
            units,
            columns: n,
        }
    }

    /// The values, column after column, `[n, k]`.
    pub(crate) fn columns(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.columns * self.inner];
        let panels = self.values.par_chunks((self.units * COLUMNS).max(1));
        out.par_chunks_mut((self.inner * COLUMNS).max(1))
            .zip(panels)
            .for_each(|(out, panel)| {
                let stride = (out.len() / self.inner).next_multiple_of(16);
                for (column, out) in out.chunks_exact_mut(self.inner).enumerate() {
                    for (pair, unit) in out.chunks_mut(2).zip(panel.chunks_exact(stride)) {
                        pair[0] = f32::from_bits(unit[column] << 16);
                        if let Some(second) = pair.get_mut(1) {
                            *second = f32::from_bits(unit[column] & 0xffff_0000);
                        }
                    }
                }
            });
        out
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.values[..])
    }
}

/// Fills the panel of the columns from `first` on.
///
/// # Safety
/// As for [`Panels::new`].
unsafe fn fill_panel(
    (values, [row, column]): Operand<'_>,
    k: usize,
    n: usize,
    first: usize,
    panel: &mut [u32],
) {
    let columns = COLUMNS.min(n - first);
    let stride = columns.next_multiple_of(16);
    if column == 1 {
        for (u, to) in panel.chunks_exact_mut(stride).enumerate() {
            let at = |p: usize| (p < k).then(|| &values[p * row + first..]);
            for ahead in [at(2 * u + AHEAD), at(2 * u + AHEAD + 1)] {
                prefetch(ahead.unwrap_or_default(), columns);
            }
            // SAFETY: handed down.
            unsafe { interleave(at(2 * u), at(2 * u + 1), 1, &mut to[..columns]) };
        }
        return;
    }
    // Columns lie together: turn sixteen of them into units, then those into rows of the panel.
    let units = k.div_ceil(2);
    let mut turned = vec![0; 16 * units];
    for group in (0..columns).step_by(16) {
        let count = 16.min(columns - group);
        for (j, to) in turned.chunks_exact_mut(units).take(count).enumerate() {
            let from = (first + group + j) * column;
            // SAFETY: handed down.
            unsafe { pairs(&values[from..from + k], to) };
        }
        for (u, to) in panel.chunks_exact_mut(stride).take(units).enumerate() {
            for (j, to) in to[group..group + count].iter_mut().enumerate() {
                *to = turned[j * units + u];
            }
        }
    }
}
