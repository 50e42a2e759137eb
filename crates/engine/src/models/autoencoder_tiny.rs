//! The tiny autoencoder that stands in for that of Stable Diffusion (TAESD; diffusers' `AutoencoderTiny`), under its official names:
//! blocks of three convolutions with ReLU, no norms, no attention.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use serde::{Deserialize, Serialize};

use super::autoencoder_kl::twice_as_large;
use crate::nn::{Conv2d, Conv2dConfig};
use crate::weights::{KeyMap, Weights};

/// Sizes, as `config.json` of diffusers has them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct AutoencoderTinyConfig {
    /// Channels of images.
    pub in_channels: usize,
    /// Channels of decoded images.
    pub out_channels: usize,
    /// Channels of latents.
    pub latent_channels: usize,
    /// Channels of the encoder, the same at each resolution.
    pub encoder_block_out_channels: Vec<usize>,
    /// Channels of the decoder, the same at each resolution.
    pub decoder_block_out_channels: Vec<usize>,
    /// Blocks of the encoder at each resolution, the finest first.
    pub num_encoder_blocks: Vec<usize>,
    /// Blocks of the decoder at each resolution, the coarsest first.
    pub num_decoder_blocks: Vec<usize>,
    /// Activation; `relu` is known.
    pub act_fn: String,
    /// How the decoder enlarges; `nearest` is known.
    pub upsample_fn: String,
    /// How much larger each resolution of the decoder is than the one before; 2 is known.
    pub upsampling_scaling_factor: usize,
    /// Generators work on latents times this.
    pub scaling_factor: f64,
}

impl Default for AutoencoderTinyConfig {
    /// TAESD and TAESDXL.
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            encoder_block_out_channels: vec![64; 4],
            decoder_block_out_channels: vec![64; 4],
            num_encoder_blocks: vec![1, 3, 3, 3],
            num_decoder_blocks: vec![3, 3, 3, 1],
            act_fn: "relu".into(),
            upsample_fn: "nearest".into(),
            upsampling_scaling_factor: 2,
            scaling_factor: 1.0,
        }
    }
}

#[derive(Module, Debug)]
struct Block {
    conv0: Conv2d,
    conv1: Conv2d,
    conv2: Conv2d,
}

/// Blocks at one resolution, and the convolution of the change: before them in the encoder, after them in the decoder.
#[derive(Module, Debug)]
struct Level {
    change: Option<Conv2d>,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Half {
    first: Conv2d,
    levels: Vec<Level>,
    last: Conv2d,
}

/// See [`AutoencoderTinyConfig`].
#[derive(Module, Debug)]
pub struct AutoencoderTiny {
    encoder: Half,
    decoder: Half,
}

impl AutoencoderTinyConfig {
    /// Whether such a network can be made.
    ///
    /// # Errors
    /// The value that is wrong.
    pub fn check(&self) -> Result<(), String> {
        let sides = [
            (&self.encoder_block_out_channels, &self.num_encoder_blocks),
            (&self.decoder_block_out_channels, &self.num_decoder_blocks),
        ];
        for (channels, blocks) in sides {
            let same = channels.iter().all(|it| Some(it) == channels.first());
            let known = (1..=8).contains(&blocks.len())
                && channels.len() == blocks.len()
                && channels.iter().all(|it| (1..=4096).contains(it))
                && blocks.iter().all(|&it| it <= 64);
            if !known || !same {
                return Err(format!(
                    "channels {channels:?} with blocks {blocks:?} do not go together: one width at every resolution is known"
                ));
            }
        }
        let sizes = [self.in_channels, self.out_channels, self.latent_channels];
        if self.num_encoder_blocks.len() != self.num_decoder_blocks.len()
            || !sizes.iter().all(|size| (1..=1024).contains(size))
            || !self.scaling_factor.is_finite()
            || self.scaling_factor == 0.0
        {
            return Err(format!("sizes that do not go together: {self:?}"));
        }
        let found = (self.act_fn.as_str(), self.upsample_fn.as_str());
        if found != ("relu", "nearest") || self.upsampling_scaling_factor != 2 {
            return Err(format!(
                "activation `{}`, enlarging by `{}` {} times: `relu` and twice by `nearest` are known",
                self.act_fn, self.upsample_fn, self.upsampling_scaling_factor
            ));
        }
        Ok(())
    }

    /// Sizes of the network whose weights these are; none where they are another's.
    pub fn of(weights: &Weights) -> Option<Self> {
        let shape = |side: &str, at: usize, rest: &str| {
            weights.shape(&format!("{side}.layers.{at}.{rest}"))
        };
        let read = |side: &str| -> Option<([usize; 3], Vec<usize>)> {
            let &[width, input, ..] = shape(side, 0, "weight")? else {
                return None;
            };
            let (mut blocks, mut output) = (vec![0], None);
            for at in 1..1000 {
                if shape(side, at, "conv.0.weight").is_some() {
                    *blocks.last_mut()? += 1;
                } else if let Some(found) = shape(side, at, "weight") {
                    if shape(side, at, "bias").is_some() {
                        output = found.first().copied();
                        break;
                    }
                    blocks.push(0);
                }
            }
            Some(([input, width, output?], blocks))
        };
        let ([in_channels, encoder, latent_channels], num_encoder_blocks) = read("encoder")?;
        let ([_, decoder, out_channels], num_decoder_blocks) = read("decoder")?;
        Some(Self {
            in_channels,
            out_channels,
            latent_channels,
            encoder_block_out_channels: vec![encoder; num_encoder_blocks.len()],
            decoder_block_out_channels: vec![decoder; num_decoder_blocks.len()],
            num_encoder_blocks,
            num_decoder_blocks,
            ..Self::default()
        })
    }

