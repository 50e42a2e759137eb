//! U-EMO: a U-Net whose wide blocks are i2RMB (official `downstreams/seg/backbones/unet_emo2.py`).

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, module};
use engine::nn::Conv2dConfig;
use serde::{Deserialize, Serialize};

use crate::emov2::block::Block;
use crate::emov2::config::{BlockConfig, operator};
use crate::emov2::layers::{Activation, ConvUnit, HEAD_EPS, MOMENTUM, NormKind, resize};

/// From this width on a block is an i2RMB, below a plain convolution.
const WIDE: usize = 64;

/// Names as in the official config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UEmoConfig {
    /// Channels of the picture.
    pub in_channels: usize,
    /// Width of the first stage; each further one has twice as many.
    pub base_channels: usize,
    /// Stages.
    pub num_stages: usize,
    /// Stride of the first block of each stage.
    pub strides: Vec<usize>,
    /// Blocks of each stage going down.
    pub enc_num_convs: Vec<usize>,
    /// Blocks of each stage going up.
    pub dec_num_convs: Vec<usize>,
    /// Whether a max pool halves the map before each stage but the first.
    pub downsamples: Vec<bool>,
    /// Dilations of plain convolutions going down.
    pub enc_dilations: Vec<usize>,
    /// Dilations of plain convolutions going up.
    pub dec_dilations: Vec<usize>,
}

impl Default for UEmoConfig {
    /// The published one: five stages of two blocks.
    fn default() -> Self {
        Self {
            in_channels: 3,
            base_channels: 64,
            num_stages: 5,
            strides: vec![1; 5],
            enc_num_convs: vec![2; 5],
            dec_num_convs: vec![2; 4],
            downsamples: vec![true; 4],
            enc_dilations: vec![1; 5],
            dec_dilations: vec![1; 4],
        }
    }
}

impl UEmoConfig {
    /// Width of stage `stage`.
    pub fn width(&self, stage: usize) -> usize {
        self.base_channels << stage
    }

    /// What is wrong with it, in one line.
    pub fn problem(&self) -> Option<String> {
        let stages = self.num_stages;
        if !(1..=8).contains(&stages) {
            return Some("needs 1 to 8 stages".into());
        }
        let long = [&self.strides, &self.enc_num_convs, &self.enc_dilations];
        let short = [&self.dec_num_convs, &self.dec_dilations];
        let lengths = long.iter().all(|list| list.len() == stages)
            && short.iter().all(|list| list.len() == stages - 1)
            && self.downsamples.len() == stages - 1;
        let positive = long.iter().chain(&short).copied().flatten().all(|n| *n > 0);
        (!lengths || !positive || self.base_channels == 0 || self.base_channels > 4096).then(|| {
            format!(
                "needs lists of {stages} and {} positive numbers",
                stages - 1
            )
        })
    }

    /// Draws a network.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> UEmo {
        let mut encoder = Vec::new();
        let mut decoder = Vec::new();
        for stage in 0..self.num_stages {
            let input = match stage {
                0 => self.in_channels,
                _ => self.width(stage - 1),
            };
            encoder.push(Stage::new(
                [input, self.width(stage)],
                self.enc_num_convs[stage],
                [self.strides[stage], self.enc_dilations[stage]],
                rng,
                device,
            ));
            if let Some(up) = stage.checked_sub(1) {
                decoder.push(UpBlock {
                    upsample: ConvUnit::batch(
                        Conv2dConfig::new(self.width(stage), self.width(up), 1),
                        [HEAD_EPS, MOMENTUM],
                        Activation::Relu,
                        rng,
                        device,
                    ),
                    conv_block: Stage::new(
                        [2 * self.width(up), self.width(up)],
                        self.dec_num_convs[up],
                        [1, self.dec_dilations[up]],
                        rng,
                        device,
                    ),
                    doubles: self.strides[stage] != 1 || self.downsamples[up],
                });
            }
        }
        let pools = self.downsamples.iter().zip(&self.strides[1..]);
        UEmo {
            encoder,
            decoder,
            pools: pools.map(|(pool, stride)| *pool && *stride == 1).collect(),
        }
    }
}

/// A plain convolution or an i2RMB.
#[derive(Module, Debug)]
pub struct Layer {
    conv: Option<ConvUnit>,
    block: Option<Block>,
}

/// The blocks of a stage.
#[derive(Module, Debug)]
pub struct Stage {
    convs: Vec<Layer>,
}

/// One step up: enlarge, join with the map from the way down, blocks.
#[derive(Module, Debug)]
pub struct UpBlock {
    upsample: ConvUnit,
    conv_block: Stage,
    doubles: bool,
}

/// See [`UEmoConfig`].
#[derive(Module, Debug)]
pub struct UEmo {
    encoder: Vec<Stage>,
    decoder: Vec<UpBlock>,
    #[module(skip)]
    pools: Vec<bool>,
}

impl Stage {
    fn new(
        [input, output]: [usize; 2],
        count: usize,
        [stride, dilation]: [usize; 2],
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let convs = (0..count).map(|at| {
            let input = if at == 0 { input } else { output };
            let (stride, dilation) = if at == 0 { (stride, 1) } else { (1, dilation) };
            Layer::new([input, output], [stride, dilation], rng, device)
        });
        Self {
            convs: convs.collect(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.convs
            .iter()
            .fold(x, |x, layer| match (&layer.conv, &layer.block) {
                (Some(conv), _) => conv.forward(x),
                (_, Some(block)) => block.forward(x, None),
                _ => x,
            })
    }
}

impl Layer {
    fn new(
        [input, output]: [usize; 2],
        [stride, dilation]: [usize; 2],
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        if input < WIDE {
            let conv = Conv2dConfig::new(input, output, 3)
                .with_stride(stride)
                .with_dilation(dilation);
            let norm = [HEAD_EPS, MOMENTUM];
            let conv = ConvUnit::batch(conv, norm, Activation::Relu, rng, device);
            return Self {
                conv: Some(conv),
                block: None,
            };
        }
        let block = BlockConfig {
            dim_in: input,
            dim_out: output,
            exp_ratio: 2.0,
            dw_ks: 5,
            stride,
            dim_head: 32,
            window_size: 10,
            hybrid_eops: vec![operator::SPANNING],
            has_skip: true,
            norm_in: true,
            norm_layer: NormKind::Layer,
            act_layer: Activation::Gelu,
            qkv_bias: true,
            ls_value: 1e-6,
            local_norm: NormKind::Layer,
            local_act: Activation::Gelu,
        };
        Self {
            conv: None,
            block: Some(Block::new(&block, rng, device)),
        }
    }
}

impl UEmo {
    /// `[batch, in, height, width]` → the map at the bottom, then those on the way up, from coarse to fine. Sides have to be
    /// multiples of the deepest stride.
    pub fn forward(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let mut down: Vec<Tensor<4>> = Vec::new();
        let mut x = x;
        for (stage, blocks) in self.encoder.iter().enumerate() {
            if stage > 0 && self.pools[stage - 1] {
                x = module::max_pool2d(x, MaxPoolOptions::new([2, 2]));
            }
            x = blocks.forward(x);
            down.push(x.clone());
        }
        let mut out = vec![x.clone()];
        for (up, skip) in self.decoder.iter().zip(&down).rev() {
            let [_, _, height, width] = x.dims();
            if up.doubles {
                x = resize(x, [2 * height, 2 * width]);
            }
            x = up.upsample.forward(x);
            x = up.conv_block.forward(Tensor::cat(vec![skip.clone(), x], 1));
            out.push(x.clone());
        }
        out
    }
}
