use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

use super::{Linear, LinearConfig, RmsNorm};
use crate::ops::{self, AttentionMask, Rope};
use base::rng::Rng;

/// Epsilon of the QK norm.
const QK_EPS: f32 = 1e-6;

/// Multi-head attention; QK norm unless switched off.
#[derive(Clone, Debug)]
pub struct AttentionConfig {
    /// Width of queries and of the result.
    pub width: usize,
    /// Width of what keys and values are made of.
    pub context: usize,
    /// Number of heads; divides `width`.
    pub heads: usize,
    /// Whether each query and key head goes through an RMS norm.
    pub qk_norm: bool,
}

impl AttentionConfig {
    /// Draws the layer.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Attention {
        let head = self.width / self.heads;
        let to_width = LinearConfig::new(self.width, self.width);
        let from_context = LinearConfig::new(self.context, self.width);
        Attention {
            q: to_width.init(rng, device),
            k: from_context.init(rng, device),
            v: from_context.init(rng, device),
            o: to_width.init(rng, device),
            q_norm: self.qk_norm.then(|| RmsNorm::new(head, device)),
            k_norm: self.qk_norm.then(|| RmsNorm::new(head, device)),
            heads: self.heads,
        }
    }
}

/// See [`AttentionConfig`].
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries.
    pub q: Linear,
    /// Keys.
    pub k: Linear,
    /// Values.
    pub v: Linear,
    /// Output.
    pub o: Linear,
    /// RMS norm of each query head, before its rotation.
    pub q_norm: Option<RmsNorm>,
    /// RMS norm of each key head, before its rotation.
    pub k_norm: Option<RmsNorm>,
    heads: usize,
}

impl Attention {
    /// Attends within groups of tokens.
    ///
    /// `x` is `[batch, tokens, width]`, read as `[rows, group, heads, head]`: `groups` gives rows, tokens of a
    /// group and heads. Because heads never mix, other axes that must not mix can ride along with them: for
    /// `[batch, frames · places, width]`, rows `batch · frames` attends within a frame, and heads
    /// `places · heads` attends along time at each place, both without moving a value.
    pub fn forward_grouped(
        &self,
        x: Tensor<3>,
        groups: [usize; 3],
        rope: Option<&Rope>,
    ) -> Tensor<3> {
        let shape = x.dims();
        let [rows, tokens, heads] = groups;
        let grouped = [rows, tokens, heads, shape[2] / self.heads];
        let q = self.q.forward(x.clone()).reshape(grouped);
        let k = self.k.forward(x.clone()).reshape(grouped);
        let v = self.v.forward(x).reshape(grouped);
        let q = prepare(q, &self.q_norm, rope);
        let k = prepare(k, &self.k_norm, rope);
        let y = ops::attention(q, k, v, &AttentionMask::default());
        self.o.forward(y.reshape(shape))
    }

    /// Attends from `x` `[batch, tokens, width]` to `context` `[batch, keys, context]`; `mask` is
    /// `[batch, keys]`, true where a key may be seen.
    pub fn forward_cross(
        &self,
        x: Tensor<3>,
        context: Tensor<3>,
        mask: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let keys = context.dims()[1];
        let heads = self.heads;
        let head = width / heads;
        let q = self.q.forward(x).reshape([batch, tokens, heads, head]);
        let k = self
            .k
            .forward(context.clone())
            .reshape([batch, keys, heads, head]);
        let v = self.v.forward(context).reshape([batch, keys, heads, head]);
        let q = prepare(q, &self.q_norm, None);
        let k = prepare(k, &self.k_norm, None);
        let y = ops::attention(q, k, v, &AttentionMask::of_keys(mask));
        self.o.forward(y.reshape([batch, tokens, width]))
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }
}

/// Norm and rotation of query or key heads, whichever there is.
fn prepare(x: Tensor<4>, norm: &Option<RmsNorm>, rope: Option<&Rope>) -> Tensor<4> {
    match (norm, rope) {
        (Some(norm), rope) => ops::rms_norm_rope(x, norm.weight.val(), rope, QK_EPS),
        (None, Some(rope)) => ops::rotate(x, rope),
        (None, None) => x,
    }
}
