//! The product of a block of results: weights times what the taps read, in registers.

use super::input_tile::{Block, Reach};
use crate::level::{Level, leveled};
use crate::math::LANES;
use crate::parallel::Strips;
use crate::simd::{Portable, Simd};

/// Sixteen neighbouring places of an input tile whose results are computed together.
pub(super) struct Vector {
    /// First place.
    pub(super) start: usize,
    /// Which of its runs are results.
    runs: std::ops::Range<usize>,
}

/// Neighbouring results: the first lane, how many, and the place of the first in a plane of the output.
struct Run {
    lane: usize,
    count: usize,
    place: usize,
}

/// The vectors of a block.
pub(super) struct Vectors {
    pub(super) vectors: Vec<Vector>,
    runs: Vec<Run>,
    /// Distance between neighbouring results in the output.
    step: usize,
}

impl Vectors {
    /// Of `block`, whose input tile has rows of `width`; `place` gives the place of a result in a plane of the output.
    /// Vectors start with each row, or run on over the rows where that takes fewer of them.
    pub(super) fn new(
        block: &Block,
        width: usize,
        step: usize,
        place: impl Fn(usize, usize) -> usize,
    ) -> Self {
        let Block { rows, columns, .. } = *block;
        let by_row = rows * columns.div_ceil(LANES);
        let flat = (rows - 1) * width + columns;
        let (mut vectors, mut runs) = (Vec::new(), Vec::new());
        let mut push = |start: usize, of: &mut dyn Iterator<Item = Run>| {
            let first = runs.len();
            runs.extend(of);
            vectors.push(Vector {
                start,
                runs: first..runs.len(),
            });
        };
        if by_row <= flat.div_ceil(LANES) {
            for row in 0..rows {
                for column in (0..columns).step_by(LANES) {
                    let run = Run {
                        lane: 0,
                        count: LANES.min(columns - column),
                        place: place(row, column),
                    };
                    push(row * width + column, &mut std::iter::once(run));
                }
            }
        } else {
            for start in (0..flat).step_by(LANES) {
                let end = flat.min(start + LANES);
                let mut of = (start / width..=(end - 1) / width).filter_map(|row| {
                    let from = start.max(row * width);
                    let to = end.min(row * width + columns);
                    (from < to).then(|| Run {
                        lane: from - start,
                        count: to - from,
                        place: place(row, from - row * width),
                    })
                });
                push(start, &mut of);
            }
        }
        Self {
            vectors,
            runs,
            step,
        }
    }
}

/// One block's product: `bias[i] + Σ weight[i, channel, tap] · source[channel, place + tap]` for each row `i`.
pub(super) struct Product<'a> {
    /// The input tile: f32 values, or units of two bf16 values.
    pub(super) source: &'a [f32],
    pub(super) channels: usize,
    pub(super) channel_step: usize,
    pub(super) reaches: &'a [Reach],
    /// Weights of the same kind, with the distance between rows and between channels.
    pub(super) weight: &'a [f32],
    pub(super) weight_steps: [usize; 2],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) vectors: &'a Vectors,
    /// Where the block starts, and each of the rows from there.
    pub(super) out: &'a Strips<'a>,
    pub(super) out_start: usize,
    pub(super) out_rows: &'a [usize],
}

impl Product<'_> {
    /// Panics unless the input tile and the weights hold what is read.
    fn check(&self) {
        let start = self.vectors.vectors.iter().map(|vector| vector.start).max();
        let offset = self.reaches.iter().map(|reach| reach.offset).max();
        let index = self.reaches.iter().map(|reach| reach.index).max();
        if let (Some(start), Some(offset), Some(index)) = (start, offset, index) {
            let last = (self.channels - 1) * self.channel_step + offset + start + LANES;
            assert!(last <= self.source.len());
            let [row, channel] = self.weight_steps;
            let last = (self.out_rows.len() - 1) * row + (self.channels - 1) * channel + index;
            assert!(last < self.weight.len());
        }
        assert!(
            self.bias
                .is_none_or(|bias| bias.len() == self.out_rows.len())
        );
    }
}

/// Writes all results of the block.
///
/// # Safety
/// No other task may hold the places of the block in the output. Where `pairs`, the machine must multiply bf16
/// values, and the operands must be units of those.
pub(super) unsafe fn multiply(level: Level, pairs: bool, product: &Product<'_>) {
    product.check();
    #[cfg(target_arch = "x86_64")]
    if pairs {
        // SAFETY: checked, or handed down.
        return unsafe { super::x86::multiply_pairs(product) };
    }
    debug_assert!(!pairs);
    multiply_values(level, product);
}

