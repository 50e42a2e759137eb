//! The transformer layers that CLIP's text and image towers share.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::nn::{Init, LayerNorm, Linear, LinearConfig};
use crate::ops::{self, AttentionMask};
use base::rng::Rng;

/// The activation of the feed-forward layers, as `hidden_act` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · σ(1.702·x)` (OpenAI's models).
    #[default]
    QuickGelu,
    /// The exact GELU (OpenCLIP's models).
    Gelu,
}

impl Activation {
    pub(super) fn apply(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::QuickGelu => ops::silu(x * 1.702) / 1.702,
            Self::Gelu => ops::gelu_erf(x),
        }
    }
}

#[derive(Module, Debug)]
struct SelfAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

#[derive(Module, Debug)]
struct Layer {
    layer_norm1: LayerNorm,
    self_attn: SelfAttention,
    layer_norm2: LayerNorm,
    mlp: Mlp,
}

/// All layers of a tower.
#[derive(Module, Debug)]
pub(super) struct Encoder {
    layers: Vec<Layer>,
    heads: usize,
    #[module(skip)]
    activation: Activation,
}

/// Sizes of an [`Encoder`].
pub(super) struct Sizes {
    pub width: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub activation: Activation,
    pub eps: f64,
}

impl Sizes {
    /// # Errors
    /// When a size is zero or huge, or the heads do not divide the width.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [self.width, self.hidden, self.layers, self.heads];
        let known = sizes.iter().all(|size| (1..=1 << 16).contains(size)) && self.layers <= 256;
        match known && self.width.is_multiple_of(self.heads) {
            true => Ok(()),
            false => Err(format!(
                "width, feed-forward width, layers and heads are {sizes:?}: heads must divide the width, and nothing may be 0 \
                 or huge"
            )),
        }
    }

    pub fn init(&self, rng: &mut Rng, device: &Device) -> Encoder {
        let linear = |input, output, rng: &mut Rng| {
            LinearConfig::new(input, output)
                .with_init(Init::Lazy)
                .init(rng, device)
        };
        let width = self.width;
        let norm = || LayerNorm::new(width, self.eps, device);
        Encoder {
            layers: (0..self.layers)
                .map(|_| Layer {
                    layer_norm1: norm(),
                    self_attn: SelfAttention {
                        q_proj: linear(width, width, rng),
                        k_proj: linear(width, width, rng),
                        v_proj: linear(width, width, rng),
                        out_proj: linear(width, width, rng),
                    },
                    layer_norm2: norm(),
                    mlp: Mlp {
                        fc1: linear(width, self.hidden, rng),
                        fc2: linear(self.hidden, width, rng),
                    },
                })
                .collect(),
            heads: self.heads,
            activation: self.activation,
        }
    }
}

impl Encoder {
    /// `x` `[batch, tokens, width]` and what each layer makes of it: one more than there are layers.
    pub fn forward(&self, x: Tensor<3>, mask: &AttentionMask) -> Vec<Tensor<3>> {
        let mut states = vec![x.clone()];
        self.layers.iter().fold(x, |x, layer| {
            let y = layer.layer_norm1.forward(x.clone());
            let x = x + layer.self_attn.forward(y, self.heads, mask);
            let y = layer.mlp.fc1.forward(layer.layer_norm2.forward(x.clone()));
            let x = x + layer.mlp.fc2.forward(self.activation.apply(y));
            states.push(x.clone());
            x
        });
        states
    }
}

impl SelfAttention {
    fn forward(&self, x: Tensor<3>, heads: usize, mask: &AttentionMask) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let [q, k, v] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|linear| {
            let x = linear.forward(x.clone());
            x.reshape([batch, tokens, heads, width / heads])
        });
        let seen = ops::attention(q, k, v, mask);
        self.out_proj.forward(seen.reshape([batch, tokens, width]))
    }
}
