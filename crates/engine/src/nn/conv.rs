use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::linear::lazily;
use crate::ops;
use base::rng::Rng;

/// A convolution over height and width, with a bias; the kernel is square and odd, its padding keeps the size at stride 1.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[out, in / groups, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    stride: usize,
    padding: usize,
}

impl Conv2d {
    /// `input → output` channels, stride 1; weights uniform in `±1/√(input · kernel²)`.
    pub fn new(input: usize, output: usize, kernel: usize, rng: &mut Rng, device: &Device) -> Self {
        let fan = (input * kernel * kernel) as f32;
        let bound = fan.sqrt().recip();
        let values: Vec<f32> = (0..output * input * kernel * kernel)
            .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
            .collect();
        let weight = TensorData::new(values, [output, input, kernel, kernel]);
        Self {
            weight: Param::from_data(weight, device),
            bias: Param::from_data(TensorData::zeros::<f32, _>([output]), device),
            stride: 1,
            padding: kernel / 2,
        }
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
            bias: Param::from_data(TensorData::zeros::<f32, _>([output]), device),
            stride: 1,
            padding: kernel / 2,
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
        let options = ConvOptions::new([self.stride; 2], [self.padding; 2], [1; 2], 1);
        ops::conv2d(x, self.weight.val(), Some(self.bias.val()), options)
    }
}
