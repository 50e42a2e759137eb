//! Attention within windows of maps.

use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::FlexTensor;
use kernels::{Attention, AttentionDims, Heads, Level, Mask, Precision, ShapeError, Windows};

use super::super::custom_op::{self, Kernel, dense, tensor, values};
use super::super::linear::precision;
use super::{AttentionMask, by_products};

/// How the tokens of a map are windows: window `w` has the tokens `first[w] + inside[i]`. All together they have each token once.
#[derive(Clone, Debug)]
pub struct MapWindows {
    /// The first token of each window.
    pub first: Arc<[usize]>,
    /// The tokens of a window, counted from its first one.
    pub inside: Arc<[usize]>,
}

/// Attention of the tokens of each window among themselves, scale `1/√head`.
///
/// `qk` is `[maps, tokens, 2 · heads · head]`, queries first; `v` is `[maps, tokens, heads · values]`, and so is the result.
pub fn window_attention(
    qk: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    windows: &MapWindows,
) -> Tensor<3> {
    let kernel = Attend {
        precision: precision(),
        heads,
        windows: windows.clone(),
    };
    let inputs = [&qk, &v].map(|input| input.clone().into_dispatch());
    custom_op::run(kernel, inputs).unwrap_or_else(|| by_sequences(qk, v, heads, windows))
}

/// [`window_attention`] in Burn's own operations.
fn by_sequences(qk: Tensor<3>, v: Tensor<3>, heads: usize, windows: &MapWindows) -> Tensor<3> {
    let MapWindows { first, inside } = windows;
    let ([maps, tokens, both], wide) = (qk.dims(), v.dims()[2]);
    let order = first
        .iter()
        .flat_map(|first| inside.iter().map(move |i| first + i));
    let order: Vec<i64> = order.map(|token| token as i64).collect();
    let mut back = vec![0i64; tokens];
    for (at, token) in order.iter().enumerate() {
        back[*token as usize] = at as i64;
    }
    let device = qk.device();
    let [order, back] = [order, back]
        .map(|list| Tensor::<1, Int>::from_data(TensorData::from(list.as_slice()), &device));
    let [qk, v] = [qk, v].map(|x| {
        let width = x.dims()[2];
        x.select(1, order.clone())
            .reshape([maps * first.len(), inside.len(), heads, width / heads])
    });
    let qk = qk.reshape([maps * first.len(), inside.len(), 2, heads, both / 2 / heads]);
    let part = |at: usize| qk.clone().narrow(2, at, 1).squeeze_dim::<4>(2);
    let out = by_products(part(0), part(1), v, &AttentionMask::default());
    out.reshape([maps, tokens, wide]).select(1, back)
}

/// Inputs `[qk, v]`.
#[derive(Clone, Debug)]
struct Attend {
    precision: Precision,
    heads: usize,
    windows: MapWindows,
}

/// The inputs, the result and the logarithm of each row's sum of exponentials.
#[derive(Clone, Debug)]
struct Saved {
    inputs: [FlexTensor; 2],
    out: FlexTensor,
    sums: Vec<f32>,
}

impl Attend {
    /// Tokens of a map, and the widths of a head of queries and of values.
    fn sizes(&self, [qk, v]: &[FlexTensor; 2]) -> [usize; 3] {
        let ([_, tokens, both], wide): ([usize; 3], usize) = (qk.shape().dims(), v.shape()[2]);
        let heads = self.heads.max(1);
        [tokens, both / 2 / heads, wide / heads]
    }

    fn input<'a>(&'a self, inputs: &'a [FlexTensor; 2]) -> Result<Attention<'a>, ShapeError> {
        let ([qk, v], heads) = (inputs, self.heads);
        let [tokens, head, wide] = self.sizes(inputs);
        let [maps, _, both]: [usize; 3] = qk.shape().dims();
        let fits = both == 2 * heads * head && v.shape().as_slice() == [maps, tokens, heads * wide];
        if !fits {
            return Err(ShapeError {
                name: "v",
                expected: maps * tokens * heads * wide,
                found: v.shape().num_elements(),
            });
        }
        let MapWindows { first, inside } = &self.windows;
        let part = |at: usize| Heads {
            values: values(qk).get(at * heads * head..).unwrap_or_default(),
            strides: [tokens * both, both, head],
        };
        Ok(Attention {
            dims: AttentionDims {
                batch: maps * first.len(),
                queries: inside.len(),
                keys: inside.len(),
                heads,
                group: 1,
                head,
                values: wide,
            },
            q: part(0),
            k: part(1),
            v: Heads::dense(values(v), tokens, heads, wide),
            windows: Some(Windows {
                tokens,
                first,
                inside,
            }),
            mask: Mask::default(),
            bias: None,
            precision: self.precision,
        })
    }
}

impl Kernel<2> for Attend {
    type Saved = Saved;

    fn forward(&self, inputs: &[FlexTensor; 2]) -> Result<(FlexTensor, Saved), ShapeError> {
        let inputs = inputs.each_ref().map(dense);
        let (out, sums) = kernels::attention(Level::best(), &self.input(&inputs)?)?;
        let out = tensor(out, inputs[1].shape());
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
        _: [bool; 2],
    ) -> Result<[Option<FlexTensor>; 2], ShapeError> {
        let grad = dense(&grad);
        let [tokens, head, wide] = self.sizes(&inputs);
        let rows = |of| Heads::dense(values(of), tokens, self.heads, wide);
        let (out, grad) = (rows(&out), rows(&grad));
        let grads =
            kernels::attention_backward(Level::best(), &self.input(&inputs)?, out, &sums, grad)?;
        let width = (self.heads * head).max(1);
        let pairs = grads.q.chunks_exact(width).zip(grads.k.chunks_exact(width));
        let mut dqk = Vec::with_capacity(2 * grads.q.len());
        for (q, k) in pairs {
            dqk.extend_from_slice(q);
            dqk.extend_from_slice(k);
        }
        let [qk, v] = inputs.each_ref().map(FlexTensor::shape);
        Ok([Some(tensor(dqk, qk)), Some(tensor(grads.v, v))])
    }
}
