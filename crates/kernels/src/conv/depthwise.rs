//! Convolutions of one channel each, stride 1: a block of rows of results in registers.

use super::input_tile::{Block, Plan};
use crate::level::{Level, leveled};
use crate::math::LANES;
use crate::parallel::Strips;
use crate::simd::{Portable, Simd};

/// Rows of a kernel that the code is made for.
const HEIGHTS: [usize; 4] = [1, 3, 5, 7];

/// A kernel in the order of an input tile.
pub(super) struct Kernel {
    /// Number of each tap, `[columns, rows]`.
    taps: Vec<usize>,
    height: usize,
    /// Place of each column in an input tile.
    columns: Vec<usize>,
}

impl Kernel {
    /// That of `plan`, where it fits this code.
    pub(super) fn new(plan: &Plan, width: usize) -> Option<Self> {
        let [_, y, x] = &plan.axes;
        let (rows, columns) = plan.dense_kernel()?;
        if !HEIGHTS.contains(&rows.len()) || [y.step, x.step] != [1, 1] || plan.axes[0].step != 1 {
            return None;
        }
        let taps = columns
            .iter()
            .flat_map(|[x, _]| rows.iter().map(move |y| y * width + x));
        Some(Self {
            taps: taps.collect(),
            height: rows.len(),
            columns: columns.iter().map(|column| column[1]).collect(),
        })
    }
}

/// One block of one channel.
pub(super) struct Channel<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) block: Block,
    /// The input tile and the length of its rows.
    pub(super) source: &'a [f32],
    pub(super) width: usize,
    /// The kernel's taps, in the order of the weight.
    pub(super) weight: &'a [f32],
    pub(super) bias: f32,
    /// Where result 0 of the block is, and the distance between rows.
    pub(super) out: &'a Strips<'a>,
    pub(super) out_start: usize,
    pub(super) out_step: usize,
}

/// Writes the results of the block.
///
/// # Safety
/// No other task may hold the places of the block.
pub(super) unsafe fn convolve(level: Level, channel: &Channel<'_>) {
    let Channel {
        kernel,
        block,
        width,
        ..
    } = channel;
    let last = (block.rows + kernel.height - 2) * width + kernel.columns.last().unwrap_or(&0);
    assert!(last + (block.columns - 1) / LANES * LANES + LANES <= channel.source.len());
    let weight: Vec<f32> = kernel.taps.iter().map(|&tap| channel.weight[tap]).collect();
    rows_of(level, channel, &weight);
}

leveled! {
    /// Called by `convolve` only.
    fn rows_of(channel: &Channel<'_>, weight: &[f32]) {
        // SAFETY: handed down by `convolve`; `WIDE` and `FMA` are set where the instructions exist.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{__m256, __m512};
                if WIDE {
                    return sized::<__m512, 4>(channel, weight);
                }
                if FMA {
                    return sized::<[__m256; 2], 1>(channel, weight);
                }
            }
            sized::<Portable<FMA>, 1>(channel, weight);
        }
    }
}

/// # Safety
/// As for [`convolve`], with the instructions of `V`.
#[inline(always)]
unsafe fn sized<V: Simd, const VECTORS: usize>(channel: &Channel<'_>, weight: &[f32]) {
    // SAFETY: handed down.
    unsafe {
        match channel.kernel.height {
            1 => rows::<V, VECTORS, 1>(channel, weight),
            3 => rows::<V, VECTORS, 3>(channel, weight),
            5 => rows::<V, VECTORS, 5>(channel, weight),
            _ => rows::<V, VECTORS, 7>(channel, weight),
        }
    }
}

/// Four rows of results at a time, then one.
///
/// # Safety
/// As for [`sized`].
#[inline(always)]
unsafe fn rows<V: Simd, const VECTORS: usize, const HEIGHT: usize>(
    channel: &Channel<'_>,
    weight: &[f32],
) {
    let (weight, _) = weight.as_chunks::<HEIGHT>();
    let rows = channel.block.rows;
    let mut row = 0;
    // SAFETY: handed down.
    unsafe {
        while row + 4 <= rows {
            columns::<V, VECTORS, HEIGHT, 4>(channel, weight, row);
            row += 4;
        }
        while row < rows {
            columns::<V, VECTORS, HEIGHT, 1>(channel, weight, row);
            row += 1;
        }
    }
}

/// # Safety
/// As for [`sized`].
#[inline(always)]
unsafe fn columns<V: Simd, const VECTORS: usize, const HEIGHT: usize, const ROWS: usize>(
    channel: &Channel<'_>,
    weight: &[[f32; HEIGHT]],
    row: usize,
) {
    let columns = channel.block.columns;
    let mut column = 0;
    // SAFETY: handed down.
    unsafe {
        while column + VECTORS * LANES <= columns {
            tile::<V, VECTORS, HEIGHT, ROWS>(channel, weight, row, column);
            column += VECTORS * LANES;
        }
        while column < columns {
            tile::<V, 1, HEIGHT, ROWS>(channel, weight, row, column);
            column += LANES;
        }
    }
}

/// `ROWS × (VECTORS · 16)` results, of which those inside the block are written. Sums run down the kernel's columns.
///
/// # Safety
/// As for [`sized`].
#[inline(always)]
unsafe fn tile<V: Simd, const VECTORS: usize, const HEIGHT: usize, const ROWS: usize>(
    channel: &Channel<'_>,
    weight: &[[f32; HEIGHT]],
    row: usize,
    column: usize,
) {
    // SAFETY: `convolve` bounded all places that are read.
    unsafe {
        let mut sums = [[V::splat(channel.bias); VECTORS]; ROWS];
        let start = channel
            .source
            .as_ptr()
            .wrapping_add(row * channel.width + column);
        for (by, at) in weight.iter().zip(&channel.kernel.columns) {
            let by: [V; HEIGHT] = std::array::from_fn(|y| V::splat(by[y]));
            for i in 0..ROWS + HEIGHT - 1 {
                let from = start.wrapping_add(i * channel.width + at);
                for v in 0..VECTORS {
                    let read = V::load(from.wrapping_add(v * LANES));
                    for (r, sums) in sums.iter_mut().enumerate() {
                        if i >= r && i - r < HEIGHT {
                            sums[v] = by[i - r].mul_add(read, sums[v]);
                        }
                    }
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let place = channel.out_start + (row + r) * channel.out_step + column;
            for (v, sum) in sums.iter().enumerate() {
                let count = LANES.min(channel.block.columns - column - v * LANES);
                let out = channel.out.row(place + v * LANES, count);
                if count == LANES {
                    sum.store(out.as_mut_ptr().cast());
                } else {
                    let mut lanes = [0.0; LANES];
                    sum.store(lanes.as_mut_ptr());
                    out.write_copy_of_slice(&lanes[..count]);
                }
            }
        }
    }
}
