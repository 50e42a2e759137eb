use burn::module::{Module, Param, RunningState};
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

/// A layer norm over the last axis with weight and bias, ones and zeros at the start.
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
        let normed = ops::layer_norm(x, self.eps as f32);
        normed * self.weight.val().unsqueeze() + self.bias.val().unsqueeze()
    }
}

/// A batch norm with running statistics. On a device with autodiff it takes mean and variance from the batch and moves the
/// running ones; elsewhere, and once frozen, it uses the running ones.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<1>>,
    /// `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// `[channels]`, the unbiased variance.
    pub running_var: RunningState<Tensor<1>>,
    eps: f64,
    momentum: f64,
    frozen: bool,
}

impl BatchNorm {
    /// A norm of so many channels; `momentum` is the weight of the newest batch in the running statistics.
    pub fn new(channels: usize, eps: f64, momentum: f64, device: &Device) -> Self {
        let plain = |values| Tensor::from_data(values, device);
        Self {
            weight: Param::from_data(TensorData::ones::<f32, _>([channels]), device),
            bias: Param::from_data(TensorData::zeros::<f32, _>([channels]), device),
            running_mean: RunningState::new(plain(TensorData::zeros::<f32, _>([channels]))),
            running_var: RunningState::new(plain(TensorData::ones::<f32, _>([channels]))),
            eps,
            momentum,
            frozen: false,
        }
    }

    /// The same, which always uses the running statistics.
    pub fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    /// Whether `x` is normalised by its own statistics.
    fn trains<const D: usize>(&self, x: &Tensor<D>) -> bool {
        x.device().is_autodiff() && !self.frozen
    }

    /// `[batch, channels, axes..]`, each channel to mean 0 and variance 1, then weight and bias.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let channels = x.dims()[1];
        if !self.trains(&x) {
            let [scale, shift] = self.affine();
            let mut shape = [1; D];
            shape[1] = channels;
            return x * scale.reshape(shape) + shift.reshape(shape);
        }
        // Channel by channel: a group norm of one sample.
        let turned = x.swap_dims(0, 1);
        let dims = turned.dims();
        let count = turned.shape().num_elements() / channels.max(1);
        let flat = turned.reshape([1, channels, count]);
        self.follow(flat.clone().detach().reshape([channels, count]));
        let [weight, bias] = [&self.weight, &self.bias].map(Param::val);
        ops::group_norm(flat, channels, weight, bias, self.eps as f32)
            .reshape(dims)
            .swap_dims(0, 1)
    }

    /// Scale and shift that stand for this norm with its running statistics, where a layer before or after it can take them
    /// in; none while it trains. `x` is a tensor of the device that counts.
    pub fn folded<const D: usize>(&self, x: &Tensor<D>) -> Option<[Tensor<1>; 2]> {
        (!self.trains(x)).then(|| self.affine())
    }

    fn affine(&self) -> [Tensor<1>; 2] {
        let device = self.weight.device();
        let [mean, var] =
            [&self.running_mean, &self.running_var].map(|state| state.value().to_device(&device));
        let scale = self.weight.val() / (var + self.eps).sqrt();
        let shift = self.bias.val() - mean * scale.clone();
        [scale, shift]
    }

    /// Moves the running statistics towards those of `[channels, values]`.
    fn follow(&self, x: Tensor<2>) {
        let [channels, count] = x.dims();
        let mean = x.clone().mean_dim(1);
        let var = (x - mean.clone()).square().mean_dim(1);
        let unbiased = count as f64 / count.saturating_sub(1).max(1) as f64;
        let moved = |state: &RunningState<Tensor<1>>, newest: Tensor<2>, factor: f64| {
            let before = state.value_sync().to_device(&newest.device());
            let newest = newest.reshape([channels]) * (factor * self.momentum);
            state.update((before * (1.0 - self.momentum) + newest).detach());
            // Known at once to whoever saves the module.
            let _ = state.value_sync();
        };
        moved(&self.running_mean, mean, 1.0);
        moved(&self.running_var, var, unbiased);
    }
}
