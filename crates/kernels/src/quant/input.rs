//! The input of a product, rounded to eight bits a value.

use rayon::prelude::*;

use super::BLOCK;
use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};
use crate::parallel::{Places, rows_per_task};
use crate::team::Team;

/// Rows that lie together.
pub(super) const GROUP: usize = 8;
/// The largest integer.
const HIGHEST: f32 = 127.0;
/// Blocks whose magnitudes are all smaller count as zero: `HIGHEST` divided by them would overflow.
const TINY: f32 = 1e-35;

/// 32 values of a row: `scale · values`.
#[derive(Clone, Copy, Default)]
pub(super) struct InputBlock {
    pub(super) values: [[i8; 4]; BLOCK / 4],
    pub(super) scale: f32,
    /// Sum of the values.
    pub(super) sum: f32,
    /// Sums of both halves.
    pub(super) halves: [i32; 2],
}

/// To how many bits inputs of quantised products are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputBits {
    /// Each 32 values are `a/127` times an integer, where `a` is the largest magnitude among them: off by at most `a/254`.
    #[default]
    Eight,
    /// What eight bits leave of a value is rounded to eight bits once more: off by at most about `a/64000`. A product
    /// takes twice as many multiplications, and reads the weights once all the same.
    Sixteen,
}

impl InputBits {
    /// Integers that a value is made of.
    fn terms(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }
}

/// Rows rounded to eight or sixteen bits a value, for products with [`crate::QuantMatrix`]: each 32 values share a scale.
/// The memory is kept from use to use.
///
/// A row of sixteen bits is held as two rows of eight whose sum it is. Rows lie in groups of eight (fewer in the last
/// one), in which the blocks of all rows of a column follow one another.
#[derive(Default)]
pub struct QuantRows {
    blocks: Vec<InputBlock>,
    /// Blocks of a row.
    pub(super) width: usize,
    /// Rows of eight bits.
    pub(super) rows: usize,
    /// Rows of eight bits that make a row.
    pub(super) terms: usize,
}

impl QuantRows {
    /// Rounds `x` `[rows, columns]` to eight bits, `columns` a multiple of the block.
    pub(super) fn of(level: Level, x: &[f32], rows: usize) -> Self {
        let mut this = Self::default();
        let columns = x.len().checked_div(rows).unwrap_or(0);
        let blocks = this.shape(rows, columns, InputBits::Eight);
        let round = |(x, blocks): (&[f32], &mut [InputBlock])| {
            round_rows(level, x, columns, 1, blocks);
        };
        let width = columns / BLOCK;
        if width > 0 {
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
        this
    }

    /// Makes room for `rows` rows, and gives it.
    fn shape(&mut self, rows: usize, columns: usize, bits: InputBits) -> &mut [InputBlock] {
        self.width = columns / BLOCK;
        self.terms = bits.terms();
        self.rows = rows * self.terms;
        let size = self.rows * self.width;
        if self.blocks.len() < size {
            self.blocks.resize(size, InputBlock::default());
        }
        &mut self.blocks[..size]
    }

    /// Rounds `x` `[rows, columns]` in place of what was there; `columns` must be a multiple of 32.
    pub fn round(
        &mut self,
        team: &Team<'_>,
        level: Level,
        x: &[f32],
        rows: usize,
        bits: InputBits,
    ) -> Result<(), ShapeError> {
        let columns = x.len().checked_div(rows).unwrap_or(0);
        expect("x", x.len(), rows * (columns / BLOCK) * BLOCK)?;
        let (width, terms) = (columns / BLOCK, bits.terms());
        let (row, held) = (GROUP / terms, self.shape(rows, columns, bits));
        let groups = rows.div_ceil(row);
        let places = Places::new(held);
        team.run(groups, |group| {
            let first = group * row;
            let count = row.min(rows - first);
            // SAFETY: groups do not overlap, and each is given out once.
            let blocks = unsafe { places.slice(first * terms * width, count * terms * width) };
            let x = &x[first * columns..][..count * columns];
            round_rows(level, x, columns, terms, blocks);
        });
        Ok(())
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
/// Rounds the rows of a group, each to `terms` rows of eight bits.
fn round_rows(x: &[f32], columns: usize, terms: usize, blocks: &mut [InputBlock]) {
    let rows = x.len() / columns * terms;
    for (r, row) in x.chunks_exact(columns).enumerate() {
        for (x, blocks) in row.as_chunks::<BLOCK>().0.iter().zip(blocks[r * terms..].chunks_mut(rows)) {
            let mut rest = *x;
            for (term, block) in blocks[..terms].iter_mut().enumerate() {
                *block = round(&rest);
                if term + 1 < terms {
                    for (rest, value) in rest.iter_mut().zip(block.values.as_flattened()) {
                        *rest -= f32::from(*value) * block.scale;
                    }
                }
            }
        }
    }
}
}

#[inline(always)]
fn round(x: &[f32; BLOCK]) -> InputBlock {
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
    block.sum = (sums[0] + sums[1]) as f32;
    block.halves = sums;
    block
}
