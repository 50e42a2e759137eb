//! The encoder of T5 v1.1 (Raffel et al. 2020), a text tower of many generators, under transformers' names.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::nn::{Init, Linear, LinearConfig, RmsNorm};
use crate::ops::{self, AttentionMask};
use crate::weights::KeyMap;
use base::rng::Rng;

/// Sizes, as `config.json` has them; the default is T5 v1.1 XXL.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct T5EncoderConfig {
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Width of the states.
    pub d_model: usize,
    /// Width of a head.
    pub d_kv: usize,
    /// Width of the feed-forward layers.
    pub d_ff: usize,
    /// Number of layers.
    pub num_layers: usize,
    /// Number of heads.
    pub num_heads: usize,
    /// Kinds of distances that attention tells apart.
    pub relative_attention_num_buckets: usize,
    /// Distances from here on are one kind.
    pub relative_attention_max_distance: usize,
    /// Epsilon of every norm.
    pub layer_norm_epsilon: f64,
}

impl Default for T5EncoderConfig {
    fn default() -> Self {
        Self {
            vocab_size: 32128,
            d_model: 4096,
            d_kv: 64,
            d_ff: 10240,
            num_layers: 24,
            num_heads: 64,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
        }
    }
}

/// Names in a transformers file ↔ field paths.
pub fn key_map() -> KeyMap {
    let layer = |at: usize, name: &str| format!("encoder.block.{{}}.layer.{at}.{name}");
    KeyMap::new()
        .exact("shared.weight", "shared")
        .exact(
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            "distances",
        )
        .rename(&layer(0, "SelfAttention"), "blocks.{}.attention")
        .rename(&layer(0, "layer_norm"), "blocks.{}.attention_norm")
        .rename(&layer(1, "DenseReluDense"), "blocks.{}.feed_forward")
        .rename(&layer(1, "layer_norm"), "blocks.{}.feed_forward_norm")
        .rename("encoder.final_layer_norm", "final_norm")
        .ignore("embed_tokens")
        .ignore("decoder.")
        .ignore("lm_head")
}

#[derive(Module, Debug)]
struct SelfAttention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
}

#[derive(Module, Debug)]
struct FeedForward {
    wi_0: Linear,
    wi_1: Linear,
    wo: Linear,
}

#[derive(Module, Debug)]
struct Block {
    attention_norm: RmsNorm,
    attention: SelfAttention,
    feed_forward_norm: RmsNorm,
    feed_forward: FeedForward,
}

/// See [`T5EncoderConfig`].
#[derive(Module, Debug)]
pub struct T5Encoder {
    shared: Param<Tensor<2>>,
    /// What a kind of distance adds to the scores of each head, `[kinds, heads]`.
    distances: Param<Tensor<2>>,
    blocks: Vec<Block>,
    final_norm: RmsNorm,
    heads: usize,
    farthest: usize,
    eps: f64,
}

impl T5EncoderConfig {
    /// Draws an encoder, as soon as its weights are read.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> T5Encoder {
        let linear = |input, output, rng: &mut Rng| {
            LinearConfig::new(input, output)
                .with_init(Init::Lazy)
                .without_bias()
                .init(rng, device)
        };
        let (width, inner) = (self.d_model, self.d_kv * self.num_heads);
        T5Encoder {
            shared: Init::Lazy.weight(self.vocab_size, width, rng, device),
            distances: Init::Lazy.weight(
                self.relative_attention_num_buckets,
                self.num_heads,
                rng,
                device,
            ),
            blocks: (0..self.num_layers)
                .map(|_| Block {
                    attention_norm: RmsNorm::new(width, device),
                    attention: SelfAttention {
                        q: linear(width, inner, rng),
                        k: linear(width, inner, rng),
                        v: linear(width, inner, rng),
                        o: linear(inner, width, rng),
                    },
                    feed_forward_norm: RmsNorm::new(width, device),
                    feed_forward: FeedForward {
                        wi_0: linear(width, self.d_ff, rng),
                        wi_1: linear(width, self.d_ff, rng),
                        wo: linear(self.d_ff, width, rng),
                    },
                })
                .collect(),
            final_norm: RmsNorm::new(width, device),
            heads: self.num_heads,
            farthest: self.relative_attention_max_distance,
            eps: self.layer_norm_epsilon,
        }
    }
}

/// The kind of the distance from a query to a key, of `kinds`: half of them for keys behind the query; near distances each
/// for itself, far ones in steps that grow with their logarithm up to `farthest`.
fn kind_of(query: usize, key: usize, kinds: usize, farthest: usize) -> usize {
    let half = kinds / 2;
    let behind = if key > query { half } else { 0 };
    let distance = key.abs_diff(query);
    let near = half / 2;
    if distance < near {
        return behind + distance;
    }
    let share = libm::logf(distance as f32 / near.max(1) as f32)
        / libm::logf(farthest as f32 / near.max(1) as f32);
    let step = (share * (half - near) as f32) as usize;
    behind + (near + step).min(half.saturating_sub(1))
}

impl T5Encoder {
    /// `ids` `[batch, tokens]`, below the size of the vocabulary; `mask` the same, true at tokens of the text. The result is
    /// `[batch, tokens, d_model]`; where the mask is false it means nothing.
    pub fn forward(&self, ids: Tensor<2, Int>, mask: Tensor<2, burn::tensor::Bool>) -> Tensor<3> {
        let [_, tokens] = ids.dims();
        let mask = AttentionMask {
            bias: Some(self.bias(tokens)),
            ..AttentionMask::of_keys(Some(mask))
        };
        let eps = self.eps as f32;
        let x = ops::embedding::<2, 3>(self.shared.val(), ids);
        let x = self.blocks.iter().fold(x, |x, block| {
            let y = block.attention_norm.forward(x.clone(), eps);
            let x = x + block.attention.forward(y, self.heads, &mask);
            let y = block.feed_forward_norm.forward(x.clone(), eps);
            let inner = ops::gelu(block.feed_forward.wi_0.forward(y.clone()))
                * block.feed_forward.wi_1.forward(y);
            x + block.feed_forward.wo.forward(inner)
        });
        self.final_norm.forward(x, eps)
    }

    /// What distances add to the scores, `[1, heads, tokens, tokens]`.
    fn bias(&self, tokens: usize) -> Tensor<4> {
        let table = self.distances.val();
        let kinds = table.dims()[0];
        let at: Vec<i64> = (0..tokens * tokens)
            .map(|i| kind_of(i / tokens, i % tokens, kinds, self.farthest) as i64)
            .collect();
        let at: Tensor<2, Int> =
            Tensor::from_data(TensorData::new(at, [tokens, tokens]), &table.device());
        ops::embedding::<2, 3>(table, at)
            .permute([2, 0, 1])
            .unsqueeze()
    }
}

impl SelfAttention {
    fn forward(&self, x: Tensor<3>, heads: usize, mask: &AttentionMask) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let [q, k, v] = [&self.q, &self.k, &self.v].map(|linear| {
            let x = linear.forward(x.clone());
            let head = x.dims()[2] / heads;
            x.reshape([batch, tokens, heads, head])
        });
        let head = q.dims()[3];
        // T5's scores are not scaled.
        let seen = ops::attention(q * (head as f32).sqrt(), k, v, mask);
        self.o.forward(seen.reshape([batch, tokens, heads * head]))
    }
}
