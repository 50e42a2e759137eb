//! What an attention takes and gives.

use std::ops::Range;

use super::mask::{Mask, Pairs};
use super::pack::Rows;
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
    /// Values of a head of queries and keys.
    pub head: usize,
    /// Values of a head of values and of results.
    pub values: usize,
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

/// Sequences that are windows of maps: each map has `first.len()` of them, window `w` the tokens `first[w] + inside[i]`. All
/// windows of a map together have each of its tokens once.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// Tokens of a map.
    pub tokens: usize,
    /// The first token of each window.
    pub first: &'a [usize],
    /// The tokens of a window, counted from its first one.
    pub inside: &'a [usize],
}

impl Windows<'_> {
    /// The map and the token of it that are token `i` of sequence `b`.
    #[inline(always)]
    pub(super) fn place(&self, b: usize, i: usize) -> (usize, usize) {
        let windows = self.first.len();
        (b / windows, self.first[b % windows] + self.inside[i])
    }

    fn check(&self, dims: AttentionDims) -> Result<(), ShapeError> {
        let size = self.inside.len();
        expect("windows", dims.queries, size)?;
        expect("windows", dims.keys, size)?;
        expect(
            "windows",
            self.first.len().saturating_mul(size),
            self.tokens,
        )?;
        let maps = dims.batch.checked_div(self.first.len()).unwrap_or(0);
        expect("windows", dims.batch, maps * self.first.len())?;
        let mut seen = vec![false; self.tokens];
        for token in self
            .first
            .iter()
            .flat_map(|first| self.inside.iter().map(move |i| first.saturating_add(*i)))
        {
            if seen.get(token).is_none_or(|seen| *seen) {
                return Err(ShapeError {
                    name: "windows",
                    expected: self.tokens,
                    found: token,
                });
            }
            seen[token] = true;
        }
        Ok(())
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
    /// `[batch, keys, heads, values]`.
    pub v: Heads<'a>,
    /// Where the tokens of the sequences lie: sequence after sequence, or as windows of maps. With windows, `[maps, tokens, ..]`
    /// stands for `[batch, queries, ..]` and `[batch, keys, ..]` in queries, keys, values, results and gradients.
    pub windows: Option<Windows<'a>>,
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
    /// `[batch, keys, heads, values]`.
    pub v: Vec<f32>,
}

impl<'a> Attention<'a> {
    /// Sequences and tokens of each, as they lie in memory: of queries, and of keys.
    pub(super) fn lying(&self) -> [[usize; 2]; 2] {
        let AttentionDims {
            batch,
            queries,
            keys,
            ..
        } = self.dims;
        match self.windows {
            None => [[batch, queries], [batch, keys]],
            Some(windows) => {
                let maps = batch.checked_div(windows.first.len()).unwrap_or(0);
                [[maps, windows.tokens]; 2]
            }
        }
    }

    /// Some tokens of one head of one sequence of `from`, whose heads hold `head` values.
    #[inline(always)]
    pub(super) fn rows<'b>(
        &self,
        from: Heads<'b>,
        head: usize,
        b: usize,
        h: usize,
        tokens: Range<usize>,
    ) -> Rows<'b>
    where
        'a: 'b,
    {
        Rows {
            from,
            windows: self.windows,
            b,
            h,
            head,
            tokens,
        }
    }

    pub(super) fn check(&self) -> Result<(), ShapeError> {
        let dims = self.dims;
        if let Some(windows) = self.windows {
            windows.check(dims)?;
        }
        let [[batch, queries], [_, keys]] = self.lying();
        let AttentionDims {
            heads,
            head,
            values,
            ..
        } = dims;
        self.q
            .check("q", [batch, queries, dims.query_heads(), head])?;
        self.k.check("k", [batch, keys, heads, head])?;
        self.v.check("v", [batch, keys, heads, values])?;
        self.mask.check(dims)?;
        match self.bias {
            Some(bias) => bias.check("bias", dims, dims.queries.saturating_mul(dims.keys)),
            None => Ok(()),
        }
    }
}
