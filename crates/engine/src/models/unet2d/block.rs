//! Residual blocks, with transformers between them where a resolution has some.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::Unet2dConfig;
use super::transformer::{Sizes, Transformer};
use crate::nn::{AttentionHooks, Conv2d, GroupNorm, Init, Linear, LinearConfig};
use crate::ops;
use base::rng::Rng;

/// Two convolutions; the time embedding is added between them.
#[derive(Module, Debug)]
pub(super) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

/// One resolution on the way down, in the middle, or up.
#[derive(Module, Debug)]
pub(super) struct Level {
    resnets: Vec<Resnet>,
    attentions: Vec<Transformer>,
    downsample: Option<Conv2d>,
    upsample: Option<Conv2d>,
}

/// What a forward pass hands to every block.
pub(super) struct Pass<'a> {
    /// Time embedding behind its SiLU, `[batch, time width]`.
    pub time: Tensor<2>,
    pub context: &'a Tensor<3>,
    pub hooks: &'a mut dyn AttentionHooks,
}

impl Unet2dConfig {
    fn norm(&self, channels: usize, device: &Device) -> GroupNorm {
        GroupNorm::new(channels, self.norm_num_groups, self.norm_eps, device)
    }

    fn resnet(&self, [input, output]: [usize; 2], rng: &mut Rng, device: &Device) -> Resnet {
        Resnet {
            norm1: self.norm(input, device),
            conv1: Conv2d::lazy(input, output, 3, rng, device),
            time_emb_proj: LinearConfig::new(self.time_width(), output)
                .with_init(Init::Lazy)
                .init(rng, device),
            norm2: self.norm(output, device),
            conv2: Conv2d::lazy(output, output, 3, rng, device),
            conv_shortcut: (input != output).then(|| Conv2d::lazy(input, output, 1, rng, device)),
        }
    }

    fn transformer(
        &self,
        level: usize,
        depth: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Transformer {
        let sizes = Sizes {
            channels: self.channels(level),
            heads: self.attention_head_dim.at(level).unwrap_or(1),
            depth,
            context: self.cross_attention_dim.at(level).unwrap_or(1),
            groups: self.norm_num_groups,
        };
        sizes.init(rng, device)
    }

    fn channels(&self, level: usize) -> usize {
        self.block_out_channels.get(level).copied().unwrap_or(1)
    }

    fn layers(&self, level: usize) -> usize {
        self.layers_per_block.at(level).unwrap_or(1)
    }

    pub(super) fn down(&self, level: usize, rng: &mut Rng, device: &Device) -> Level {
        let output = self.channels(level);
        let input = self.channels(level.saturating_sub(1));
        let crossed = self.down_block_types[level].starts_with("Cross");
        let layers = self.layers(level);
        Level {
            resnets: (0..layers)
                .map(|at| {
                    let input = if at == 0 { input } else { output };
                    self.resnet([input, output], rng, device)
                })
                .collect(),
            attentions: (0..if crossed { layers } else { 0 })
                .map(|at| self.transformer(level, self.depth_down(level, at), rng, device))
                .collect(),
            downsample: (level + 1 < self.levels())
                .then(|| Conv2d::lazy(output, output, 3, rng, device).with_stride(2, 1)),
            upsample: None,
        }
    }

    pub(super) fn mid(&self, rng: &mut Rng, device: &Device) -> Level {
        let level = self.levels() - 1;
        let channels = self.channels(level);
        Level {
            resnets: (0..2)
                .map(|_| self.resnet([channels; 2], rng, device))
                .collect(),
            attentions: vec![self.transformer(level, self.depth_down(level, 0), rng, device)],
            downsample: None,
            upsample: None,
        }
    }

    /// `block` counts from the coarsest resolution.
    pub(super) fn up(&self, block: usize, rng: &mut Rng, device: &Device) -> Level {
        let level = self.levels() - 1 - block;
        let output = self.channels(level);
        let before = self.channels((level + 1).min(self.levels() - 1));
        let finer = self.channels(level.saturating_sub(1));
        let crossed = self.up_block_types[block].starts_with("Cross");
        let layers = self.layers(level) + 1;
        Level {
            resnets: (0..layers)
                .map(|at| {
                    let input = if at == 0 { before } else { output };
                    let skip = if at + 1 == layers { finer } else { output };
                    self.resnet([input + skip, output], rng, device)
                })
                .collect(),
            attentions: (0..if crossed { layers } else { 0 })
                .map(|at| self.transformer(level, self.depth_up(block, at), rng, device))
                .collect(),
            downsample: None,
            upsample: (level > 0).then(|| Conv2d::lazy(output, output, 3, rng, device)),
        }
    }
}

impl Level {
    /// All that the way up will want is left in `skips`.
    pub fn down(
        &self,
        mut x: Tensor<4>,
        skips: &mut Vec<Tensor<4>>,
        name: &str,
        pass: &mut Pass<'_>,
    ) -> Tensor<4> {
        for at in 0..self.resnets.len() {
            x = self.layer(at, x, name, pass);
            skips.push(x.clone());
        }
        if let Some(conv) = &self.downsample {
            x = conv.forward(x);
            skips.push(x.clone());
        }
        x
    }

    /// Residual block, transformer, residual block.
    pub fn middle(&self, x: Tensor<4>, name: &str, pass: &mut Pass<'_>) -> Tensor<4> {
        let x = self.layer(0, x, name, pass);
        match self.resnets.get(1) {
            Some(resnet) => resnet.forward(x, &pass.time),
            None => x,
        }
    }

    /// Takes what [`Level::down`] left at this resolution.
    pub fn up(
        &self,
        mut x: Tensor<4>,
        skips: &mut Vec<Tensor<4>>,
        name: &str,
        pass: &mut Pass<'_>,
    ) -> Tensor<4> {
        for at in 0..self.resnets.len() {
            if let Some(skip) = skips.pop() {
                x = Tensor::cat(vec![x, skip], 1);
            }
            x = self.layer(at, x, name, pass);
        }
        match (&self.upsample, skips.last()) {
            (Some(conv), Some(finer)) => {
                let [_, _, height, width] = finer.dims();
                conv.forward(enlarge(x, [height, width]))
            }
            _ => x,
        }
    }

    fn layer(&self, at: usize, x: Tensor<4>, name: &str, pass: &mut Pass<'_>) -> Tensor<4> {
        let x = self.resnets[at].forward(x, &pass.time);
        match self.attentions.get(at) {
            Some(transformer) => transformer.forward(
                x,
                pass.context,
                &format!("{name}.attentions.{at}"),
                pass.hooks,
            ),
            None => x,
        }
    }
}

/// Every pixel four times, cut to the size of the finer resolution, which may be odd.
fn enlarge(x: Tensor<4>, [to_height, to_width]: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height, 1, width, 1])
        .expand([batch, channels, height, 2, width, 2])
        .reshape([batch, channels, 2 * height, 2 * width])
        .narrow(2, 0, to_height.min(2 * height))
        .narrow(3, 0, to_width.min(2 * width))
}

impl Resnet {
    fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let y = self.conv1.forward(ops::silu(self.norm1.forward(x.clone())));
        let time = self.time_emb_proj.forward(time.clone());
        let y = y + time.unsqueeze_dims::<4>(&[2, 3]);
        let y = self.conv2.forward(ops::silu(self.norm2.forward(y)));
        match &self.conv_shortcut {
            Some(conv) => conv.forward(x) + y,
            None => x + y,
        }
    }
}
