//! Scaled dot-product attention, head by head, with whole rows of scores.

mod head;
mod pack;

use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::level::Level;
use crate::parallel::{Strips, collect};
use head::{backward_head, forward_head};
use pack::Scratch;

/// Queries whose scores are in memory at one time.
const BLOCK: usize = 64;
/// Queries that one task of the forward pass handles, so that few long sequences still spread over threads.
const TASK: usize = 256;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionDims {
    /// Sequences.
    pub batch: usize,
    /// Queries of each sequence.
    pub queries: usize,
    /// Keys and values of each sequence.
    pub keys: usize,
    /// Heads.
    pub heads: usize,
    /// Values of a head.
    pub head: usize,
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
        let strides = [tokens * heads * head, heads * head, head];
        Self { values, strides }
    }

    fn check(&self, name: &'static str, shape: [usize; 4]) -> Result<(), ShapeError> {
        let [batch, tokens, heads, head] = shape;
        if shape.contains(&0) {
            return Ok(());
        }
        let [b, t, h] = self.strides;
        let needed = (batch - 1) * b + (tokens - 1) * t + (heads - 1) * h + head;
        expect(name, self.values.len().min(needed), needed)
    }

    /// Row `token` of one head of one sequence.
    #[inline(always)]
    fn row(&self, b: usize, token: usize, h: usize, head: usize) -> &'a [f32] {
        let [sb, st, sh] = self.strides;
        &self.values[b * sb + token * st + h * sh..][..head]
    }
}

/// Queries, keys, values, and which keys of each sequence may be seen.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Sizes.
    pub dims: AttentionDims,
    /// `[batch, queries, heads, head]`.
    pub q: Heads<'a>,
    /// `[batch, keys, heads, head]`.
    pub k: Heads<'a>,
    /// `[batch, keys, heads, head]`.
    pub v: Heads<'a>,
    /// `[batch, keys]`, zero where a key is hidden.
    pub mask: Option<&'a [u8]>,
}

/// Gradients of queries, keys and values, dense, in their shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionGrads {
    /// `[batch, queries, heads, head]`.
    pub q: Vec<f32>,
    /// `[batch, keys, heads, head]`.
    pub k: Vec<f32>,
    /// `[batch, keys, heads, head]`.
    pub v: Vec<f32>,
}

impl Attention<'_> {
    fn check(&self) -> Result<(), ShapeError> {
        let AttentionDims {
            batch,
            queries,
            keys,
            heads,
            head,
        } = self.dims;
        self.q.check("q", [batch, queries, heads, head])?;
        self.k.check("k", [batch, keys, heads, head])?;
        self.v.check("v", [batch, keys, heads, head])?;
        match self.mask {
            Some(mask) => expect("mask", mask.len(), batch * keys),
            None => Ok(()),
        }
    }
}

/// `softmax(q · kᵀ / √head) · v`, `[batch, queries, heads, head]`, and the logarithm of each row's sum of
/// exponentials, `[batch, heads, queries]`. A query that sees no key gives NaN.
pub fn attention(level: Level, input: &Attention<'_>) -> Result<(Vec<f32>, Vec<f32>), ShapeError> {
    input.check()?;
    let AttentionDims {
        batch,
        queries,
        heads,
        head,
        ..
    } = input.dims;
    let groups = queries.div_ceil(TASK);
    let rows = batch * queries * heads;
    let mut sums = Vec::new();
    // SAFETY: `forward_head` writes `head` values and one sum for each query it is given; over all tasks these are
    // all queries of all heads, each once.
    let out = unsafe {
        collect(rows * head, |out| {
            sums = collect(rows, |sums| {
                let (out, sums) = (Strips::new(out), Strips::new(sums));
                let start = || Scratch::new(input.dims);
                (0..batch * heads * groups).into_par_iter().for_each_init(
                    start,
                    |scratch, task| {
                        let (b, h, group) =
                            (task / groups / heads, task / groups % heads, task % groups);
                        let range = group * TASK..queries.min((group + 1) * TASK);
                        forward_head(level, input, b, h, range, scratch, &out, &sums);
                    },
                );
            });
        })
    };
    Ok((out, sums))
}

/// Gradients of [`attention`]: from its input, the logarithms that it gave and the gradient `grad` of its result.
pub fn attention_backward(
    level: Level,
    input: &Attention<'_>,
    sums: &[f32],
    grad: Heads<'_>,
) -> Result<AttentionGrads, ShapeError> {
    input.check()?;
    let AttentionDims {
        batch,
        queries,
        keys,
        heads,
        head,
    } = input.dims;
    grad.check("grad", [batch, queries, heads, head])?;
    expect("sums", sums.len(), batch * heads * queries)?;
    let (mut dk, mut dv) = (Vec::new(), Vec::new());
    // SAFETY: `backward_head` writes all rows of its head in the three gradients; the tasks are all heads of all
    // sequences, each once.
    let dq = unsafe {
        collect(batch * queries * heads * head, |dq| {
            dk = collect(batch * keys * heads * head, |dk| {
                dv = collect(batch * keys * heads * head, |dv| {
                    let grads = [Strips::new(dq), Strips::new(dk), Strips::new(dv)];
                    let start = || Scratch::new(input.dims);
                    (0..batch * heads)
                        .into_par_iter()
                        .for_each_init(start, |scratch, task| {
                            let (b, h) = (task / heads, task % heads);
                            let sums = &sums[task * queries..][..queries];
                            backward_head(level, input, b, h, sums, grad, scratch, &grads);
                        });
                });
            });
        })
    };
    Ok(AttentionGrads {
        q: dq,
        k: dk,
        v: dv,
    })
}
