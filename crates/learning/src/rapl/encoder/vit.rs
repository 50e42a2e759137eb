//! A vision transformer as timm has it, up to the class token behind the last norm: the encoder of MVP (Xiao et al. 2022).

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use engine::nn::{Conv2d, Conv2dConfig, LayerNorm, Linear, LinearConfig};
use engine::ops::{self, AttentionMask};

const EPS: f64 = 1e-6;

/// Sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Rows and columns of a patch.
    pub patch: usize,
    /// Width of a token.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads of attention.
    pub heads: usize,
}

impl VitConfig {
    /// ViT-S/16.
    pub fn small() -> Self {
        Self {
            patch: 16,
            width: 384,
            depth: 12,
            heads: 6,
        }
    }

    /// Whether it makes a network for pictures of `side`.
    pub(super) fn fits(&self, side: usize) -> bool {
        let within = |value: usize, most: usize| (1..=most).contains(&value);
        within(self.patch, side)
            && within(self.width, 2048)
            && within(self.depth, 64)
            && within(self.heads, self.width)
            && side.is_multiple_of(self.patch)
            && self.width.is_multiple_of(self.heads)
    }

    fn tokens(&self, side: usize) -> usize {
        (side / self.patch).pow(2) + 1
    }
}

#[derive(Module, Debug)]
struct PatchEmbed {
    proj: Conv2d,
}

#[derive(Module, Debug)]
struct SelfAttention {
    qkv: Linear,
    proj: Linear,
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    attn: SelfAttention,
    norm2: LayerNorm,
    mlp: Mlp,
}

/// See the module.
#[derive(Module, Debug)]
pub struct Vit {
    cls_token: Param<Tensor<3>>,
    pos_embed: Param<Tensor<3>>,
    patch_embed: PatchEmbed,
    blocks: Vec<Block>,
    norm: LayerNorm,
    heads: usize,
}

impl Vit {
    /// With random weights.
    pub(super) fn new(config: VitConfig, side: usize, rng: &mut Rng, device: &Device) -> Self {
        let VitConfig {
            patch,
            width,
            depth,
            heads,
        } = config;
        let mut drawn = |shape: [usize; 3]| {
            let values = rng.normals(shape.iter().product());
            let values = values.into_iter().map(|x| 0.02 * x).collect::<Vec<_>>();
            Param::from_data(TensorData::new(values, shape), device)
        };
        let (cls_token, pos_embed) = (drawn([1, 1, width]), drawn([1, config.tokens(side), width]));
        let linear = |input: usize, output: usize, rng: &mut Rng| {
            LinearConfig::new(input, output).init(rng, device)
        };
        let norm = || LayerNorm::new(width, EPS, device);
        let patches = Conv2dConfig::new(3, width, patch)
            .with_stride(patch)
            .with_padding(0);
        Self {
            cls_token,
            pos_embed,
            patch_embed: PatchEmbed {
                proj: patches.init(rng, device),
            },
            blocks: (0..depth)
                .map(|_| Block {
                    norm1: norm(),
                    attn: SelfAttention {
                        qkv: linear(width, 3 * width, rng),
                        proj: linear(width, width, rng),
                    },
                    norm2: norm(),
                    mlp: Mlp {
                        fc1: linear(width, 4 * width, rng),
                        fc2: linear(4 * width, width, rng),
                    },
                })
                .collect(),
            norm: norm(),
            heads,
        }
    }

    /// `[frames, 3, side, side]` → `[frames, width]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let patches = self.patch_embed.proj.forward(x);
        let [frames, width, ..] = patches.dims();
        let patches = patches.flatten::<3>(2, 3).swap_dims(1, 2);
        let class = self.cls_token.val().expand([frames, 1, width]);
        let x = Tensor::cat(vec![class, patches], 1) + self.pos_embed.val();
        let x = self.blocks.iter().fold(x, |x, block| {
            let y = block.norm1.forward(x.clone());
            let x = x + block.attn.forward(y, self.heads);
            let y = block.mlp.fc1.forward(block.norm2.forward(x.clone()));
            x + block.mlp.fc2.forward(ops::gelu_erf(y))
        });
        self.norm
            .forward(x.narrow(1, 0, 1))
            .reshape([frames, width])
    }
}

impl SelfAttention {
    fn forward(&self, x: Tensor<3>, heads: usize) -> Tensor<3> {
        let [frames, tokens, width] = x.dims();
        let all = self.qkv.forward(x);
        let part = |at: usize| {
            let part = all.clone().narrow(2, at * width, width);
            part.reshape([frames, tokens, heads, width / heads])
        };
        let seen = ops::attention(part(0), part(1), part(2), &AttentionMask::default());
        self.proj.forward(seen.reshape([frames, tokens, width]))
    }
}
