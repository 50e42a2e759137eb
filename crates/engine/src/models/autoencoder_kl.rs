//! The KL image autoencoder of Stable Diffusion (diffusers' `AutoencoderKL`), under its official names.

mod standardise;
mod tiles;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::nn::{Conv2d, GroupNorm, Init, Linear, LinearConfig};
use crate::ops::{self, AttentionMask};
use crate::weights::{KeyMap, Weights};

/// Epsilon of every group norm.
const EPS: f64 = 1e-6;

/// Sizes, as `config.json` of a diffusers VAE folder has them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct AutoencoderKlConfig {
    /// Channels of images.
    pub in_channels: usize,
    /// Channels of decoded images.
    pub out_channels: usize,
    /// Channels of latents.
    pub latent_channels: usize,
    /// Channels at each resolution; each but the first halves height and width.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks at each resolution; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every norm.
    pub norm_num_groups: usize,
    /// Generators work on latents times this.
    pub scaling_factor: f64,
}

impl Default for AutoencoderKlConfig {
    /// Stable Diffusion 1.x and 2.x.
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
        }
    }
}

/// Names in a diffusers file ↔ field paths.
pub fn key_map() -> KeyMap {
    with_sizes(KeyMap::new())
}

/// What all files have in common, behind `keys`.
fn with_sizes(mut keys: KeyMap) -> KeyMap {
    for side in ["encoder", "decoder"] {
        let ours = format!("{side}.mid_block.attention");
        let file = format!("{side}.mid_block.attentions.0");
        keys = keys.rename(&format!("{file}.to_out.0"), &format!("{ours}.to_out"));
        keys = keys.rename(&file, &ours);
    }
    keys.rename(
        "encoder.down_blocks.{}.downsamplers.0.conv",
        "encoder.down_blocks.{}.resample",
    )
    .rename(
        "decoder.up_blocks.{}.upsamplers.0.conv",
        "decoder.up_blocks.{}.resample",
    )
}

/// [`key_map`] for a file, which may have the attention's older names, as the released Stable Diffusion 1 does.
pub fn key_map_of(weights: &Weights) -> KeyMap {
    if !weights.contains("encoder.mid_block.attentions.0.query.weight") {
        return key_map();
    }
    let mut keys = KeyMap::new();
    for side in ["encoder", "decoder"] {
        for (file, ours) in [
            ("query", "to_q"),
            ("key", "to_k"),
            ("value", "to_v"),
            ("proj_attn", "to_out"),
        ] {
            keys = keys.rename(
                &format!("{side}.mid_block.attentions.0.{file}"),
                &format!("{side}.mid_block.attention.{ours}"),
            );
        }
    }
    with_sizes(keys)
}

#[derive(Module, Debug)]
struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

#[derive(Module, Debug)]
struct Attention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

#[derive(Module, Debug)]
struct MidBlock {
    resnets: Vec<Resnet>,
    attention: Attention,
}

/// Residual blocks at one resolution, and the convolution of the change to the next.
#[derive(Module, Debug)]
struct Level {
    resnets: Vec<Resnet>,
    resample: Option<Conv2d>,
}

#[derive(Module, Debug)]
struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<Level>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Module, Debug)]
struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<Level>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// See [`AutoencoderKlConfig`].
#[derive(Module, Debug)]
pub struct AutoencoderKl {
    encoder: Encoder,
    decoder: Decoder,
    quant_conv: Conv2d,
    post_quant_conv: Conv2d,
}

/// A Gaussian over latents.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// `[batch, latent, height / 2ⁿ, width / 2ⁿ]`.
    pub mean: Tensor<4>,
    /// Logarithm of the variance, in [−30, 20].
    pub logvar: Tensor<4>,
}

impl Posterior {
    /// `mean + noise · std`.
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + (self.logvar.clone() * 0.5).exp() * noise
    }
}

