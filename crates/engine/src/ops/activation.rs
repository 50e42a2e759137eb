use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, activation};
use burn_flex::FlexTensor;
use kernels::{Activation, Level, ShapeError};

use super::custom_op::{self, Kernel, dense, tensor, values};

/// GELU in its tanh form: `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`, element by element.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    custom_op::run(Activation::GeluTanh, [x.clone().into_dispatch()])
        .unwrap_or_else(|| activation::gelu_approximate(x))
}

/// GELU in its exact form: `x/2 · (1 + erf(x/√2))`, element by element.
pub fn gelu_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    custom_op::run(Activation::Gelu, [x.clone().into_dispatch()])
        .unwrap_or_else(|| activation::gelu(x))
}

/// The activation of this name, element by element.
pub fn activate<const D: usize>(activation: Activation, x: Tensor<D>) -> Tensor<D> {
    match activation {
        Activation::Silu => silu(x),
        Activation::GeluTanh => gelu(x),
        Activation::Gelu => gelu_erf(x),
    }
}

/// SiLU: `x · σ(x)`, element by element.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    custom_op::run(Activation::Silu, [x.clone().into_dispatch()])
        .unwrap_or_else(|| activation::silu(x))
}

/// Softmax over the last dimension. A row of only `-inf` gives NaN, as in the field.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    custom_op::run(Softmax, [x.clone().into_dispatch()])
        .unwrap_or_else(|| activation::softmax(x, D - 1))
}

impl Kernel<1> for Activation {
    type Saved = FlexTensor;

    fn forward(&self, [x]: &[FlexTensor; 1]) -> Result<(FlexTensor, FlexTensor), ShapeError> {
        let x = dense(x);
        let kernel = match self {
            Self::GeluTanh => kernels::gelu,
            Self::Gelu => kernels::gelu_erf,
            Self::Silu => kernels::silu,
        };
        let y = tensor(kernel(Level::best(), values(&x)), x.shape());
        Ok((y, x))
    }

    fn backward(
        &self,
        x: FlexTensor,
        grad: FlexTensor,
        _: [bool; 1],
    ) -> Result<[Option<FlexTensor>; 1], ShapeError> {
        let kernel = match self {
            Self::GeluTanh => kernels::gelu_backward,
            Self::Gelu => kernels::gelu_erf_backward,
            Self::Silu => kernels::silu_backward,
        };
        let dx = kernel(Level::best(), values(&x), values(&dense(&grad)))?;
        Ok([Some(tensor(dx, x.shape()))])
    }
}

#[derive(Clone, Debug)]
struct Softmax;

impl Kernel<1> for Softmax {
    type Saved = FlexTensor;

    fn forward(&self, [x]: &[FlexTensor; 1]) -> Result<(FlexTensor, FlexTensor), ShapeError> {
        let x = dense(x);
        let width = x.shape().last().copied().unwrap_or(1);
        let y = kernels::softmax(Level::best(), values(&x), width)?;
        let y = tensor(y, x.shape());
        Ok((y.clone(), y))
    }

    fn backward(
        &self,
        y: FlexTensor,
        grad: FlexTensor,
        _: [bool; 1],
    ) -> Result<[Option<FlexTensor>; 1], ShapeError> {
        let width = y.shape().last().copied().unwrap_or(1);
        let grad = dense(&grad);
        let dx = kernels::softmax_backward(Level::best(), values(&y), values(&grad), width)?;
        Ok([Some(tensor(dx, y.shape()))])
    }
}
