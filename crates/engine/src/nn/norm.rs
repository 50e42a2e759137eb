use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::ops;

/// The learned weight of an RMS norm, ones at the start.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[width]`.
    pub weight: Param<Tensor<1>>,
}

impl RmsNorm {
    /// A norm over `width` values.
    pub fn new(width: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_data(TensorData::ones::<f32, _>([width]), device),
        }
    }
}

impl RmsNorm {
    /// `weight · x / √(mean(x²) + eps)` over the last axis of `[.., width]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, eps: f32) -> Tensor<D> {
        ops::rms_norm(x, self.weight.val(), eps)
    }
}

/// The learned weight and bias of a group norm, ones and zeros at the start.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<1>>,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// A norm over `groups`, which divide `channels`.
    pub fn new(channels: usize, groups: usize, eps: f64, device: &Device) -> Self {
        Self {
            weight: Param::from_data(TensorData::ones::<f32, _>([channels]), device),
            bias: Param::from_data(TensorData::zeros::<f32, _>([channels]), device),
            groups,
            eps,
        }
    }

    /// `[batch, channels, axes..]`, each group to mean 0 and variance 1, then weight and bias.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let [weight, bias] = [&self.weight, &self.bias].map(Param::val);
        ops::group_norm(x, self.groups, weight, bias, self.eps as f32)
    }
}

/// The learned weight and bias of a layer norm, ones and zeros at the start.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[width]`.
    pub weight: Param<Tensor<1>>,
    /// `[width]`.
    pub bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// A norm over `width` values.
    pub fn new(width: usize, eps: f64, device: &Device) -> Self {
        Self {
            weight: Param::from_data(TensorData::ones::<f32, _>([width]), device),
            bias: Param::from_data(TensorData::zeros::<f32, _>([width]), device),
            eps,
        }
    }

    /// `weight · (x − mean) / √(var + eps) + bias` over the last axis of `[.., width]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::layer_norm(x, self.eps as f32) * self.weight.val().unsqueeze()
            + self.bias.val().unsqueeze()
    }
}
