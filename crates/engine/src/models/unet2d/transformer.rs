//! Transformers over the places of a picture.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::nn::{
    AttentionCall, AttentionHooks, CrossAttention, GroupNorm, Init, LayerNorm, Linear, LinearConfig,
};
use crate::ops;
use base::rng::Rng;

/// Epsilon of the group norm before a transformer.
const GROUP_EPS: f64 = 1e-6;
/// Epsilon of its layer norms.
const LAYER_EPS: f64 = 1e-5;

/// A gated feed-forward layer: half of the first map goes through a GELU and gates the other.
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    proj_in: Linear,
    proj_out: Linear,
}

/// Self-attention, cross-attention, feed-forward, each on what a layer norm leaves, each added.
#[derive(Module, Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    attn1: CrossAttention,
    norm2: LayerNorm,
    attn2: CrossAttention,
    norm3: LayerNorm,
    ff: FeedForward,
}

/// Blocks over the places of a picture, between two projections, added to it.
#[derive(Module, Debug)]
pub(super) struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<Block>,
    proj_out: Linear,
}

/// Sizes of a [`Transformer`].
pub(super) struct Sizes {
    pub channels: usize,
    pub heads: usize,
    pub depth: usize,
    pub context: usize,
    pub groups: usize,
}

impl Sizes {
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Transformer {
        let channels = self.channels;
        let linear = |input, output, rng: &mut Rng| {
            LinearConfig::new(input, output)
                .with_init(Init::Lazy)
                .init(rng, device)
        };
        let norm = || LayerNorm::new(channels, LAYER_EPS, device);
        let attention = |context, rng: &mut Rng| {
            CrossAttention::new(channels, context, self.heads, rng, device)
        };
        Transformer {
            norm: GroupNorm::new(channels, self.groups, GROUP_EPS, device),
            proj_in: linear(channels, channels, rng),
            transformer_blocks: (0..self.depth)
                .map(|_| Block {
                    norm1: norm(),
                    attn1: attention(channels, rng),
                    norm2: norm(),
                    attn2: attention(self.context, rng),
                    norm3: norm(),
                    ff: FeedForward {
                        proj_in: linear(channels, 8 * channels, rng),
                        proj_out: linear(4 * channels, channels, rng),
                    },
                })
                .collect(),
            proj_out: linear(channels, channels, rng),
        }
    }
}

impl Transformer {
    /// `x` `[batch, channels, height, width]`, `context` `[batch, keys, context]`; `name` is the module's official name.
    pub fn forward(
        &self,
        x: Tensor<4>,
        context: &Tensor<3>,
        name: &str,
        hooks: &mut dyn AttentionHooks,
    ) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let places = height * width;
        let tokens = self.norm.forward(x.clone());
        let tokens = tokens.reshape([batch, channels, places]).swap_dims(1, 2);
        let mut tokens = self.proj_in.forward(tokens);
        for (at, block) in self.transformer_blocks.iter().enumerate() {
            let name = format!("{name}.transformer_blocks.{at}");
            tokens = block.forward(tokens, context, [height, width], &name, hooks);
        }
        let out = self.proj_out.forward(tokens).swap_dims(1, 2);
        x + out.reshape([batch, channels, height, width])
    }
}

impl Block {
    fn forward(
        &self,
        x: Tensor<3>,
        context: &Tensor<3>,
        size: [usize; 2],
        name: &str,
        hooks: &mut dyn AttentionHooks,
    ) -> Tensor<3> {
        let seen = hooks.attention(AttentionCall {
            name: &format!("{name}.attn1"),
            layer: &self.attn1,
            x: self.norm1.forward(x.clone()),
            context: None,
            size,
        });
        let x = x + seen;
        let seen = hooks.attention(AttentionCall {
            name: &format!("{name}.attn2"),
            layer: &self.attn2,
            x: self.norm2.forward(x.clone()),
            context: Some(context.clone()),
            size,
        });
        let x = x + seen;
        x.clone() + self.ff.forward(self.norm3.forward(x))
    }
}

impl FeedForward {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let both = self.proj_in.forward(x);
        let half = both.dims()[2] / 2;
        let gate = ops::gelu_erf(both.clone().narrow(2, half, half));
        self.proj_out.forward(both.narrow(2, 0, half) * gate)
    }
}
