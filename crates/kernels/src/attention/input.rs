//! What an attention takes and gives.

use super::mask::{Mask, Pairs};
use crate::error::{ShapeError, expect};
use crate::product::Precision;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionDims {
    /// Sequences.
    pub batch: usize,
    /// Queries of each sequence.
    pub queries: usize,
    /// Keys and values of each sequence.
    pub keys: usize,
    /// Heads of keys and values.
    pub heads: usize,
    /// Heads of queries for each head of keys: 1, or more for grouped query heads.
    pub group: usize,
    /// Values of a head.
    pub head: usize,
}

impl AttentionDims {
    /// Heads of queries: query head `h` reads head `h / group` of the keys and values.
    pub fn query_heads(&self) -> usize {
        self.heads.saturating_mul(self.group)
    }

    /// What scores are multiplied by: `1/√head`.
    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.head.max(1) as f32).sqrt()
    }
}

/// Queries, keys or values `[batch, tokens, heads, head]`, read through strides; values of a head lie together.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// The values, from the first one on.
    pub values: &'a [f32],
    /// Distance between sequences, between tokens and between heads.
    pub strides: [usize; 3],
}

impl<'a> Heads<'a> {
    /// A dense `[batch, tokens, heads, head]`.
    pub fn dense(values: &'a [f32], tokens: usize, heads: usize, head: usize) -> Self {
        // What is too large is told when it is used.
        let token = heads.saturating_mul(head);
        let strides = [tokens.saturating_mul(token), token, head];
        Self { values, strides }
    }

    pub(super) fn check(&self, name: &'static str, shape: [usize; 4]) -> Result<(), ShapeError> {
        if shape.contains(&0) {
            return Ok(());
        }
        let [axes @ .., head] = shape;
        let needed = axes
            .iter()
            .zip(self.strides)
            .fold(head, |sum, (count, step)| {
                sum.saturating_add((count - 1).saturating_mul(step))
            });
        expect(name, self.values.len().min(needed), needed)
    }

    /// Row `token` of one head of one sequence.
    #[inline(always)]
    pub(super) fn row(&self, b: usize, token: usize, h: usize, head: usize) -> &'a [f32] {
        let [sb, st, sh] = self.strides;
        &self.values[b * sb + token * st + h * sh..][..head]
    }
}

/// Queries, keys, values, and which keys each query may see.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Sizes.
    pub dims: AttentionDims,
    /// `[batch, queries, query heads, head]`.
    pub q: Heads<'a>,
    /// `[batch, keys, heads, head]`.
    pub k: Heads<'a>,
    /// `[batch, keys, heads, head]`.
    pub v: Heads<'a>,
    /// Which keys a query may see.
    pub mask: Mask<'a>,
    /// `[queries, keys]` for each sequence and head of queries: added to the scaled scores. It gets no gradient.
    pub bias: Option<Pairs<'a, f32>>,
    /// How the products read their operands.
    ///
    /// With [`Precision::Bf16`], queries, keys, values, probabilities and, in the backward pass, gradients are
    /// rounded to bf16, one rounding of 2⁻⁹ each; sums, the softmax and all that is in memory between calls stay
    /// f32. For values of size 1, results are off by less than 1 %, gradients by less than 2 % of the largest one.
    pub precision: Precision,
}

/// Gradients of queries, keys and values, dense, in their shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionGrads {
    /// `[batch, queries, query heads, head]`.
    pub q: Vec<f32>,
    /// `[batch, keys, heads, head]`.
    pub k: Vec<f32>,
    /// `[batch, keys, heads, head]`.
    pub v: Vec<f32>,
}

impl Attention<'_> {
    pub(super) fn check(&self) -> Result<(), ShapeError> {
        let dims = self.dims;
        let AttentionDims {
            batch,
            queries,
            keys,
            heads,
            head,
            ..
        } = dims;
        self.q
            .check("q", [batch, queries, dims.query_heads(), head])?;
        self.k.check("k", [batch, keys, heads, head])?;
        self.v.check("v", [batch, keys, heads, head])?;
        self.mask.check(dims)?;
        match self.bias {
            Some(bias) => bias.check("bias", dims, queries.saturating_mul(keys)),
            None => Ok(()),
        }
    }
}
