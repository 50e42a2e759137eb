//! The conditional U-Net over time of Diffusion Policy (Chi et al. 2023): it says the noise in a chunk of actions.

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor, TensorData, activation};
use engine::nn::{GroupNorm, Init, Linear, LinearConfig};
use engine::ops;
use engine::weights::KeyMap;

/// Sizes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetConfig {
    /// Numbers of one action.
    pub action: usize,
    /// Numbers that the whole chunk is conditioned on.
    pub condition: usize,
    /// Actions of a chunk; divisible by 2 for each level but the last.
    pub horizon: usize,
    /// Channels of the levels.
    pub channels: Vec<usize>,
    /// Width of the convolutions, odd.
    pub kernel: usize,
    /// Numbers that stand for the step, even.
    pub step: usize,
    /// Whether the condition scales values too, not only shifts them.
    pub scale: bool,
}

/// Groups of every norm.
const GROUPS: usize = 8;
const EPS: f64 = 1e-5;

impl UnetConfig {
    /// Whether it makes a network.
    pub(super) fn fits(&self) -> bool {
        let within = |value: usize, most: usize| (1..=most).contains(&value);
        within(self.action, 256)
            && self.condition <= 1 << 16
            && within(self.horizon, 1024)
            && within(self.channels.len(), 6)
            && self
                .channels
                .iter()
                .all(|&c| within(c, 4096) && c.is_multiple_of(GROUPS))
            && self.horizon.is_multiple_of(1 << (self.channels.len() - 1))
            && within(self.kernel, 31)
            && self.kernel % 2 == 1
            && within(self.step, 4096)
            && self.step.is_multiple_of(2)
            && self.step > 2
    }
}

/// A convolution over time, `[out, in, kernel]`.
#[derive(Module, Debug)]
struct Conv1d {
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
    stride: usize,
}

fn drawn(shape: [usize; 3], rng: &mut Rng, device: &Device) -> Param<Tensor<3>> {
    let bound = 1.0 / ((shape[1] * shape[2]) as f32).sqrt();
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| bound * (2.0 * rng.uniform() - 1.0))
        .collect();
    Param::from_data(TensorData::new(values, shape), device)
}

fn zeros(count: usize, device: &Device) -> Param<Tensor<1>> {
    Param::from_data(TensorData::zeros::<f32, _>([count]), device)
}

impl Conv1d {
    fn new([input, output, kernel, stride]: [usize; 4], rng: &mut Rng, device: &Device) -> Self {
        Self {
            weight: drawn([output, input, kernel], rng, device),
            bias: zeros(output, device),
            stride,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let weight = self.weight.val();
        let padding = weight.dims()[2] / 2;
        let options = ConvOptions::new([self.stride], [padding], [1], 1);
        ops::conv1d(x, weight, Some(self.bias.val()), options)
    }
}

/// Twice as long: a transposed convolution of width 4, `[in, out, 4]`.
#[derive(Module, Debug)]
struct Upsample {
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
}

impl Upsample {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let options = ConvTransposeOptions::new([2], [1], [0], [1], 1);
        ops::conv_transpose1d(x, self.weight.val(), Some(self.bias.val()), options)
    }
}

/// Convolution, norm, Mish.
#[derive(Module, Debug)]
struct ConvBlock {
    conv: Conv1d,
    norm: GroupNorm,
}

