use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::linear::lazily;
use super::weight_storage;
use crate::ops;
use base::rng::Rng;

/// A convolution over height and width with a square kernel; defaults: stride 1, padding that keeps the size of odd
/// kernels, one group, a bias.
#[derive(Clone, Debug)]
pub struct Conv2dConfig {
    /// Channels of the input.
    pub input: usize,
    /// Channels of the output.
    pub output: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Pixels from one place of the kernel to the next.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
    /// Pixels between two taps of the kernel.
    pub dilation: usize,
    /// Groups of channels that do not mix; divides both counts of channels.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv2dConfig {
    /// `input → output` channels with the defaults.
    pub fn new(input: usize, output: usize, kernel: usize) -> Self {
        Self {
            input,
            output,
            kernel,
            stride: 1,
            padding: kernel / 2,
            dilation: 1,
            groups: 1,
            bias: true,
        }
    }

    /// One filter a channel.
    pub fn depthwise(channels: usize, kernel: usize) -> Self {
        Self {
            groups: channels,
            ..Self::new(channels, channels, kernel)
        }
    }

    /// The same with another stride.
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    /// The same with another padding.
    pub fn with_padding(mut self, padding: usize) -> Self {
        self.padding = padding;
        self
    }

    /// The same with taps so far apart, and a padding that keeps the size of odd kernels.
    pub fn with_dilation(mut self, dilation: usize) -> Self {
        self.dilation = dilation;
        self.padding = dilation * (self.kernel / 2);
        self
    }

    /// The same without a bias.
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Draws the layer: weights uniform in `±1/√(input / groups · kernel²)`, the bias zero.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Conv2d {
        let fan = self.input / self.groups * self.kernel * self.kernel;
        let bound = (fan as f32).sqrt().recip();
        let values: Vec<f32> = (0..self.output * fan)
            .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
            .collect();
        let shape = [
            self.output,
            self.input / self.groups,
            self.kernel,
            self.kernel,
        ];
        let bias = TensorData::zeros::<f32, _>([self.output]);
        Conv2d {
            weight: Param::from_data(TensorData::new(values, shape), device),
            bias: self.bias.then(|| Param::from_data(bias, device)),
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

/// See [`Conv2dConfig`]. The weight is dense, or of reduced precision ([`crate::weights::load_with`]).
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[out, in / groups, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    stride: usize,
    padding: usize,
    dilation: usize,
    groups: usize,
}

impl Conv2d {
    /// `input → output` channels, stride 1, with a bias; weights uniform in `±1/√(input · kernel²)`.
    pub fn new(input: usize, output: usize, kernel: usize, rng: &mut Rng, device: &Device) -> Self {
        Conv2dConfig::new(input, output, kernel).init(rng, device)
    }

    /// As [`Conv2d::new`], with a weight that is drawn when it is first read: never where a checkpoint fills it.
    pub fn lazy(
        input: usize,
        output: usize,
        kernel: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        Self {
            weight: lazily([output, input, kernel, kernel], rng, device),
            bias: Some(Param::from_data(
                TensorData::zeros::<f32, _>([output]),
                device,
            )),
            stride: 1,
            padding: kernel / 2,
            dilation: 1,
            groups: 1,
        }
    }

    /// The same with another stride and padding.
    pub fn with_stride(mut self, stride: usize, padding: usize) -> Self {
        self.stride = stride;
        self.padding = padding;
        self
    }

    /// `[batch, in, height, width]` → `[batch, out, height', width']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(Param::val);
        weight_storage::conv2d(&x, &self.weight, bias.clone(), self.options())
            .unwrap_or_else(|| self.forward_with(x, self.weight.val(), bias))
    }

    /// [`Conv2d::forward`] with another weight and bias of the same shapes, such as those with a batch norm folded in.
    pub fn forward_with(
        &self,
        x: Tensor<4>,
        weight: Tensor<4>,
        bias: Option<Tensor<1>>,
    ) -> Tensor<4> {
        ops::conv2d(x, weight, bias, self.options())
    }

    /// [`Conv2d::forward_with`], then an activation.
    pub fn forward_then(
        &self,
        x: Tensor<4>,
        weight: Tensor<4>,
        bias: Option<Tensor<1>>,
        then: ops::Activation,
    ) -> Tensor<4> {
        ops::conv2d_then(x, weight, bias, self.options(), then)
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new(
            [self.stride; 2],
            [self.padding; 2],
            [self.dilation; 2],
            self.groups,
        )
    }
}
