//! What the products of a head read and write: padded copies, by rows or by columns.

use std::ops::Range;

use super::{Attention, AttentionDims, Heads};
use crate::math::LANES;
use crate::parallel::Strips;
use crate::tile::padded;

/// Working memory of one task; sizes are those of the padded matrices.
#[derive(Default)]
pub(super) struct Scratch {
    /// Queries of a block, scaled, `[block, head]`.
    pub(super) q: Vec<f32>,
    /// Keys and values by columns, `[head, keys]`.
    pub(super) k_columns: Vec<f32>,
    pub(super) v_columns: Vec<f32>,
    /// Keys (scaled) or values by rows, `[keys, head]`.
    pub(super) rows: Vec<f32>,
    /// Gradients of a block's results, `[block, head]`.
    pub(super) grad: Vec<f32>,
    /// Scores of a block, then probabilities, `[block, keys]`.
    pub(super) scores: Vec<f32>,
    /// Gradients of the probabilities, then of the scores, `[block, keys]`.
    pub(super) d_scores: Vec<f32>,
    /// Results of a block, `[block, head]`.
    pub(super) out: Vec<f32>,
    /// Gradients of keys and values, `[keys, head]`.
    pub(super) dk: Vec<f32>,
    pub(super) dv: Vec<f32>,
    /// 0 where a key may be seen, −∞ where not, `[keys]`.
    pub(super) bias: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(dims: AttentionDims) -> Self {
        Self {
            bias: vec![0.0; dims.keys],
            ..Self::default()
        }
    }
}

/// Makes room for `len` values; what was there stays.
#[inline(always)]
pub(super) fn grow(values: &mut Vec<f32>, len: usize) {
    if values.len() < len {
        values.resize(len, 0.0);
    }
}

/// Rows `range` of a head times `scale`, each padded with zeros, `[range, padded head]`.
#[inline(always)]
pub(super) fn pack_rows(
    from: Heads<'_>,
    b: usize,
    h: usize,
    range: Range<usize>,
    head: usize,
    scale: f32,
    to: &mut Vec<f32>,
) {
    let wide = padded(head);
    to.resize(range.len() * wide, 0.0);
    for (token, to) in range.zip(to.chunks_exact_mut(wide)) {
        let (to, rest) = to.split_at_mut(head);
        for (to, from) in to.iter_mut().zip(from.row(b, token, h, head)) {
            *to = from * scale;
        }
        rest.fill(0.0);
    }
}

/// All rows of a head as columns, `[head, padded tokens]`, padded with zeros.
#[inline(always)]
pub(super) fn pack_columns(
    from: Heads<'_>,
    b: usize,
    h: usize,
    tokens: usize,
    head: usize,
    to: &mut Vec<f32>,
) {
    let wide = padded(tokens);
    to.resize(head * wide, 0.0);
    let mut first = 0;
    while first < wide {
        // Sixteen rows at a time, so that each store is a whole vector.
        let rows: [Option<&[f32]>; LANES] =
            std::array::from_fn(|l| (first + l < tokens).then(|| from.row(b, first + l, h, head)));
        if let Some(rows) = full(&rows) {
            for (i, to) in to.chunks_exact_mut(wide).enumerate() {
                let mut lane = [0.0; LANES];
                for l in 0..LANES {
                    lane[l] = rows[l][i];
                }
                to[first..first + LANES].copy_from_slice(&lane);
            }
        } else {
            for (i, to) in to.chunks_exact_mut(wide).enumerate() {
                for (to, row) in to[first..first + LANES].iter_mut().zip(&rows) {
                    *to = row.map_or(0.0, |row| row[i]);
                }
            }
        }
        first += LANES;
    }
}

#[inline(always)]
pub(super) fn full<'a>(rows: &[Option<&'a [f32]>; LANES]) -> Option<[&'a [f32]; LANES]> {
    let mut all: [&[f32]; LANES] = [&[]; LANES];
    for (to, row) in all.iter_mut().zip(rows) {
        *to = (*row)?;
    }
    Some(all)
}

/// A dense `[batch, tokens, heads, head]` that tasks write, each its own heads and tokens.
pub(super) struct Target<'a> {
    pub(super) memory: &'a Strips<'a>,
    pub(super) tokens: usize,
    pub(super) dims: AttentionDims,
}

impl Target<'_> {
    /// Writes the first `count` of the padded `rows` to the tokens from `start` on.
    ///
    /// # Safety
    /// No other task may write these tokens of this head.
    #[inline(always)]
    pub(super) unsafe fn write(
        &self,
        b: usize,
        h: usize,
        start: usize,
        rows: &[f32],
        count: usize,
    ) {
        let AttentionDims { heads, head, .. } = self.dims;
        for (i, row) in rows.chunks_exact(padded(head)).take(count).enumerate() {
            let at = ((b * self.tokens + start + i) * heads + h) * head;
            // SAFETY: handed down.
            unsafe { self.memory.row(at, head) }.write_copy_of_slice(&row[..head]);
        }
    }
}

/// Fills the bias of sequence `b`; says whether there is a mask.
#[inline(always)]
pub(super) fn fill_bias(input: &Attention<'_>, b: usize, bias: &mut [f32]) -> bool {
    let Some(mask) = input.mask else {
        return false;
    };
    let mask = &mask[b * bias.len()..][..bias.len()];
    for (bias, seen) in bias.iter_mut().zip(mask) {
        *bias = if *seen == 0 { f32::NEG_INFINITY } else { 0.0 };
    }
    true
}
