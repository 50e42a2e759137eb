//! V-EMO: the same network over clips (paper section 4.5). No code was released: kernels are cubes, windows have a depth in
//! time, and time is never strided.

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use engine::nn::{BatchNorm, Init, LayerNorm, Linear, LinearConfig};
use engine::ops;

use super::attention;
use super::config::{BlockConfig, EmoConfig, operator};
use super::layers::{Activation, EPS, MOMENTUM, NormKind};

/// Windows along time, height and width.
pub const WINDOW: [i64; 3] = [2, 5, 5];

/// A convolution over time, height and width; stride 1 in time.
#[derive(Module, Debug)]
pub struct Conv3d {
    weight: Param<Tensor<5>>,
    bias: Option<Param<Tensor<1>>>,
    stride: usize,
    padding: [usize; 2],
    groups: usize,
}

impl Conv3d {
    fn new(
        [input, output, groups]: [usize; 3],
        kernel: usize,
        [stride, padding]: [usize; 2],
        bias: bool,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let fan = input / groups * kernel * kernel * kernel;
        let bound = (fan as f32).sqrt().recip();
        let values: Vec<f32> = (0..output * fan)
            .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
            .collect();
        let shape = [output, input / groups, kernel, kernel, kernel];
        let zeros = TensorData::zeros::<f32, _>([output]);
        Self {
            weight: Param::from_data(TensorData::new(values, shape), device),
            bias: bias.then(|| Param::from_data(zeros, device)),
            stride,
            padding: [kernel / 2, padding],
            groups,
        }
    }

    /// `[batch, in, time, height, width]` → `[batch, out, time, height', width']`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [time, space] = self.padding;
        let (stride, padding) = ([1, self.stride, self.stride], [time, space, space]);
        let options = ConvOptions::new(stride, padding, [1; 3], self.groups);
        let bias = self.bias.as_ref().map(Param::val);
        ops::conv3d(x, self.weight.val(), bias, options)
    }
}

/// A convolution, then a batch norm and an activation where there are any.
#[derive(Module, Debug)]
pub struct Unit3d {
    conv: Conv3d,
    bn: Option<BatchNorm>,
    #[module(skip)]
    act: Activation,
}

impl Unit3d {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let x = self.conv.forward(x);
        self.act.apply(match &self.bn {
            Some(bn) => bn.forward(x),
            None => x,
        })
    }
}

/// i2RMB over clips.
#[derive(Module, Debug)]
pub struct Block3d {
    bn: Option<BatchNorm>,
    ln: Option<LayerNorm>,
    net: Option<Linear>,
    qk: Option<Linear>,
    v: Option<Linear>,
    conv_local: Unit3d,
    proj: Linear,
    gamma: Param<Tensor<1>>,
    heads: usize,
    residual: bool,
    #[module(skip)]
    act: Activation,
}

/// See the module.
#[derive(Module, Debug)]
pub struct VEmo {
    stem: Vec<Unit3d>,
    blocks: Vec<Block3d>,
    norm: LayerNorm,
    head: Linear,
}

/// `[batch, channels, time, height, width]` → `[batch, time, height, width, channels]`.
fn tokens(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 2, 3, 4, 1])
}

/// The inverse of [`tokens`].
fn map(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 4, 1, 2, 3])
}

impl Block3d {
    fn new(config: &BlockConfig, rng: &mut Rng, device: &Device) -> Self {
        let (input, mid, out) = (config.dim_in, config.dim_mid(), config.dim_out);
        let attends = config.hybrid_eops.iter().any(|op| *op != operator::CONV);
        let batch = config.norm_layer == NormKind::Batch;
        let mut proj = LinearConfig::new(mid, out);
        proj.bias = false;
        let place = [config.stride, config.padding()];
        let conv = Conv3d::new([mid, mid, mid], config.dw_ks, place, false, rng, device);
        let mut linear = |output: usize| LinearConfig::new(input, output).init(rng, device);
        Self {
            bn: batch.then(|| BatchNorm::new(input, EPS, MOMENTUM, device)),
            ln: (!batch).then(|| LayerNorm::new(input, EPS, device)),
            net: (!attends).then(|| linear(mid)),
            qk: attends.then(|| linear(2 * input)),
            v: attends.then(|| linear(mid)),
            conv_local: Unit3d {
                conv,
                bn: Some(BatchNorm::new(mid, EPS, MOMENTUM, device)),
                act: config.local_act,
            },
            proj: proj.init(rng, device),
            gamma: Param::from_data(TensorData::new(vec![config.ls_value; out], [out]), device),
            heads: config.heads(),
            residual: config.residual(),
            act: config.act_layer,
        }
    }

    /// `[batch, in, time, height, width]` → `[batch, out, time, height', width']`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let h = match (&self.bn, &self.ln) {
            (Some(bn), _) => tokens(bn.forward(x.clone())),
            (_, Some(ln)) => ln.forward(tokens(x.clone())),
            _ => tokens(x.clone()),
        };
        let h = match (&self.net, &self.qk, &self.v) {
            (Some(net), ..) => self.act.apply(net.forward(h)),
            (_, Some(qk), Some(v)) => {
                let [batch, time, height, width, _] = h.dims();
                let h = attention::pad(h, WINDOW);
                let v = self.act.apply(v.forward(h.clone()));
                let kind = operator::SPANNING;
                let h = attention::attend(qk.forward(h), v, self.heads, WINDOW, kind);
                let channels = h.dims()[4];
                h.slice([0..batch, 0..time, 0..height, 0..width, 0..channels])
            }
            _ => h,
        };
        let h = map(h);
        let local = self.conv_local.forward(h.clone());
        let h = if self.residual { h + local } else { local };
        let h = self.proj.forward(tokens(h)) * self.gamma.val().unsqueeze();
        match self.residual {
            true => x + map(h),
            false => map(h),
        }
    }
}

impl VEmo {
    /// Draws a network over clips with the shape of `config`, whose window is not read.
    pub fn new(config: &EmoConfig, rng: &mut Rng, device: &Device) -> Self {
        let stem = config.stem();
        let mut unit = |shape: [usize; 3], kernel: usize, stride: usize, bias: bool, last: bool| {
            let conv = Conv3d::new(shape, kernel, [stride, kernel / 2], bias, rng, device);
            Unit3d {
                conv,
                bn: (!last).then(|| BatchNorm::new(stem, EPS, MOMENTUM, device)),
                act: if last {
                    Activation::None
                } else {
                    Activation::Silu
                },
            }
        };
        let stem = vec![
            unit([config.dim_in, stem, 1], 3, 2, true, false),
            unit([stem, stem, stem], 3, 1, false, false),
            unit([stem, stem, 1], 1, 1, false, true),
        ];
        let blocks = config.block_configs();
        let blocks = blocks.iter().flatten();
        let width = config.embed_dims[3];
        Self {
            stem,
            blocks: blocks
                .map(|block| Block3d::new(block, rng, device))
                .collect(),
            norm: LayerNorm::new(width, EPS, device),
            head: LinearConfig::new(width, config.num_classes)
                .with_init(Init::Normal(0.02))
                .init(rng, device),
        }
    }

    /// Logits `[batch, classes]` of clips `[batch, 3, frames, height, width]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<2> {
        let x = self.stem.iter().fold(x, |x, unit| unit.forward(x));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let x = self.norm.forward(tokens(x));
        let [batch, time, height, width, channels] = x.dims();
        let x = x.reshape([batch, time * height * width, channels]);
        self.head.forward(x.mean_dim(1).squeeze_dim(1))
    }
}
