//! The input of a product, rounded to eight bits a value.

use rayon::prelude::*;

use super::BLOCK;
use crate::level::{Level, leveled};
use crate::parallel::rows_per_task;

/// Rows that lie together.
pub(super) const GROUP: usize = 8;
/// The largest integer.
const HIGHEST: f32 = 127.0;
/// Blocks whose magnitudes are all smaller count as zero: `HIGHEST` divided by them would overflow.
const TINY: f32 = 1e-35;

/// What a format asks of its input.
#[derive(Clone, Copy)]
pub(super) struct Rounding {
    /// What the weights are too large by.
    pub(super) offset: i32,
    /// Whether the halves of a block are summed apart.
    pub(super) split: bool,
}

/// 32 values of a row: `scale · values`.
#[derive(Clone, Copy, Default)]
pub(super) struct InputBlock {
    pub(super) values: [[i8; 4]; BLOCK / 4],
    pub(super) scale: f32,
    /// Sum of the values.
    pub(super) sum: f32,
    /// Minus the offset of the weights times the sum of the values: of both halves, or of all and zero.
    pub(super) starts: [i32; 2],
}

/// A matrix: groups of eight rows (fewer in the last one), in which the blocks of all rows of a column follow one
/// another.
pub(super) struct Input {
    blocks: Vec<InputBlock>,
    /// Blocks of a row.
    pub(super) width: usize,
    pub(super) rows: usize,
}

impl Input {
    /// Rounds `x` `[rows, columns]`, `columns` a multiple of the block.
    pub(super) fn new(level: Level, x: &[f32], rows: usize, rounding: Rounding) -> Self {
        let columns = x.len().checked_div(rows).unwrap_or(0);
        let width = columns / BLOCK;
        let mut blocks = vec![InputBlock::default(); rows * width];
        let round = |(x, blocks): (&[f32], &mut [InputBlock])| {
            round_rows(level, x, columns, rounding, blocks);
        };
        if width > 0 {
            let blocks = &mut blocks[..];
            if rows <= GROUP.max(rows_per_task(columns)) {
                x.chunks(GROUP * columns)
                    .zip(blocks.chunks_mut(GROUP * width))
                    .for_each(round);
            } else {
                x.par_chunks(GROUP * columns)
                    .zip(blocks.par_chunks_mut(GROUP * width))
                    .for_each(round);
            }
        }
        Self {
            blocks,
            width,
            rows,
        }
    }

    /// The group from row `first` on, `[width, rows of the group]`, and the number of its rows.
    #[inline(always)]
    pub(super) fn group(&self, first: usize) -> (&[InputBlock], usize) {
        let rows = GROUP.min(self.rows - first);
        (
            &self.blocks[first * self.width..][..rows * self.width],
            rows,
        )
    }
}

leveled! {
/// Rounds the rows of a group.
fn round_rows(x: &[f32], columns: usize, rounding: Rounding, blocks: &mut [InputBlock]) {
    let rows = x.len() / columns;
    for (r, row) in x.chunks_exact(columns).enumerate() {
        for (x, block) in row.as_chunks::<BLOCK>().0.iter().zip(blocks[r..].iter_mut().step_by(rows)) {
            *block = round(x, rounding);
        }
    }
}
}

#[inline(always)]
fn round(x: &[f32; BLOCK], Rounding { offset, split }: Rounding) -> InputBlock {
    /// Adding 1.5·2²³ leaves a float's nearest integer, even on ties, in the low bits.
    const NEAREST: f32 = 12_582_912.0;
    // Magnitudes compare like their bits; a NaN is above infinity.
    let mut largest = 0;
    for x in x {
        largest = largest.max(x.to_bits() & 0x7fff_ffff);
    }
    let largest = f32::from_bits(largest);
    let (scale, inverse) = if largest < TINY {
        (0.0, 0.0)
    } else {
        (largest / HIGHEST, HIGHEST / largest)
    };
    let mut block = InputBlock {
        scale,
        ..InputBlock::default()
    };
    let mut sums = [0; 2];
    for (half, (values, x)) in block
        .values
        .as_flattened_mut()
        .chunks_exact_mut(BLOCK / 2)
        .zip(x.chunks_exact(BLOCK / 2))
        .enumerate()
    {
        for (value, x) in values.iter_mut().zip(x) {
            *value = (x * inverse + NEAREST).to_bits() as i8;
            sums[half] += i32::from(*value);
        }
    }
    let sum = sums[0] + sums[1];
    block.sum = sum as f32;
    block.starts = if split {
        sums.map(|sum| -offset * sum)
    } else {
        [-offset * sum, 0]
    };
    block
}
