//! Attention, with its masks.

mod mask;
mod windows;

use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::{Attention, AttentionDims, Heads, Level, Precision, ShapeError};

use super::custom_op::{self, Kernel, dense, tensor};
use super::linear::precision;
use super::softmax;
use mask::Dense;
pub use mask::{AttentionMask, BlockMask};
pub use windows::{MapWindows, window_attention};

/// Scaled dot-product attention, scale `1/√head`.
///
/// `q` is `[batch, queries, heads, head]`, `k` `[batch, keys, heads, head]`, `v` `[batch, keys, heads, values]`; the result is
/// `[batch, queries, heads, values]`. Keys and values may have fewer heads, of which each then serves as many heads of queries that follow one
/// another (grouped query heads). A query that sees no key gives NaN.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &AttentionMask) -> Tensor<4> {
    let fused = mask.dense().and_then(|mask| {
        let inputs = [&q, &k, &v].map(|input| input.clone().into_dispatch());
        custom_op::run(
            Attend {
                precision: precision(),
                mask,
            },
            inputs,
        )
    });
    fused.unwrap_or_else(|| by_products(q, k, v, mask))
}

/// [`attention`] in Burn's own operations.
fn by_products(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &AttentionMask) -> Tensor<4> {
    let [_, queries, heads, head] = q.dims();
    let keys = k.dims()[1];
    let [k, v] = [k, v].map(|x| repeat_heads(x, heads));
    let q = q.swap_dims(1, 2) * (head as f32).powf(-0.5);
    let scores = q.matmul(k.swap_dims(1, 2).swap_dims(2, 3));
    let scores = match &mask.bias {
        Some(bias) => scores + bias.clone().detach(),
        None => scores,
    };
    let scores = match mask.hidden([queries, keys], &scores.device()) {
        Some(hidden) => {
            let hidden = hidden.expand(scores.dims());
            scores.mask_fill(hidden, f32::NEG_INFINITY)
        }
        None => scores,
    };
    softmax(scores).matmul(v.swap_dims(1, 2)).swap_dims(1, 2)
}

/// `[batch, keys, heads, head]` with each head as often as it takes for `wanted` heads.
fn repeat_heads(x: Tensor<4>, wanted: usize) -> Tensor<4> {
    let [batch, keys, heads, head] = x.dims();
    match wanted.checked_div(heads) {
        Some(group) if group > 1 => x
            .unsqueeze_dim::<5>(3)
            .expand([batch, keys, heads, group, head])
            .reshape([batch, keys, heads * group, head]),
        _ => x,
    }
}

/// Inputs `[q, k, v]`.
#[derive(Clone, Debug)]
struct Attend {
    precision: Precision,
    mask: Dense,
}

/// The three inputs, the result and the logarithm of each row's sum of exponentials.
#[derive(Clone, Debug)]
struct Saved {
    inputs: [FlexTensor; 3],
    out: FlexTensor,
    sums: Vec<f32>,
}

impl Attend {
    fn input<'a>(&'a self, [q, k, v]: &'a [FlexTensor; 3]) -> Result<Attention<'a>, ShapeError> {
        let [batch, queries, query_heads, head] = q.shape().dims();
        let [_, keys, heads, _]: [usize; 4] = k.shape().dims();
        let values = v.shape()[3];
        let group = query_heads.checked_div(heads).unwrap_or(1);
        for (name, other, head) in [("k", k, head), ("v", v, values)] {
            let shape = other.shape();
            let expected = [batch, keys, heads, head];
            if shape.as_slice() != expected || heads * group != query_heads {
                return Err(ShapeError {
                    name,
                    expected: batch * keys * query_heads * head,
                    found: shape.num_elements(),
                });
            }
        }
        let shape = [batch, query_heads, queries, keys];
        Ok(Attention {
            dims: AttentionDims {
                batch,
                queries,
                keys,
                heads,
                group,
                head,
                values,
            },
            q: rows(q),
            k: rows(k),
            v: rows(v),
            windows: None,
            mask: self.mask.mask(shape)?,
            bias: self.mask.bias(shape)?,
            precision: self.precision,
        })
    }
}

/// A view of the heads of a tensor that [`readable`] gave.
fn rows(tensor: &FlexTensor) -> Heads<'_> {
    let layout = tensor.layout();
    let strides = layout.strides();
    let all: &[f32] = tensor.storage();
    Heads {
        values: all.get(layout.start_offset()..).unwrap_or_default(),
        strides: [0, 1, 2].map(|axis| strides[axis].unsigned_abs()),
    }
}

/// The tensor itself where the values of a head lie together, a dense copy where they do not.
fn readable(tensor: &FlexTensor) -> FlexTensor {
    let strides = tensor.layout().strides();
    if strides.last() == Some(&1) && strides.iter().all(|stride| *stride >= 0) {
        tensor.clone()
    } else {
        dense(tensor)
    }
}

impl Kernel<3> for Attend {
    type Saved = Saved;

    fn forward(&self, inputs: &[FlexTensor; 3]) -> Result<(FlexTensor, Saved), ShapeError> {
        let inputs = inputs.each_ref().map(readable);
        let (out, sums) = kernels::attention(Level::best(), &self.input(&inputs)?)?;
        let [batch, queries, heads, _]: [usize; 4] = inputs[0].shape().dims();
        let out = tensor(out, [batch, queries, heads, inputs[2].shape()[3]]);
        let saved = Saved {
            inputs,
            out: out.clone(),
            sums,
        };
        Ok((out, saved))
    }

    fn backward(
        &self,
        Saved { inputs, out, sums }: Saved,
        grad: FlexTensor,
        _: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        let grad = readable(&grad);
        let input = self.input(&inputs)?;
        let (out, grad) = (rows(&out), rows(&grad));
        let grads = kernels::attention_backward(Level::best(), &input, out, &sums, grad)?;
        let [q, k, v] = inputs.each_ref().map(FlexTensor::shape);
        Ok([
            Some(tensor(grads.q, q)),
            Some(tensor(grads.k, k)),
            Some(tensor(grads.v, v)),
        ])
    }
}