impl ConvBlock {
    fn new(sizes: [usize; 4], rng: &mut Rng, device: &Device) -> Self {
        Self {
            conv: Conv1d::new(sizes, rng, device),
            norm: GroupNorm::new(sizes[1], GROUPS, EPS, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        activation::mish(self.norm.forward(self.conv.forward(x)))
    }
}

/// Two blocks with the condition between them, and a way past.
#[derive(Module, Debug)]
struct Residual {
    blocks: Vec<ConvBlock>,
    cond_encoder: Linear,
    residual_conv: Option<Conv1d>,
}

impl Residual {
    fn new(
        config: &UnetConfig,
        (input, output): (usize, usize),
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let kernel = config.kernel;
        let conditioning = if config.scale { 2 * output } else { output };
        Self {
            blocks: vec![
                ConvBlock::new([input, output, kernel, 1], rng, device),
                ConvBlock::new([output, output, kernel, 1], rng, device),
            ],
            cond_encoder: linear(config.step + config.condition, conditioning, rng, device),
            residual_conv: (input != output)
                .then(|| Conv1d::new([input, output, 1, 1], rng, device)),
        }
    }

    fn forward(&self, x: Tensor<3>, condition: &Tensor<2>) -> Tensor<3> {
        let mut y = self.blocks[0].forward(x.clone());
        let channels = y.dims()[1];
        let conditioning = self
            .cond_encoder
            .forward(activation::mish(condition.clone()));
        let [rows, width] = conditioning.dims();
        if width == channels {
            y = y + conditioning.reshape([rows, channels, 1]);
        } else {
            let part = |at: usize| {
                let part = conditioning.clone().narrow(1, at * channels, channels);
                part.reshape([rows, channels, 1])
            };
            y = part(0) * y + part(1);
        }
        let y = self.blocks[1].forward(y);
        match &self.residual_conv {
            Some(conv) => y + conv.forward(x),
            None => y + x,
        }
    }
}

/// Two residuals, then half or twice the length, or the same.
#[derive(Module, Debug)]
struct LevelModules {
    first: Residual,
    second: Residual,
    down: Option<Conv1d>,
    up: Option<Upsample>,
}

/// See the module.
#[derive(Module, Debug)]
pub struct Unet {
    step_first: Linear,
    step_second: Linear,
    down_modules: Vec<LevelModules>,
    mid_modules: Vec<Residual>,
    up_modules: Vec<LevelModules>,
    final_block: ConvBlock,
    final_conv: Conv1d,
    #[module(skip)]
    step: usize,
}

fn linear(input: usize, output: usize, rng: &mut Rng, device: &Device) -> Linear {
    LinearConfig::new(input, output)
        .with_init(Init::Lazy)
        .init(rng, device)
}

impl Unet {
    /// With random weights.
    pub(super) fn new(config: &UnetConfig, rng: &mut Rng, device: &Device) -> Self {
        let levels = config.channels.len();
        let residual = |sizes, rng: &mut Rng| Residual::new(config, sizes, rng, device);
        let mut input = config.action;
        let down_modules = (0..levels)
            .map(|at| {
                let output = config.channels[at];
                let first = residual((input, output), rng);
                input = output;
                LevelModules {
                    first,
                    second: residual((output, output), rng),
                    down: (at + 1 < levels)
                        .then(|| Conv1d::new([output, output, 3, 2], rng, device)),
                    up: None,
                }
            })
            .collect();
        let mid_modules = (0..2).map(|_| residual((input, input), rng)).collect();
        let up_modules = (1..levels)
            .rev()
            .map(|at| {
                let (output, from) = (config.channels[at - 1], config.channels[at]);
                LevelModules {
                    first: residual((2 * from, output), rng),
                    second: residual((output, output), rng),
                    down: None,
                    up: Some(Upsample {
                        weight: drawn([output, output, 4], rng, device),
                        bias: zeros(output, device),
                    }),
                }
            })
            .collect();
        let first = config.channels[0];
        Self {
            step_first: linear(config.step, 4 * config.step, rng, device),
            step_second: linear(4 * config.step, config.step, rng, device),
            down_modules,
            mid_modules,
            up_modules,
            final_block: ConvBlock::new([first, first, config.kernel, 1], rng, device),
            final_conv: Conv1d::new([first, config.action, 1, 1], rng, device),
            step: config.step,
        }
    }

    /// The noise in chunks `[rows, horizon, action]`, each at its step, conditioned on `[rows, condition]`.
    pub(super) fn forward(
        &self,
        chunks: Tensor<3>,
        steps: &[usize],
        condition: Option<Tensor<2>>,
    ) -> Tensor<3> {
        let clock = clock(steps, self.step, &chunks.device());
        let conditioning = self
            .step_second
            .forward(activation::mish(self.step_first.forward(clock)));
        let conditioning = match condition {
            Some(condition) => Tensor::cat(vec![conditioning, condition], 1),
            None => conditioning,
        };
        let mut x = chunks.swap_dims(1, 2);
        let mut kept = Vec::new();
        for level in &self.down_modules {
            x = level
                .second
                .forward(level.first.forward(x, &conditioning), &conditioning);
            kept.push(x.clone());
            if let Some(down) = &level.down {
                x = down.forward(x);
            }
        }
        for residual in &self.mid_modules {
            x = residual.forward(x, &conditioning);
        }
        for level in &self.up_modules {
            if let Some(beside) = kept.pop() {
                x = Tensor::cat(vec![x, beside], 1);
            }
            x = level
                .second
                .forward(level.first.forward(x, &conditioning), &conditioning);
            if let Some(up) = &level.up {
                x = up.forward(x);
            }
        }
        self.final_conv
            .forward(self.final_block.forward(x))
            .swap_dims(1, 2)
    }
}

/// Sines, then cosines, of `step · 10000^(−i / (width/2 − 1))`.
fn clock(steps: &[usize], width: usize, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let mut out = vec![0.0; steps.len() * width];
    for (row, step) in out.chunks_exact_mut(width).zip(steps) {
        for at in 0..half {
            let rate = libm::exp(-libm::log(10_000.0) * at as f64 / (half - 1) as f64);
            let (sin, cos) = libm::sincos(*step as f64 * rate);
            (row[at], row[half + at]) = (sin as f32, cos as f32);
        }
    }
    Tensor::from_data(TensorData::new(out, [steps.len(), width]), device)
}

/// Names in the checkpoints of Diffusion Policy.
pub(super) fn unet_keys() -> KeyMap {
    let mut keys = KeyMap::new()
        .rename("diffusion_step_encoder.1", "step_first")
        .rename("diffusion_step_encoder.3", "step_second")
        .rename("final_conv.0.block.0", "final_block.conv")
        .rename("final_conv.0.block.1", "final_block.norm")
        .rename("final_conv.1", "final_conv");
    for (modules, resample) in [("down_modules", "down"), ("up_modules", "up")] {
        for (number, name) in [("0", "first"), ("1", "second")] {
            keys = within(
                keys,
                &format!("{modules}.{{}}.{number}"),
                &format!("{modules}.{{}}.{name}"),
            );
        }
        keys = keys.rename(
            &format!("{modules}.{{}}.2.conv"),
            &format!("{modules}.{{}}.{resample}"),
        );
    }
    within(keys, "mid_modules.{}", "mid_modules.{}")
}

/// Names inside a residual.
fn within(keys: KeyMap, file: &str, ours: &str) -> KeyMap {
    let block = |end: &str| format!("{file}.blocks.{{}}.block.{end}");
    keys.rename(&block("0"), &format!("{ours}.blocks.{{}}.conv"))
        .rename(&block("1"), &format!("{ours}.blocks.{{}}.norm"))
        .rename(
            &format!("{file}.cond_encoder.1"),
            &format!("{ours}.cond_encoder"),
        )
        .rename(
            &format!("{file}.residual_conv"),
            &format!("{ours}.residual_conv"),
        )
}
