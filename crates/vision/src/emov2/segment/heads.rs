//! Heads from feature maps of strides 4, 8, 16 and 32 to logits.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, module};
use engine::nn::{Conv2d, Conv2dConfig};

use crate::emov2::layers::{Activation, ConvUnit, HEAD_EPS, MOMENTUM, resize};

/// Pools of the pyramid pooling module.
const POOLS: [usize; 4] = [1, 2, 3, 6];

fn unit(config: Conv2dConfig, rng: &mut Rng, device: &Device) -> ConvUnit {
    ConvUnit::batch(config, [HEAD_EPS, MOMENTUM], Activation::Relu, rng, device)
}

fn logits(channels: usize, classes: usize, rng: &mut Rng, device: &Device) -> Conv2d {
    Conv2d::new(channels, classes, 1, rng, device)
}

/// DeepLabv3's head: atrous spatial pyramid pooling of the last map.
#[derive(Module, Debug)]
pub struct Aspp {
    /// Index 1 of a sequence after the pool.
    image_pool: ConvUnit,
    aspp_modules: Vec<ConvUnit>,
    bottleneck: ConvUnit,
    conv_seg: Conv2d,
}

impl Aspp {
    /// From `input` channels; one branch for each of `dilations`, 1×1 where that is 1.
    pub fn new(
        [input, channels, classes]: [usize; 3],
        dilations: &[usize],
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let branches = dilations.len() + 1;
        Self {
            image_pool: unit(Conv2dConfig::new(input, channels, 1), rng, device),
            aspp_modules: dilations
                .iter()
                .map(|dilation| {
                    let kernel = if *dilation == 1 { 1 } else { 3 };
                    let config = Conv2dConfig::new(input, channels, kernel);
                    unit(config.with_dilation(*dilation), rng, device)
                })
                .collect(),
            bottleneck: unit(
                Conv2dConfig::new(branches * channels, channels, 3),
                rng,
                device,
            ),
            conv_seg: logits(channels, classes, rng, device),
        }
    }

    /// `[batch, input, height, width]` → `[batch, classes, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let pool = self.image_pool.forward(mean(x.clone()));
        let mut parts = vec![resize(pool, [height, width])];
        parts.extend(self.aspp_modules.iter().map(|unit| unit.forward(x.clone())));
        self.conv_seg
            .forward(self.bottleneck.forward(Tensor::cat(parts, 1)))
    }
}

/// The mean over height and width, `[batch, channels, 1, 1]`.
fn mean(x: Tensor<4>) -> Tensor<4> {
    x.mean_dim(3).mean_dim(2)
}

/// PSPNet's head: pyramid pooling of the last map.
#[derive(Module, Debug)]
pub struct PspHead {
    psp_modules: Vec<ConvUnit>,
    bottleneck: ConvUnit,
    conv_seg: Conv2d,
}

impl PspHead {
    /// From `input` channels.
    pub fn new([input, channels, classes]: [usize; 3], rng: &mut Rng, device: &Device) -> Self {
        let all = input + POOLS.len() * channels;
        Self {
            psp_modules: POOLS
                .iter()
                .map(|_| unit(Conv2dConfig::new(input, channels, 1), rng, device))
                .collect(),
            bottleneck: unit(Conv2dConfig::new(all, channels, 3), rng, device),
            conv_seg: logits(channels, classes, rng, device),
        }
    }

    /// `[batch, input, height, width]` → `[batch, classes, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let mut parts = vec![x.clone()];
        for (unit, pool) in self.psp_modules.iter().zip(POOLS) {
            let pooled = module::adaptive_avg_pool2d(x.clone(), [pool; 2]);
            parts.push(resize(unit.forward(pooled), [height, width]));
        }
        self.conv_seg
            .forward(self.bottleneck.forward(Tensor::cat(parts, 1)))
    }
}

/// Semantic FPN's head on four maps of equal width.
#[derive(Module, Debug)]
pub struct FpnHead {
    /// For each map its convolutions; each but those of the first is followed by a doubling of the size.
    scale_heads: Vec<Vec<ConvUnit>>,
    conv_seg: Conv2d,
}

impl FpnHead {
    /// From `maps` maps of `input` channels.
    pub fn new(
        maps: usize,
        [input, channels, classes]: [usize; 3],
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let scale_heads = (0..maps)
            .map(|map| {
                (0..map.max(1))
                    .map(|at| {
                        let from = if at == 0 { input } else { channels };
                        unit(Conv2dConfig::new(from, channels, 3), rng, device)
                    })
                    .collect()
            })
            .collect();
        Self {
            scale_heads,
            conv_seg: logits(channels, classes, rng, device),
        }
    }

    /// Maps from fine to coarse, each half as large as the one before → logits of the size of the first.
    pub fn forward(&self, maps: &[Tensor<4>]) -> Option<Tensor<4>> {
        let first = maps.first()?;
        let [_, _, height, width] = first.dims();
        let sum = self
            .scale_heads
            .iter()
            .zip(maps)
            .enumerate()
            .map(|(level, (units, map))| {
                let y = units.iter().fold(map.clone(), |x, unit| {
                    let y = unit.forward(x);
                    let [_, _, height, width] = y.dims();
                    match level {
                        0 => y,
                        _ => resize(y, [2 * height, 2 * width]),
                    }
                });
                resize(y, [height, width])
            })
            .reduce(|a, b| a + b)?;
        Some(self.conv_seg.forward(sum))
    }
}

/// SegFormer's head: every map projected, enlarged to the first and fused.
#[derive(Module, Debug)]
pub struct SegformerHead {
    convs: Vec<ConvUnit>,
    fusion_conv: ConvUnit,
    conv_seg: Conv2d,
}

impl SegformerHead {
    /// From maps of these widths.
    pub fn new(
        inputs: &[usize],
        [channels, classes]: [usize; 2],
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let convs = inputs
            .iter()
            .map(|input| unit(Conv2dConfig::new(*input, channels, 1), rng, device));
        Self {
            convs: convs.collect(),
            fusion_conv: unit(
                Conv2dConfig::new(inputs.len() * channels, channels, 1),
                rng,
                device,
            ),
            conv_seg: logits(channels, classes, rng, device),
        }
    }

    /// Maps from fine to coarse → logits of the size of the first.
    pub fn forward(&self, maps: &[Tensor<4>]) -> Option<Tensor<4>> {
        let [_, _, height, width] = maps.first()?.dims();
        let parts = self
            .convs
            .iter()
            .zip(maps)
            .map(|(unit, map)| resize(unit.forward(map.clone()), [height, width]))
            .collect();
        let fused = self.fusion_conv.forward(Tensor::cat(parts, 1));
        Some(self.conv_seg.forward(fused))
    }
}
