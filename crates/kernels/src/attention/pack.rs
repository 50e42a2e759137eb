//! Rows of a head as operands of products, padded with zeros; and results back to rows of a head.

use std::ops::Range;

use super::buffer::Buffer;
use super::format::{Format, Vector};
use super::{Heads, Windows};
use crate::math::LANES;
use crate::parallel::Strips;
use crate::tile::{Left, padded};

/// Some tokens of one head of one sequence.
#[derive(Clone)]
pub(super) struct Rows<'a> {
    pub(super) from: Heads<'a>,
    pub(super) windows: Option<Windows<'a>>,
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

    /// Whether products read the rows where they are.
    #[inline(always)]
    fn in_place<F: Format>(&self) -> bool {
        F::VALUES == 1 && self.windows.is_none()
    }

    /// Row `i`; empty past the end.
    #[inline(always)]
    pub(super) fn row(&self, i: usize) -> &'a [f32] {
        if i < self.len() {
            let token = self.tokens.start + i;
            let (b, token) = match &self.windows {
                Some(windows) => windows.place(self.b, token),
                None => (self.b, token),
            };
            self.from.row(b, token, self.h, self.head)
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

/// Sixteen places of a row from place `at` on.
///
/// # Safety
/// For this and the other functions: the machine must have the instructions of `F`.
#[inline(always)]
unsafe fn places<F: Format>(row: &[f32], at: usize) -> Vector {
    let at = at * F::VALUES;
    // SAFETY: promised.
    unsafe { F::along(vector(row, at), vector(row, at + LANES)) }
}

/// A left operand of tokens and places of the head. It is packed where a place is more than a value, and where the tokens are not
/// evenly apart.
///
/// # Safety
/// See [`places`].
#[inline(always)]
pub(super) unsafe fn pack_along<F: Format>(rows: &Rows<'_>, to: &mut Buffer) {
    let wide = F::places(rows.head);
    if rows.in_place::<F>() || wide == 0 {
        return;
    }
    to.grow(rows.len() * wide);
    for (i, to) in to.chunks_exact_mut(wide).take(rows.len()).enumerate() {
        for (c, to) in to.chunks_mut(LANES).enumerate() {
            // SAFETY: promised.
            put(unsafe { places::<F>(rows.row(i), c * LANES) }, to);
        }
    }
}

/// What [`pack_along`] has packed, or the rows themselves.
#[inline(always)]
pub(super) fn left<'a, F: Format>(rows: &Rows<'a>, packed: &'a Buffer) -> Left<'a> {
    let (values, row) = if rows.in_place::<F>() {
        let [b, token, h] = rows.from.strides;
        let first = rows.b * b + rows.tokens.start * token + rows.h * h;
        let values = rows.from.values.get(first..);
        (values.unwrap_or_default(), token)
    } else {
        (&packed[..], F::places(rows.head))
    };
    Left {
        values,
        rows: rows.len(),
        row,
        column: 1,
    }
}

/// A right operand whose summed axis is the tokens: panels of `[places of the tokens, head]`.
///
/// # Safety
/// See [`places`].
#[inline(always)]
pub(super) unsafe fn pack_across<F: Format>(rows: &Rows<'_>, to: &mut Buffer) {
    let (inner, wide) = (rows.len().div_ceil(F::VALUES), padded(rows.head));
    to.grow(inner * wide);
    for p in 0..inner {
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
            put(both, &mut to[place::<F>(inner, wide, p, column)..]);
            column += LANES;
        }
    }
}

/// A right operand whose summed axis is the head: panels of `[places of the head, tokens]`.
///
/// # Safety
/// See [`places`].
#[inline(always)]
pub(super) unsafe fn pack_columns<F: Format>(rows: &Rows<'_>, to: &mut Buffer) {
    let (inner, wide) = (F::places(rows.head), padded(rows.len()));
    to.grow(inner * wide);
    let mut column = 0;
    while column < wide {
        let mut first = 0;
        while first < inner {
            let mut block = [[0.0; LANES]; LANES];
            for (l, to) in block.iter_mut().enumerate() {
                // SAFETY: promised.
                *to = unsafe { places::<F>(rows.row(column + l), first) };
            }
            // SAFETY: promised.
            let block = unsafe { F::transpose(block) };
            for (p, values) in (first..inner).zip(block) {
                put(values, &mut to[place::<F>(inner, wide, p, column)..]);
            }
            first += LANES;
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

/// A dense `[batch, tokens, heads, head]` that tasks write, each its own heads and tokens.
pub(super) struct Target<'a> {
    pub(super) memory: &'a Strips<'a>,
    pub(super) windows: Option<Windows<'a>>,
    /// Tokens of a sequence as they lie in memory.
    pub(super) tokens: usize,
    pub(super) heads: usize,
    pub(super) head: usize,
}

impl Target<'_> {
    /// Writes `row`, of which only the head counts, times `factor` to a token.
    ///
    /// # Safety
    /// No other task may write this token of this head.
    #[inline(always)]
    pub(super) unsafe fn write(&self, b: usize, h: usize, token: usize, row: &[f32], factor: f32) {
        let (b, token) = match &self.windows {
            Some(windows) => windows.place(b, token),
            None => (b, token),
        };
        let at = ((b * self.tokens + token) * self.heads + h) * self.head;
        // SAFETY: handed down.
        let to = unsafe { self.memory.row(at, self.head) };
        for (to, value) in to.iter_mut().zip(row) {
            to.write(value * factor);
        }
    }
}
