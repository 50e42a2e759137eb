//! Linear layers with bf16 weights.

use burn::backend::TensorMetadata;
use burn::tensor::{Device, Tensor, TensorData};
use half::bf16;
use kernels::{PackedWeight, Precision, ShapeError};
use rayon::prelude::*;

use super::custom_op::{self, dense, tensor, values};
use super::linear::{linear, precision};

/// A weight `[out, in]` in bf16, which takes half the memory of f32.
pub struct Bf16Matrix {
    values: Layout,
    shape: [usize; 2],
}

enum Layout {
    /// In the order of products of bf16 values.
    Packed(PackedWeight),
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

    /// In the order that the values have, for weights that are only read.
    pub fn unpacked(values: &[f32], shape: [usize; 2]) -> Self {
        Self {
            values: plain(values),
            shape,
        }
    }

    /// The values in f32, `[out, in]`.
    pub fn values(&self) -> Vec<f32> {
        match &self.values {
            Layout::Packed(packed) => packed.values(),
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