    /// Pixels along one latent.
    pub fn factor(&self) -> usize {
        1 << self.num_encoder_blocks.len().saturating_sub(1).min(16)
    }

    /// Draws a model.
    ///
    /// # Errors
    /// As [`AutoencoderTinyConfig::check`].
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Result<AutoencoderTiny, String> {
        self.check()?;
        let mut half = |[input, width, output]: [usize; 3], blocks: &[usize], down: bool| {
            let mut conv = |input, output| Conv2d::lazy(input, output, 3, rng, device);
            let (first, last) = (conv(input, width), conv(width, output));
            let plain = Conv2dConfig::new(width, width, 3).without_bias();
            let levels = blocks.iter().enumerate().map(|(at, &count)| Level {
                change: match down {
                    true => (at > 0).then(|| plain.clone().with_stride(2).init(rng, device)),
                    false => (at + 1 < blocks.len()).then(|| plain.init(rng, device)),
                },
                blocks: (0..count)
                    .map(|_| {
                        let mut conv = || Conv2d::lazy(width, width, 3, rng, device);
                        Block {
                            conv0: conv(),
                            conv1: conv(),
                            conv2: conv(),
                        }
                    })
                    .collect(),
            });
            Half {
                levels: levels.collect(),
                first,
                last,
            }
        };
        let latent = self.latent_channels;
        let [encoder, decoder] = [
            &self.encoder_block_out_channels,
            &self.decoder_block_out_channels,
        ]
        .map(|channels| channels.first().copied().unwrap_or(1));
        Ok(AutoencoderTiny {
            encoder: half(
                [self.in_channels, encoder, latent],
                &self.num_encoder_blocks,
                true,
            ),
            decoder: half(
                [latent, decoder, self.out_channels],
                &self.num_decoder_blocks,
                false,
            ),
        })
    }

    /// Names in a diffusers file ↔ field paths. The file counts all layers, those without weights too.
    pub fn key_map(&self) -> KeyMap {
        let mut keys = KeyMap::new();
        for (side, blocks) in [
            ("encoder", &self.num_encoder_blocks),
            ("decoder", &self.num_decoder_blocks),
        ] {
            let down = side == "encoder";
            keys = keys.rename(&format!("{side}.layers.0"), &format!("{side}.first"));
            // The decoder has an activation behind its first convolution.
            let mut next = if down { 1 } else { 2 };
            for (level, &count) in blocks.iter().enumerate() {
                let ours = format!("{side}.levels.{level}");
                if down && level > 0 {
                    keys = keys.rename(&format!("{side}.layers.{next}"), &format!("{ours}.change"));
                    next += 1;
                }
                for block in 0..count {
                    for conv in 0..3 {
                        keys = keys.rename(
                            &format!("{side}.layers.{next}.conv.{}", 2 * conv),
                            &format!("{ours}.blocks.{block}.conv{conv}"),
                        );
                    }
                    next += 1;
                }
                if !down && level + 1 < blocks.len() {
                    // Enlarging is a layer, too.
                    next += 1;
                    keys = keys.rename(&format!("{side}.layers.{next}"), &format!("{ours}.change"));
                    next += 1;
                }
            }
            keys = keys.rename(&format!("{side}.layers.{next}"), &format!("{side}.last"));
        }
        keys
    }
}

impl AutoencoderTiny {
    /// Images `[batch, channels, height, width]` in [−1, 1] → latents before scaling. Height and width are multiples of the factor.
    pub fn encode(&self, images: Tensor<4>) -> Tensor<4> {
        let half = &self.encoder;
        let x = half.first.forward((images + 1.0) / 2.0);
        let x = half.levels.iter().fold(x, |x, level| {
            level.run(match &level.change {
                Some(conv) => conv.forward(x),
                None => x,
            })
        });
        half.last.forward(x)
    }

    /// Latents before scaling → images, about in [−1, 1]. Large latents are bent towards 3.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let half = &self.decoder;
        let x = (latents / 3.0).tanh() * 3.0;
        let x = activation::relu(half.first.forward(x));
        let x = half.levels.iter().fold(x, |x, level| {
            let x = level.run(x);
            match &level.change {
                Some(conv) => conv.forward(twice_as_large(x)),
                None => x,
            }
        });
        half.last.forward(x) * 2.0 - 1.0
    }
}

impl Level {
    fn run(&self, x: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(x, |x, block| {
            let y = activation::relu(block.conv0.forward(x.clone()));
            let y = activation::relu(block.conv1.forward(y));
            activation::relu(block.conv2.forward(y) + x)
        })
    }
}
