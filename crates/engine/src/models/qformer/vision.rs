//! The image tower of BLIP-Diffusion: CLIP's, with one map for queries, keys and values, and the last norm on every token.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::QFormerVisionConfig;
use crate::models::clip_text::ClipActivation;
use crate::models::clip_vision::cut;
use crate::nn::{Init, LayerNorm, Linear, LinearConfig};
use crate::ops::{self, AttentionMask};
use base::rng::Rng;

#[derive(Module, Debug)]
struct Embeddings {
    class_embedding: Param<Tensor<3>>,
    position_embedding: Param<Tensor<3>>,
    patch_embedding: Linear,
}

#[derive(Module, Debug)]
struct SelfAttention {
    qkv: Linear,
    projection: Linear,
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

#[derive(Module, Debug)]
struct Layer {
    self_attn: SelfAttention,
    layer_norm1: LayerNorm,
    mlp: Mlp,
    layer_norm2: LayerNorm,
}

#[derive(Module, Debug)]
struct Encoder {
    layers: Vec<Layer>,
}

/// See [`QFormerVisionConfig`].
#[derive(Module, Debug)]
pub(super) struct VisionTower {
    embeddings: Embeddings,
    pre_layernorm: LayerNorm,
    encoder: Encoder,
    post_layernorm: LayerNorm,
    heads: usize,
    patch: usize,
    side: usize,
    #[module(skip)]
    activation: ClipActivation,
}

impl QFormerVisionConfig {
    pub(super) fn init(&self, rng: &mut Rng, device: &Device) -> VisionTower {
        let width = self.hidden_size;
        let norm = || LayerNorm::new(width, self.layer_norm_eps, device);
        let lazy = |input, output| LinearConfig::new(input, output).with_init(Init::Lazy);
        let mut linear = |input, output| lazy(input, output).init(rng, device);
        let layers = (0..self.num_hidden_layers)
            .map(|_| Layer {
                self_attn: SelfAttention {
                    qkv: linear(width, 3 * width),
                    projection: linear(width, width),
                },
                layer_norm1: norm(),
                mlp: Mlp {
                    fc1: linear(width, self.intermediate_size),
                    fc2: linear(self.intermediate_size, width),
                },
                layer_norm2: norm(),
            })
            .collect();
        let grid = self.grid();
        let area = 3 * self.patch_size * self.patch_size;
        VisionTower {
            embeddings: Embeddings {
                class_embedding: super::drawn([1, 1, width], rng, device),
                position_embedding: super::drawn([1, grid * grid + 1, width], rng, device),
                patch_embedding: lazy(area, width).without_bias().init(rng, device),
            },
            pre_layernorm: norm(),
            encoder: Encoder { layers },
            post_layernorm: norm(),
            heads: self.num_attention_heads,
            patch: self.patch_size,
            side: self.image_size,
            activation: self.hidden_act,
        }
    }
}

impl VisionTower {
    /// Height and width of a picture in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// `[batch, 3, side, side]` → `[batch, 1 + patches, width]`, behind the last norm.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<3> {
        let embeddings = &self.embeddings;
        let patches = embeddings
            .patch_embedding
            .forward(cut(pictures, self.patch));
        let [batch, _, width] = patches.dims();
        let class = embeddings.class_embedding.val().expand([batch, 1, width]);
        let x = Tensor::cat(vec![class, patches], 1) + embeddings.position_embedding.val();
        let x = self
            .encoder
            .layers
            .iter()
            .fold(self.pre_layernorm.forward(x), |x, layer| {
                let seen = layer.layer_norm1.forward(x.clone());
                let x = x + layer.self_attn.forward(seen, self.heads);
                let y = layer.mlp.fc1.forward(layer.layer_norm2.forward(x.clone()));
                x + layer.mlp.fc2.forward(self.activation.apply(y))
            });
        self.post_layernorm.forward(x)
    }
}

impl SelfAttention {
    fn forward(&self, x: Tensor<3>, heads: usize) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let all = self.qkv.forward(x);
        let [q, k, v] = [0, 1, 2].map(|part| {
            let part = all.clone().narrow(2, part * width, width);
            part.reshape([batch, tokens, heads, width / heads])
        });
        let seen = ops::attention(q, k, v, &AttentionMask::default());
        self.projection
            .forward(seen.reshape([batch, tokens, width]))
    }
}
