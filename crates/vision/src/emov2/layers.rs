//! Convolutions with their norm and activation, as backbones and heads share them.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, activation, module};
use engine::nn::{BatchNorm, Conv2d, Conv2dConfig, LayerNorm};
use engine::ops;
use serde::{Deserialize, Serialize};

/// Epsilon of the backbone's norms.
pub const EPS: f64 = 1e-6;
/// Epsilon of the batch norms of segmentation heads.
pub const HEAD_EPS: f64 = 1e-5;
/// Weight of the newest batch in running statistics.
pub const MOMENTUM: f64 = 0.1;

/// What follows a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `x · σ(x)`.
    Silu,
    /// `x · Φ(x)`, exact.
    Gelu,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Activation {
    /// Element by element.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::None => x,
            Self::Silu => ops::silu(x),
            Self::Gelu => ops::gelu_erf(x),
            Self::Relu => activation::relu(x),
            Self::Relu6 => x.clamp(0.0, 6.0),
        }
    }
}

impl Activation {
    /// What a convolution can do by itself.
    fn fused(self) -> Option<ops::Activation> {
        match self {
            Self::Silu => Some(ops::Activation::Silu),
            Self::Gelu => Some(ops::Activation::Gelu),
            _ => None,
        }
    }
}

/// How channels are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormKind {
    /// Batch norm.
    #[serde(rename = "bn_2d", alias = "bn_3d")]
    Batch,
    /// Layer norm over the channels of each place.
    #[serde(rename = "ln_2d", alias = "ln_3d")]
    Layer,
}

/// A batch norm or a layer norm over channels.
#[derive(Module, Debug)]
pub struct Norm {
    pub(super) bn: Option<BatchNorm>,
    pub(super) ln: Option<LayerNorm>,
}

impl Norm {
    /// A norm of so many channels.
    pub fn new(kind: NormKind, channels: usize, device: &Device) -> Self {
        let batch = kind == NormKind::Batch;
        Self {
            bn: batch.then(|| BatchNorm::new(channels, EPS, MOMENTUM, device)),
            ln: (!batch).then(|| LayerNorm::new(channels, EPS, device)),
        }
    }

    /// `[batch, channels, height, width]` → the same.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match (&self.bn, &self.ln) {
            (Some(bn), _) => bn.forward(x),
            (_, Some(ln)) => to_map(ln.forward(to_tokens(x))),
            _ => x,
        }
    }
}

/// `[batch, channels, height, width]` → `[batch, height, width, channels]`.
pub fn to_tokens(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[batch, height, width, channels]` → `[batch, channels, height, width]`.
pub fn to_map(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// A convolution, then a norm, then an activation; the last two where there are any.
#[derive(Module, Debug)]
pub struct ConvUnit {
    pub(super) conv: Conv2d,
    pub(super) bn: Option<BatchNorm>,
    pub(super) ln: Option<LayerNorm>,
    #[module(skip)]
    act: Activation,
}

impl ConvUnit {
    /// The convolution alone.
    pub fn plain(config: Conv2dConfig, act: Activation, rng: &mut Rng, device: &Device) -> Self {
        Self {
            conv: config.init(rng, device),
            bn: None,
            ln: None,
            act,
        }
    }

    /// With one of the backbone's norms.
    pub fn normed(
        config: Conv2dConfig,
        kind: NormKind,
        act: Activation,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let norm = Norm::new(kind, config.output, device);
        Self {
            bn: norm.bn,
            ln: norm.ln,
            ..Self::plain(config, act, rng, device)
        }
    }

    /// Without bias, with a batch norm of this epsilon and momentum: a `ConvModule` of the heads.
    pub fn batch(
        config: Conv2dConfig,
        [eps, momentum]: [f64; 2],
        act: Activation,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let config = config.without_bias();
        Self {
            bn: Some(BatchNorm::new(config.output, eps, momentum, device)),
            ..Self::plain(config, act, rng, device)
        }
    }

    /// `[batch, in, height, width]` → `[batch, out, height', width']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let folded = self.bn.as_ref().and_then(|bn| bn.folded(&x));
        let y = match folded {
            Some([scale, shift]) => {
                let channels = scale.dims()[0];
                let weight = self.conv.weight.val() * scale.clone().reshape([channels, 1, 1, 1]);
                let bias = match &self.conv.bias {
                    Some(bias) => bias.val() * scale + shift,
                    None => shift,
                };
                if self.ln.is_none() {
                    return self.activated(x, weight, Some(bias));
                }
                self.conv.forward_with(x, weight, Some(bias))
            }
            None => {
                let y = self.conv.forward(x);
                match &self.bn {
                    Some(bn) => bn.forward(y),
                    None => y,
                }
            }
        };
        let y = match &self.ln {
            Some(ln) => to_map(ln.forward(to_tokens(y))),
            None => y,
        };
        self.act.apply(y)
    }

    /// A 1×1 convolution after a batch norm that has become `scale` and `shift`, both taken into its weights.
    pub(super) fn forward_after(&self, x: Tensor<4>, [scale, shift]: [Tensor<1>; 2]) -> Tensor<4> {
        let weight = self.conv.weight.val();
        let [output, input, ..] = weight.dims();
        let flat: Tensor<2> = weight.clone().reshape([output, input]);
        let added = ops::linear(shift.unsqueeze::<2>(), flat, None).reshape([output]);
        let bias = match &self.conv.bias {
            Some(bias) => added + bias.val(),
            None => added,
        };
        let weight = weight * scale.reshape([1, input, 1, 1]);
        self.activated(x, weight, Some(bias))
    }

    /// The convolution with this weight and bias, and the activation.
    fn activated(&self, x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
        match self.act.fused() {
            Some(then) => self.conv.forward_then(x, weight, bias, then),
            None => self.act.apply(self.conv.forward_with(x, weight, bias)),
        }
    }

    /// A 1×1 convolution without norm on tokens `[.., in]` → `[.., out]`.
    pub(super) fn forward_tokens<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.conv.weight.val();
        let [output, input, ..] = weight.dims();
        let bias = self.conv.bias.as_ref().map(|bias| bias.val());
        self.act
            .apply(ops::linear(x, weight.reshape([output, input]), bias))
    }
}

/// Bilinear resizing that keeps the outer edges of pixels where they are (`align_corners=False`).
pub fn resize(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    interpolate(x, size, InterpolateMode::Bilinear)
}

/// Each pixel as the one that it falls on.
pub fn resize_nearest(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    interpolate(x, size, InterpolateMode::Nearest)
}

fn interpolate(x: Tensor<4>, size: [usize; 2], mode: InterpolateMode) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    if [height, width] == size {
        return x;
    }
    let mut options = InterpolateOptions::new(mode).with_output_size(size);
    options.align_corners = false;
    module::interpolate(x, options)
}
