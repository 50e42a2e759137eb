//! Linear layers and convolutions with bf16 weights.

use burn::backend::TensorMetadata;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use half::bf16;
use kernels::{PackedConvWeight, PackedWeight, Precision, ShapeError};
use rayon::prelude::*;

use super::conv::{conv_dims, conv2d};
use super::custom_op::{self, dense, tensor, values};
use super::linear::{linear, precision};

/// A weight `[out, in..]` in bf16, which takes half the memory of f32.
pub struct Bf16Matrix {
    values: Layout,
    /// Results, and the values that each takes.
    shape: [usize; 2],
}

enum Layout {
    /// In the order of products of bf16 values.
    Packed(PackedWeight),
    /// In the order of convolutions of bf16 values.
    Conv(PackedConvWeight),
    /// In the order of the weight.
    Plain(Vec<bf16>),
}

impl std::fmt::Debug for Bf16Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [output, input] = self.shape;
        write!(f, "Bf16Matrix({output}×{input})")
    }
}

impl Bf16Matrix {
    /// Of values `[out, in]`; packed for [`bf16_linear`] where the machine multiplies bf16 values.
    ///
    /// # Errors
    /// When there are not as many values as the shape asks for.
    pub fn new(values: &[f32], [output, input]: [usize; 2]) -> Result<Self, ShapeError> {
        let packed = PackedWeight::rounded(values, output, input)?;
        Ok(Self {
            values: packed.map_or_else(|| plain(values), Layout::Packed),
            shape: [output, input],
        })
    }

    /// Of a convolution's values `[out, in, kernel..]`, whose kernel has so many `taps`; packed for [`bf16_conv2d`] where the
    /// machine multiplies bf16 values.
    ///
    /// # Errors
    /// When there are not as many values as the shape asks for.
    pub fn conv(values: &[f32], [output, input, taps]: [usize; 3]) -> Result<Self, ShapeError> {
        let packed = PackedConvWeight::rounded(values, [output, input, taps])?;
        Ok(Self {
            values: packed.map_or_else(|| plain(values), Layout::Conv),
            shape: [output, input * taps],
        })
    }

    /// The values in f32, `[out, in]`.
    pub fn values(&self) -> Vec<f32> {
        match &self.values {
            Layout::Packed(packed) => packed.values(),
            Layout::Conv(packed) => packed.values(),
            Layout::Plain(values) => values.par_iter().map(|value| value.to_f32()).collect(),
        }
    }

    /// The values as a tensor of `shape`.
    pub(crate) fn tensor<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.values(), shape), device)
    }
}

fn plain(values: &[f32]) -> Layout {
    Layout::Plain(values.par_iter().map(|v| bf16::from_f32(*v)).collect())
}

/// [`linear`] by a weight in bf16. Products of f32 values widen the weight for the time of the call, and are those of
/// [`Bf16Matrix::values`] to the last bit; products of bf16 values read it as it is. `x` gets a gradient, the weight none.
pub fn bf16_linear<const D: usize>(
    x: Tensor<D>,
    weight: &Bf16Matrix,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let packed = match (precision(), &weight.values) {
        (Precision::Bf16, Layout::Packed(packed)) => run(&x, packed, &bias),
        _ => None,
    };
    packed.unwrap_or_else(|| {
        let weight = weight.tensor(weight.shape, &x.device());
        linear(x, weight, bias)
    })
}

/// By the packed weight; none where a gradient is asked for, or on other devices.
pub(super) fn run<const D: usize>(
    x: &Tensor<D>,
    weight: &PackedWeight,
    bias: &Option<Tensor<1>>,
) -> Option<Tensor<D>> {
    let x = dense(&custom_op::take(x.clone()).ok()?);
    let bias = match bias {
        Some(bias) => Some(dense(&custom_op::take(bias.clone()).ok()?)),
        None => None,
    };
    let mut shape = x.shape();
    let [input, output] = weight.dims();
    if shape[D - 1] != input {
        return None;
    }
    let rows = shape[..D - 1].iter().product();
    let y = weight
        .linear(values(&x), bias.as_ref().map(values), rows)
        .ok()?;
    shape[D - 1] = output;
    Some(custom_op::give(tensor(y, shape)))
}

/// [`conv2d`] by a weight in bf16, whose kernel is a square. Products of f32 values, and those of groups, widen the weight for the
/// time of the call; products of bf16 values read it as it is. `x` gets a gradient, the weight none.
pub fn bf16_conv2d(
    x: Tensor<4>,
    weight: &Bf16Matrix,
    shape: [usize; 4],
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    let packed = match (precision(), &weight.values) {
        (Precision::Bf16, Layout::Conv(packed)) => run_conv(&x, packed, shape, &bias, &options),
        _ => None,
    };
    packed.unwrap_or_else(|| {
        let weight = weight.tensor(shape, &x.device());
        conv2d(x, weight, bias, options)
    })
}

/// By the packed weight; none as of [`run`].
fn run_conv(
    x: &Tensor<4>,
    weight: &PackedConvWeight,
    shape: [usize; 4],
    bias: &Option<Tensor<1>>,
    options: &ConvOptions<2>,
) -> Option<Tensor<4>> {
    let dims = conv_dims(x.dims(), shape, options)?;
    let x = dense(&custom_op::take(x.clone()).ok()?);
    let bias = match bias {
        Some(bias) => Some(dense(&custom_op::take(bias.clone()).ok()?)),
        None => None,
    };
    let y = weight
        .conv(values(&x), bias.as_ref().map(values), &dims)
        .ok()?;
    let output = dims.output();
    let output = [x.shape()[0], shape[0], output[0], output[1]];
    Some(custom_op::give(tensor(y, output)))
}
