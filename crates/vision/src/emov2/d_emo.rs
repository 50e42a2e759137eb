//! D-EMO: a diffusion transformer whose blocks are i2RMB (paper section 4.4). No code was released; the shape of the block is
//! the one whose parameters equal the totals that the training logs print, for all four sizes.

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::nn::{
    AdaLayerNorm, Conv2dConfig, EmbeddingMlp, Init, LayerNorm, Linear, LinearConfig, sinusoid,
};
use engine::ops;
use serde::{Deserialize, Serialize};

use super::attention;
use super::config::operator;
use super::layers::{Activation, ConvUnit, EPS, NormKind, to_map, to_tokens};

/// Ratio of values to width.
const EXPANSION: usize = 4;
/// Side of the depth-wise kernel.
const KERNEL: usize = 5;
/// Side of attention windows.
const WINDOW: i64 = 8;
/// Side of a patch of the latents.
const PATCH: usize = 2;
/// Channels of the latents.
const CHANNELS: usize = 4;
/// Width of the sinusoid of a timestep.
const FREQUENCIES: usize = 256;

/// A size; widths, depths and heads as DiT's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DEmoConfig {
    /// Width of the tokens.
    pub hidden: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads.
    pub heads: usize,
    /// Side of the latents.
    pub side: usize,
    /// Classes; the table has one row more for none.
    pub classes: usize,
}

impl DEmoConfig {
    /// The published sizes `s`, `b`, `l` and `xl`.
    pub fn preset(name: &str) -> Option<Self> {
        let (hidden, depth, heads) = match name {
            "s" => (384, 12, 6),
            "b" => (768, 12, 12),
            "l" => (1024, 24, 16),
            "xl" => (1152, 28, 16),
            _ => return None,
        };
        Some(Self {
            hidden,
            depth,
            heads,
            side: 32,
            classes: 1000,
        })
    }

    /// Parameters of a block, `13d² + 119d`.
    pub fn block_params(&self) -> usize {
        let (d, wide) = (self.hidden, EXPANSION * self.hidden);
        let modulation = 3 * (d * d + d);
        let projections = (2 * d + wide) * (d + 1);
        2 * d + modulation + projections + wide * KERNEL * KERNEL + 2 * wide + wide * d
    }

    /// All parameters, with the table of positions, which is fixed.
    pub fn params(&self) -> usize {
        let d = self.hidden;
        let places = (self.side / PATCH).pow(2);
        let patch = CHANNELS * PATCH * PATCH;
        let embed = patch * d + d + FREQUENCIES * d + d + d * d + d;
        let tables = (self.classes + 1) * d + places * d;
        let last = 2 * d + 2 * (d * d + d) + (d + 1) * 2 * patch;
        embed + tables + self.depth * self.block_params() + last
    }

    /// Draws a network: gates and the last layer are zero, so that it starts silent.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> DEmo {
        let d = self.hidden;
        let small = Init::Normal(0.02);
        let values = CHANNELS * PATCH * PATCH;
        let mut linear = |input: usize, output: usize, init: Init| {
            LinearConfig::new(input, output)
                .with_init(init)
                .init(rng, device)
        };
        let patch = linear(values, d, Init::Xavier);
        let time = EmbeddingMlp {
            linear_1: linear(FREQUENCIES, d, small),
            linear_2: linear(d, d, small),
        };
        let last = linear(d, 2 * values, Init::Zeros);
        let places = self.side / PATCH;
        let table = positions(places, d);
        DEmo {
            patch,
            time,
            labels: small.weight(self.classes + 1, d, rng, device),
            positions: Param::from_data(TensorData::new(table, [places * places, d]), device)
                .set_require_grad(false),
            blocks: (0..self.depth)
                .map(|_| DEmoBlock::new(self, rng, device))
                .collect(),
            norm: LayerNorm::new(d, EPS, device),
            modulation: AdaLayerNorm::new(d, 2, rng, device),
            last,
        }
    }
}

/// Fixed sinusoids of column, then row, `[places², width]`.
fn positions(places: usize, width: usize) -> Vec<f32> {
    let quarter = width / 4;
    let mut out = Vec::with_capacity(places * places * width);
    for at in 0..places * places {
        for axis in [at % places, at / places] {
            let angle =
                |i: usize| axis as f64 / libm::pow(10_000.0, i as f64 / quarter.max(1) as f64);
            out.extend((0..quarter).map(|i| libm::sin(angle(i)) as f32));
            out.extend((0..quarter).map(|i| libm::cos(angle(i)) as f32));
        }
        out.resize((at + 1) * width, 0.0);
    }
    out
}