leveled! {
    /// Called by `multiply` only.
    fn multiply_values(product: &Product<'_>) {
        // SAFETY: handed down by `multiply`; `WIDE` and `FMA` are set where the instructions exist.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{__m256, __m512};
                if WIDE {
                    return tile_rows::<__m512, 8, 3>(product);
                }
                if FMA {
                    return tile_rows::<[__m256; 2], 4, 1>(product);
                }
            }
            tile_rows::<Portable<FMA>, 4, 1>(product);
        }
    }
}

/// The product, `ROWS` rows at a time, then fewer.
///
/// # Safety
/// As for [`multiply`], with the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn tile_rows<V: Simd, const ROWS: usize, const VECTORS: usize>(
    product: &Product<'_>,
) {
    let mut row = 0;
    // SAFETY: handed down; rows lie inside the product.
    unsafe {
        while row + ROWS <= product.out_rows.len() {
            tile_rows_of::<V, ROWS, VECTORS>(product, row);
            row += ROWS;
        }
        if ROWS > 4 && row + 4 <= product.out_rows.len() {
            tile_rows_of::<V, 4, VECTORS>(product, row);
            row += 4;
        }
        if row + 2 <= product.out_rows.len() {
            tile_rows_of::<V, 2, VECTORS>(product, row);
            row += 2;
        }
        if row < product.out_rows.len() {
            tile_rows_of::<V, 1, 8>(product, row);
        }
    }
}

/// `ROWS` rows of the product.
///
/// # Safety
/// As for [`tile_rows`].
#[inline(always)]
unsafe fn tile_rows_of<V: Simd, const ROWS: usize, const VECTORS: usize>(
    product: &Product<'_>,
    row: usize,
) {
    let (many, few) = product.vectors.vectors.as_chunks::<VECTORS>();
    // SAFETY: handed down.
    unsafe {
        for vectors in many {
            tile::<V, ROWS, VECTORS>(product, row, vectors);
        }
        let (pairs, one) = few.as_chunks::<2>();
        for vectors in pairs {
            tile::<V, ROWS, 2>(product, row, vectors);
        }
        for vector in one {
            tile::<V, ROWS, 1>(product, row, std::array::from_ref(vector));
        }
    }
}

/// `ROWS × (VECTORS · 16)` results. Sums run over channels, then taps, in order.
///
/// # Safety
/// As for [`tile_rows`].
#[inline(always)]
unsafe fn tile<V: Simd, const ROWS: usize, const VECTORS: usize>(
    product: &Product<'_>,
    row: usize,
    vectors: &[Vector; VECTORS],
) {
    let starts: [usize; VECTORS] = std::array::from_fn(|v| vectors[v].start);
    let [row_step, channel_step] = product.weight_steps;
    // SAFETY: `check` bounded all places that are read.
    unsafe {
        let mut sums = [[V::zero(); VECTORS]; ROWS];
        if let Some(bias) = product.bias {
            for (i, sums) in sums.iter_mut().enumerate() {
                *sums = [V::splat(bias[row + i]); VECTORS];
            }
        }
        let weight = product.weight.as_ptr().wrapping_add(row * row_step);
        let source = product.source.as_ptr();
        for channel in 0..product.channels {
            let source = source.wrapping_add(channel * product.channel_step);
            let weight = weight.wrapping_add(channel * channel_step);
            for reach in product.reaches {
                let source = source.wrapping_add(reach.offset);
                let weight = weight.wrapping_add(reach.index);
                let mut read = [V::zero(); VECTORS];
                for (read, start) in read.iter_mut().zip(starts) {
                    *read = V::load(source.wrapping_add(start));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    V::add_products(sums, weight.wrapping_add(i * row_step), read);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let plane = product.out_start + product.out_rows[row + i];
            for (sum, vector) in sums.iter().zip(vectors) {
                store(product, plane, *sum, vector);
            }
        }
    }
}

/// Writes the results of a vector to the plane that starts at `plane`.
///
/// # Safety
/// As for [`tile_rows`].
#[inline(always)]
pub(super) unsafe fn store<V: Simd>(product: &Product<'_>, plane: usize, sum: V, vector: &Vector) {
    let Vectors { runs, step, .. } = product.vectors;
    // SAFETY: handed down.
    unsafe {
        let mut lanes = [0.0; LANES];
        sum.store(lanes.as_mut_ptr());
        for run in &runs[vector.runs.clone()] {
            let place = plane + run.place;
            if run.count == LANES && *step == 1 {
                sum.store(product.out.row(place, LANES).as_mut_ptr().cast());
                continue;
            }
            let out = product.out.row(place, (run.count - 1) * step + 1);
            for i in 0..run.count {
                out[i * step].write(lanes[run.lane + i]);
            }
        }
    }
}
