//! Scaled dot-product attention, in blocks of queries and keys with a running softmax: no row of scores is ever
//! whole in memory.
//!
//! The method of FlashAttention (Dao et al., 2022): results are kept unnormalised with the largest score and the sum of
//! exponentials so far, and the backward pass computes the probabilities once more from the logarithm of that sum.

mod backward;
mod buffer;
mod format;
mod forward;
mod input;
mod mask;
mod pack;
mod rows;

use rayon::prelude::*;

pub use input::{Attention, AttentionDims, AttentionGrads, Heads, Windows};
pub use mask::{Blocks, Mask, Pairs, Window};

use crate::error::{ShapeError, expect};
use crate::level::Level;
use crate::parallel::{Strips, collect, portion};
use backward::{Given, backward};
use format::Machine;
use forward::forward;

/// Queries that one task of the forward pass handles, so that few long sequences still spread over threads.
const TASK: usize = portion(256, 8);

/// `softmax(q · kᵀ / √head + bias) · v`, `[batch, queries, query heads, values]`, and the logarithm of each row's sum
/// of exponentials, `[batch, query heads, queries]`. A query that sees no key gives NaN, and −∞ for its sum.
pub fn attention(level: Level, input: &Attention<'_>) -> Result<(Vec<f32>, Vec<f32>), ShapeError> {
    input.check()?;
    let AttentionDims {
        batch,
        queries,
        values,
        ..
    } = input.dims;
    let heads = input.dims.query_heads();
    let machine = Machine::new(level, input.precision);
    let groups = queries.div_ceil(TASK);
    let rows = batch * queries * heads;
    let mut sums = Vec::new();
    // SAFETY: `forward` writes `values` values and one sum for each query it is given; over all tasks these are all
    // queries of all heads, each once.
    let out = unsafe {
        collect(rows * values, |out| {
            sums = collect(rows, |sums| {
                let (out, sums) = (Strips::new(out), Strips::new(sums));
                (0..batch * heads * groups).into_par_iter().for_each_init(
                    forward::Scratch::default,
                    |scratch, task| {
                        let (b, h, group) =
                            (task / groups / heads, task / groups % heads, task % groups);
                        let range = group * TASK..queries.min((group + 1) * TASK);
                        forward(machine, input, b, h, range, scratch, &out, &sums);
                    },
                );
            });
        })
    };
    Ok((out, sums))
}

/// Gradients of [`attention`]: from its input, the result `out` and the logarithms `sums` that it gave, and the
/// gradient `grad` of the result. The gradient of a query that sees no key is NaN; it adds nothing to the others.
pub fn attention_backward(
    level: Level,
    input: &Attention<'_>,
    out: Heads<'_>,
    sums: &[f32],
    grad: Heads<'_>,
) -> Result<AttentionGrads, ShapeError> {
    input.check()?;
    let dims = input.dims;
    let AttentionDims {
        batch,
        queries,
        keys,
        head,
        values,
        ..
    } = dims;
    let heads = dims.query_heads();
    let [maps, tokens] = input.lying()[0];
    out.check("out", [maps, tokens, heads, values])?;
    grad.check("grad", [maps, tokens, heads, values])?;
    expect("sums", sums.len(), batch * heads * queries)?;
    let machine = Machine::new(level, input.precision);
    let given = Given { out, sums, grad };
    let (mut dk, mut dv) = (Vec::new(), Vec::new());
    // SAFETY: `backward` writes all rows of its head in the three gradients; the tasks are all heads of all
    // sequences, each once.
    let dq = unsafe {
        collect(batch * queries * heads * head, |dq| {
            dk = collect(batch * keys * heads * head, |dk| {
                dv = collect(batch * keys * heads * values, |dv| {
                    let grads = [Strips::new(dq), Strips::new(dk), Strips::new(dv)];
                    (0..batch * heads).into_par_iter().for_each_init(
                        backward::Scratch::default,
                        |scratch, task| {
                            let (b, h) = (task / heads, task % heads);
                            backward(machine, input, &given, b, h, scratch, &grads);
                        },
                    );
                });
            });
        })
    };
    Ok(AttentionGrads {
        q: dq,
        k: sum_groups(dk, dims, head),
        v: sum_groups(dv, dims, values),
    })
}

/// Sums `[batch, keys, heads, group, head]` over the group, in order.
fn sum_groups(grads: Vec<f32>, dims: AttentionDims, head: usize) -> Vec<f32> {
    let AttentionDims {
        batch,
        keys,
        heads,
        group,
        ..
    } = dims;
    if group == 1 {
        return grads;
    }
    let mut sums = vec![0.0; batch * keys * heads * head];
    sums.par_chunks_mut(head.max(1))
        .zip(grads.par_chunks((head * group).max(1)))
        .with_min_len(256)
        .for_each(|(sum, group)| {
            for grad in group.chunks_exact(head) {
                for (sum, grad) in sum.iter_mut().zip(grad) {
                    *sum += grad;
                }
            }
        });
    sums
}