impl AutoencoderKlConfig {
    /// Whether such a network can be made.
    ///
    /// # Errors
    /// One line with the sizes where they do not go together.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [self.in_channels, self.out_channels, self.layers_per_block];
        let channels = &self.block_out_channels;
        let known = !channels.is_empty()
            && channels.len() <= 8
            && self.norm_num_groups > 0
            && channels
                .iter()
                .all(|c| (1..=1 << 14).contains(c) && c.is_multiple_of(self.norm_num_groups))
            && (1..=1024).contains(&self.latent_channels)
            && sizes.iter().all(|size| (1..=64).contains(size))
            && self.scaling_factor.is_finite()
            && self.scaling_factor != 0.0;
        match known {
            true => Ok(()),
            false => Err(format!("sizes that do not go together: {self:?}")),
        }
    }

    /// Draws a model.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> AutoencoderKl {
        let latent = self.latent_channels;
        AutoencoderKl {
            encoder: self.encoder(rng, device),
            decoder: self.decoder(rng, device),
            quant_conv: Conv2d::lazy(2 * latent, 2 * latent, 1, rng, device),
            post_quant_conv: Conv2d::lazy(latent, latent, 1, rng, device),
        }
    }

    fn ends(&self) -> [usize; 2] {
        let channels = &self.block_out_channels;
        [channels.first(), channels.last()].map(|end| end.copied().unwrap_or(1))
    }

    fn encoder(&self, rng: &mut Rng, device: &Device) -> Encoder {
        let [first, last] = self.ends();
        let mut input = first;
        let count = self.block_out_channels.len();
        let conv_in = Conv2d::lazy(self.in_channels, first, 3, rng, device);
        let levels = self.block_out_channels.iter().enumerate();
        let down_blocks = levels
            .map(|(at, &output)| {
                let resnets = self.resnets(self.layers_per_block, input, output, rng, device);
                input = output;
                let resample = (at + 1 < count)
                    .then(|| Conv2d::lazy(output, output, 3, rng, device).with_stride(2, 0));
                Level { resnets, resample }
            })
            .collect();
        Encoder {
            conv_in,
            down_blocks,
            mid_block: self.mid_block(last, rng, device),
            conv_norm_out: self.norm(last, device),
            conv_out: Conv2d::lazy(last, 2 * self.latent_channels, 3, rng, device),
        }
    }

    fn decoder(&self, rng: &mut Rng, device: &Device) -> Decoder {
        let [first, last] = self.ends();
        let mut input = last;
        let count = self.block_out_channels.len();
        let conv_in = Conv2d::lazy(self.latent_channels, last, 3, rng, device);
        let mid_block = self.mid_block(last, rng, device);
        let levels = self.block_out_channels.iter().rev().enumerate();
        let up_blocks = levels
            .map(|(at, &output)| {
                let resnets = self.resnets(self.layers_per_block + 1, input, output, rng, device);
                input = output;
                let resample =
                    (at + 1 < count).then(|| Conv2d::lazy(output, output, 3, rng, device));
                Level { resnets, resample }
            })
            .collect();
        Decoder {
            conv_in,
            mid_block,
            up_blocks,
            conv_norm_out: self.norm(first, device),
            conv_out: Conv2d::lazy(first, self.out_channels, 3, rng, device),
        }
    }

    fn norm(&self, channels: usize, device: &Device) -> GroupNorm {
        GroupNorm::new(channels, self.norm_num_groups, EPS, device)
    }

    fn resnets(
        &self,
        count: usize,
        input: usize,
        output: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Vec<Resnet> {
        (0..count)
            .map(|at| {
                let input = if at == 0 { input } else { output };
                Resnet {
                    norm1: self.norm(input, device),
                    conv1: Conv2d::lazy(input, output, 3, rng, device),
                    norm2: self.norm(output, device),
                    conv2: Conv2d::lazy(output, output, 3, rng, device),
                    conv_shortcut: (input != output)
                        .then(|| Conv2d::lazy(input, output, 1, rng, device)),
                }
            })
            .collect()
    }

    fn mid_block(&self, channels: usize, rng: &mut Rng, device: &Device) -> MidBlock {
        let linear = |rng: &mut Rng| {
            LinearConfig::new(channels, channels)
                .with_init(Init::Lazy)
                .init(rng, device)
        };
        MidBlock {
            resnets: self.resnets(2, channels, channels, rng, device),
            attention: Attention {
                group_norm: self.norm(channels, device),
                to_q: linear(rng),
                to_k: linear(rng),
                to_v: linear(rng),
                to_out: linear(rng),
            },
        }
    }
}