/// One residual: modulated norm, spanning attention with expanded values, depth-wise convolution, projection, gate.
#[derive(Module, Debug)]
pub struct DEmoBlock {
    norm: LayerNorm,
    modulation: AdaLayerNorm,
    qk: Linear,
    v: Linear,
    conv_local: ConvUnit,
    proj: Linear,
    heads: usize,
}

/// See [`DEmoConfig`].
#[derive(Module, Debug)]
pub struct DEmo {
    patch: Linear,
    time: EmbeddingMlp,
    labels: Param<Tensor<2>>,
    positions: Param<Tensor<2>>,
    blocks: Vec<DEmoBlock>,
    norm: LayerNorm,
    modulation: AdaLayerNorm,
    last: Linear,
}

impl DEmoBlock {
    fn new(config: &DEmoConfig, rng: &mut Rng, device: &Device) -> Self {
        let (d, wide) = (config.hidden, EXPANSION * config.hidden);
        let local = Conv2dConfig::depthwise(wide, KERNEL).without_bias();
        let mut proj = LinearConfig::new(wide, d);
        proj.bias = false;
        Self {
            norm: LayerNorm::new(d, EPS, device),
            modulation: AdaLayerNorm::new(d, 3, rng, device),
            qk: LinearConfig::new(d, 2 * d).init(rng, device),
            v: LinearConfig::new(d, wide).init(rng, device),
            conv_local: ConvUnit::normed(local, NormKind::Batch, Activation::Silu, rng, device),
            proj: proj.init(rng, device),
            heads: config.heads,
        }
    }

    /// `x` `[batch, height, width, d]`, `condition` `[batch, d]`.
    fn forward(&self, x: Tensor<4>, condition: Tensor<2>) -> Tensor<4> {
        let [batch, height, width, d] = x.dims();
        let parts = self.modulation.forward(condition);
        let part = |at: usize| {
            let part = parts.clone().narrow(1, at * d, d);
            part.reshape([batch, 1, 1, d])
        };
        let h = self.norm.forward(x.clone()) * (part(1) + 1.0) + part(0);
        let side = [1, WINDOW, WINDOW];
        let h = attention::pad(h.unsqueeze_dim(1), side);
        let v = ops::gelu_erf(self.v.forward(h.clone()));
        let h = attention::attend(self.qk.forward(h), v, self.heads, side, operator::SPANNING);
        let wide = h.dims()[4];
        let h = h
            .narrow(2, 0, height)
            .narrow(3, 0, width)
            .reshape([batch, height, width, wide]);
        let map = to_map(h.clone());
        let h = h + to_tokens(self.conv_local.forward(map));
        x + self.proj.forward(h) * part(2)
    }
}

impl DEmo {
    /// Predicted noise and its variance, `[batch, 8, side, side]`, of noisy latents `[batch, 4, side, side]` at timesteps `t` for
    /// classes `labels`; a class beyond the last is none.
    pub fn forward(&self, x: Tensor<4>, t: &[f32], labels: &[usize]) -> Tensor<4> {
        let device = x.device();
        let [batch, channels, side, _] = x.dims();
        let places = side / PATCH;
        let cells = x
            .reshape([batch, channels, places, PATCH, places, PATCH])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, places * places, channels * PATCH * PATCH]);
        let x = self.patch.forward(cells) + self.positions.val().unsqueeze_dim(0);
        let d = x.dims()[2];
        let table = self.labels.val();
        let none = table.dims()[0] - 1;
        let rows: Vec<i64> = labels
            .iter()
            .map(|label| (*label).min(none) as i64)
            .collect();
        let rows = Tensor::<1, Int>::from_data(rows.as_slice(), &device);
        let label: Tensor<2> = ops::embedding(table, rows);
        let time = self
            .time
            .linear_1
            .forward(sinusoid(t, FREQUENCIES, &device));
        let condition = self.time.linear_2.forward(ops::silu(time)) + label;
        let x = self
            .blocks
            .iter()
            .fold(x.reshape([batch, places, places, d]), |x, block| {
                block.forward(x, condition.clone())
            });
        let parts = self.modulation.forward(condition);
        let part = |at: usize| {
            let part = parts.clone().narrow(1, at * d, d);
            part.reshape([batch, 1, 1, d])
        };
        let x = self.norm.forward(x) * (part(1) + 1.0) + part(0);
        self.last
            .forward(x)
            .reshape([batch, places, places, PATCH, PATCH, 2 * channels])
            .permute([0, 5, 1, 3, 2, 4])
            .reshape([batch, 2 * channels, side, side])
    }
}
