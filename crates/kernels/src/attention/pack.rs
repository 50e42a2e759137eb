//! Rows of a head as operands of products, padded with zeros; and results back to rows of a head.

use std::ops::Range;

use super::buffer::Buffer;
use super::format::{Format, Vector};
use super::{AttentionDims, Heads};
use crate::math::LANES;
use crate::parallel::Strips;
use crate::tile::padded;

/// Some tokens of one head of one sequence.
#[derive(Clone)]
pub(super) struct Rows<'a> {
    pub(super) from: Heads<'a>,
    pub(super) b: usize,
    pub(super) h: usize,
    pub(super) head: usize,
    pub(super) tokens: Range<usize>,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Row `i`; empty past the end.
    #[inline(always)]
    pub(super) fn row(&self, i: usize) -> &'a [f32] {
        if i < self.len() {
            let token = self.tokens.start + i;
            self.from.row(self.b, token, self.h, self.head)
        } else {
            &[]
        }
    }
}

/// Sixteen values from `at` on, zeros past the end.
#[inline(always)]
pub(super) fn vector(row: &[f32], at: usize) -> Vector {
    let row = row.get(at..).unwrap_or_default();
    if let Some(whole) = row.first_chunk() {
        return *whole;
    }
    let mut values = [0.0; LANES];
    for (to, from) in values.iter_mut().zip(row) {
        *to = *from;
    }
    values
}

/// Writes `values` to the start of `to`, as many as it holds.
#[inline(always)]
fn put(values: Vector, to: &mut [f32]) {
    if let Some(whole) = to.first_chunk_mut() {
        *whole = values;
    } else {
        for (to, from) in to.iter_mut().zip(values) {
            *to = from;
        }
    }
}

/// A left operand, or one with rows and columns changed: `[tokens, places of the head]`.
///
/// # Safety
/// For this and the other functions: the machine must have the instructions of `F`.
#[inline(always)]
pub(super) unsafe fn pack_along<F: Format>(rows: &Rows<'_>, to: &mut Buffer) {
    let places = rows.head.div_ceil(F::VALUES);
    to.grow(rows.len() * places);
    for (i, to) in to
        .chunks_exact_mut(places.max(1))
        .take(rows.len())
        .enumerate()
    {
        let row = rows.row(i);
        for (c, to) in to.chunks_mut(LANES).enumerate() {
            let at = c * F::VALUES * LANES;
            // SAFETY: promised.
            put(
                unsafe { F::along(vector(row, at), vector(row, at + LANES)) },
                to,
            );
        }
    }
}

/// A right operand whose summed axis is the tokens: panels of `[places of the tokens, head]`.
///
/// # Safety
/// See [`pack_along`].
#[inline(always)]
pub(super) unsafe fn pack_across<F: Format>(rows: &Rows<'_>, to: &mut Buffer) {
    let (places, wide) = (rows.len().div_ceil(F::VALUES), padded(rows.head));
    to.grow(places * wide);
    for p in 0..places {
        let first = rows.row(p * F::VALUES);
        let second = if F::VALUES == 2 {
            rows.row(p * 2 + 1)
        } else {
            &[]
        };
        let mut column = 0;
        while column < wide {
            // SAFETY: promised.
            let both = unsafe { F::across(vector(first, column), vector(second, column)) };
            put(both, &mut to[place::<F>(places, wide, p, column)..]);
            column += LANES;
        }
    }
}

/// A right operand whose summed axis is the head: panels of `[places of the head, tokens]`.
///
/// # Safety
/// See [`pack_along`].
#[inline(always)]
pub(super) unsafe fn pack_columns<F: Format>(rows: &Rows<'_>, zeros: &mut Buffer, to: &mut Buffer) {
    let (places, wide) = (rows.head.div_ceil(F::VALUES), padded(rows.len()));
    zeros.grow(rows.head);
    to.grow(places * wide);
    let mut column = 0;
    while column < wide {
        let mut sixteen: [&[f32]; LANES] = [&zeros[..rows.head]; LANES];
        for (l, row) in sixteen.iter_mut().enumerate() {
            if column + l < rows.len() {
                *row = &rows.row(column + l)[..rows.head];
            }
        }
        for p in 0..places {
            let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
            let at = p * F::VALUES;
            for l in 0..LANES {
                // SAFETY: the rows were cut to the head, which holds the first value of each place.
                first[l] = unsafe { *sixteen[l].get_unchecked(at) };
            }
            if F::VALUES == 2 && at + 1 < rows.head {
                for l in 0..LANES {
                    // SAFETY: as above, by the condition.
                    second[l] = unsafe { *sixteen[l].get_unchecked(at + 1) };
                }
            }
            // SAFETY: promised.
            let both = unsafe { F::across(first, second) };
            put(both, &mut to[place::<F>(places, wide, p, column)..]);
        }
        column += LANES;
    }
}

/// Where panels of `[inner, width]` hold row `p` from `column` on, a multiple of the lanes.
#[inline(always)]
fn place<F: Format>(inner: usize, width: usize, p: usize, column: usize) -> usize {
    let panel = column / F::COLUMNS * F::COLUMNS;
    let stride = F::COLUMNS.min(width - panel);
    panel * inner + p * stride + column - panel
}

/// A dense `[batch, tokens, query heads, head]` that tasks write, each its own heads and tokens.
pub(super) struct Target<'a> {
    pub(super) memory: &'a Strips<'a>,
    pub(super) tokens: usize,
    pub(super) dims: AttentionDims,
}

impl Target<'_> {
    /// Writes `row`, of which only the head counts, times `factor` to a token.
    ///
    /// # Safety
    /// No other task may write this token of this head.
    #[inline(always)]
    pub(super) unsafe fn write(&self, b: usize, h: usize, token: usize, row: &[f32], factor: f32) {
        let (heads, head) = (self.dims.query_heads(), self.dims.head);
        let at = ((b * self.tokens + token) * heads + h) * head;
        // SAFETY: handed down.
        let to = unsafe { self.memory.row(at, head) };
        for (to, value) in to.iter_mut().zip(row) {
            to.write(value * factor);
        }
    }
}