impl AutoencoderKl {
    /// Images `[batch, channels, height, width]` in [−1, 1] → latents before scaling. Height and width are multiples of
    /// `2^(levels − 1)`.
    pub fn encode(&self, images: Tensor<4>) -> Posterior {
        posterior(self.moments(images))
    }

    /// Latents before scaling → images, about in [−1, 1].
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.decoder.forward(self.post_quant_conv.forward(latents))
    }

    fn moments(&self, images: Tensor<4>) -> Tensor<4> {
        self.quant_conv.forward(self.encoder.forward(images))
    }

    /// Pixels along one latent.
    fn factor(&self) -> usize {
        1 << self.encoder.down_blocks.len().saturating_sub(1)
    }
}

fn posterior(moments: Tensor<4>) -> Posterior {
    let channels = moments.dims()[1] / 2;
    let mean = moments.clone().narrow(1, 0, channels);
    let logvar = moments.narrow(1, channels, channels).clamp(-30.0, 20.0);
    Posterior { mean, logvar }
}

impl Encoder {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self
            .down_blocks
            .iter()
            .fold(self.conv_in.forward(x), |x, level| {
                let x = level.resnets.iter().fold(x, |x, block| block.forward(x));
                match &level.resample {
                    // One row and column of zeros below and to the right.
                    Some(conv) => conv.forward(x.pad((0, 1, 0, 1), 0.0)),
                    None => x,
                }
            });
        let x = self.mid_block.forward(x);
        self.conv_out
            .forward(ops::silu(self.conv_norm_out.forward(x)))
    }
}

impl Decoder {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.mid_block.forward(self.conv_in.forward(x));
        let x = self.up_blocks.iter().fold(x, |x, level| {
            let x = level.resnets.iter().fold(x, |x, block| block.forward(x));
            match &level.resample {
                Some(conv) => conv.forward(twice_as_large(x)),
                None => x,
            }
        });
        self.conv_out
            .forward(ops::silu(self.conv_norm_out.forward(x)))
    }
}

/// Every pixel four times: nearest-neighbour upsampling.
pub(super) fn twice_as_large(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height, 1, width, 1])
        .expand([batch, channels, height, 2, width, 2])
        .reshape([batch, channels, 2 * height, 2 * width])
}

impl Resnet {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.conv1.forward(ops::silu(self.norm1.forward(x.clone())));
        let y = self.conv2.forward(ops::silu(self.norm2.forward(y)));
        match &self.conv_shortcut {
            Some(conv) => conv.forward(x) + y,
            None => x + y,
        }
    }
}

impl MidBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let attended = self
            .resnets
            .first()
            .map_or(x.clone(), |block| block.forward(x));
        let attended = self.attention.forward(attended);
        self.resnets
            .iter()
            .skip(1)
            .fold(attended, |x, block| block.forward(x))
    }
}

impl Attention {
    /// One head over all places.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let tokens = self.group_norm.forward(x.clone());
        let tokens = tokens
            .reshape([batch, channels, height * width])
            .swap_dims(1, 2);
        let [q, k, v] = [&self.to_q, &self.to_k, &self.to_v]
            .map(|linear| linear.forward(tokens.clone()).unsqueeze_dim::<4>(2));
        let seen = ops::attention(q, k, v, &AttentionMask::default()).squeeze_dim::<3>(2);
        let seen = self.to_out.forward(seen).swap_dims(1, 2);
        x + seen.reshape([batch, channels, height, width])
    }
}
