use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Init, Linear, LinearConfig};
use crate::ops::{self, AttentionMask};
use base::rng::Rng;

/// Attention of diffusers' transformer blocks: queries, keys and values without biases, an output with one.
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// Queries, `[width, width]`.
    pub to_q: Linear,
    /// Keys, `[width, context]`.
    pub to_k: Linear,
    /// Values, `[width, context]`.
    pub to_v: Linear,
    /// Output, `[width, width]`.
    pub to_out: Linear,
    heads: usize,
}

impl CrossAttention {
    /// From `context` wide keys and values to `width`; `heads` divide `width`.
    pub fn new(width: usize, context: usize, heads: usize, rng: &mut Rng, device: &Device) -> Self {
        let linear = |input| LinearConfig::new(input, width).with_init(Init::Lazy);
        let [q, k, v] =
            [width, context, context].map(|input| linear(input).without_bias().init(rng, device));
        Self {
            to_q: q,
            to_k: k,
            to_v: v,
            to_out: linear(width).init(rng, device),
            heads,
        }
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// `[batch, tokens, width]` as heads `[batch, tokens, heads, head]`.
    pub fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, tokens, width] = x.dims();
        x.reshape([batch, tokens, self.heads, width / self.heads.max(1)])
    }

    /// Queries of `x` `[batch, tokens, width]`, `[batch, tokens, heads, head]`.
    pub fn queries(&self, x: Tensor<3>) -> Tensor<4> {
        self.split(self.to_q.forward(x))
    }

    /// Keys and values of `context` `[batch, keys, context]`, each `[batch, keys, heads, head]`.
    pub fn keys_values(&self, context: Tensor<3>) -> [Tensor<4>; 2] {
        let keys = self.to_k.forward(context.clone());
        [keys, self.to_v.forward(context)].map(|x| self.split(x))
    }

    /// What queries see, heads side by side: `[batch, tokens, width]`, before the output projection.
    pub fn attend(
        &self,
        queries: Tensor<4>,
        [keys, values]: [Tensor<4>; 2],
        mask: &AttentionMask,
    ) -> Tensor<3> {
        let [batch, tokens, heads, head] = queries.dims();
        ops::attention(queries, keys, values, mask).reshape([batch, tokens, heads * head])
    }
}

/// One attention on the way through a network, as [`AttentionHooks`] get it.
pub struct AttentionCall<'a> {
    /// The module's official name, such as `down_blocks.1.attentions.0.transformer_blocks.0.attn2`.
    pub name: &'a str,
    /// Its projections.
    pub layer: &'a CrossAttention,
    /// What attends, normed: `[batch, height · width, width]`, rows of the picture one after the other.
    pub x: Tensor<3>,
    /// What is attended to, `[batch, keys, context]`; none where `x` attends to itself.
    pub context: Option<Tensor<3>>,
    /// Height and width of the picture at this place.
    pub size: [usize; 2],
}

impl AttentionCall<'_> {
    /// What keys and values are made of.
    pub fn source(&self) -> Tensor<3> {
        self.context.clone().unwrap_or_else(|| self.x.clone())
    }

    /// The attention as it is without hooks: `[batch, tokens, width]`.
    pub fn plain(&self) -> Tensor<3> {
        self.adapted(&|_, _| None)
    }

    /// The attention with what `change` gives added to its projections, `[batch, tokens, width]`. It is asked for each, by the
    /// official name (`to_q`, `to_k`, `to_v`, `to_out.0`) and what the projection reads `[batch, tokens, in]`.
    pub fn adapted(&self, change: &dyn Fn(&str, Tensor<3>) -> Option<Tensor<3>>) -> Tensor<3> {
        let project = |name: &str, linear: &Linear, x: Tensor<3>| {
            let y = linear.forward(x.clone());
            match change(name, x) {
                Some(added) => y + added,
                None => y,
            }
        };
        let layer = self.layer;
        let source = self.source();
        let queries = project("to_q", &layer.to_q, self.x.clone());
        let keys = project("to_k", &layer.to_k, source.clone());
        let values = project("to_v", &layer.to_v, source);
        let [queries, keys, values] = [queries, keys, values].map(|x| layer.split(x));
        let seen = layer.attend(queries, [keys, values], &AttentionMask::default());
        project("to_out.0", &layer.to_out, seen)
    }
}

/// What watches or changes a network from outside: one call for every attention, in the order of the forward pass.
///
/// A hook that captures reads `call.x`, or makes queries, keys and values of it, and returns `call.plain()`. One that replaces
/// returns something else. One with a decoupled branch adds to what `call.layer.attend` sees before `to_out`. One that
/// injects keys and values joins its own to those of `call.layer.keys_values`.
///
/// `()` leaves everything as it is.
pub trait AttentionHooks {
    /// The result of the attention, `[batch, tokens, width]`.
    fn attention(&mut self, call: AttentionCall<'_>) -> Tensor<3> {
        call.plain()
    }

    /// The features behind the first convolution, `[batch, channels, height, width]`.
    fn features(&mut self, x: Tensor<4>) -> Tensor<4> {
        x
    }

    /// Called by samplers after step `step` of `steps`, counted from 1. `estimate` gives the latents without noise as that step
    /// predicts them, `[batch, channels, height, width]`; it costs something only where it is called.
    fn after_step(&mut self, step: usize, steps: usize, estimate: &mut dyn FnMut() -> Tensor<4>) {
        let _ = (step, steps, estimate);
    }
}

impl AttentionHooks for () {}

impl<F: FnMut(AttentionCall<'_>) -> Tensor<3>> AttentionHooks for F {
    fn attention(&mut self, call: AttentionCall<'_>) -> Tensor<3> {
        self(call)
    }
}
