use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use kernels::{Level, LinearDims, QuantMatrix, ShapeError};

use super::custom_op::{self, Kernel, dense, tensor, values};
use super::linear::{linear, precision};

/// `x · weightᵀ + bias` with a weight in the block format of a GGUF file.
///
/// `x` is `[.., weight.columns()]`, `bias` `[weight.rows()]`; the result is `[.., weight.rows()]`. On the CPU each 32 values of
/// a row of `x` are rounded to 8 bits ([`kernels::quant_linear`] tells how much that moves); other devices multiply with
/// the weight in f32. `x` gets a gradient, by the weight in f32; the weight gets none.
pub fn quant_linear<const D: usize>(
    x: Tensor<D>,
    weight: &Arc<QuantMatrix>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let kernel = QuantLinear {
        weight: weight.clone(),
    };
    match custom_op::run(kernel, [x.clone().into_dispatch()]) {
        Some(y) => match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        },
        None => {
            let shape = [weight.rows(), weight.columns()];
            let data = TensorData::new(weight.dequantize(), shape);
            let weight = Tensor::<2>::from_data(data, &x.device());
            linear(x, weight, bias)
        }
    }
}

/// Inputs `[x]`.
#[derive(Clone, Debug)]
struct QuantLinear {
    weight: Arc<QuantMatrix>,
}

impl QuantLinear {
    /// Rows of a tensor whose last axis is `width` long.
    fn rows(x: &FlexTensor, width: usize) -> Result<usize, ShapeError> {
        let (shape, found) = (x.shape(), x.shape().num_elements());
        match shape.as_slice().last() {
            Some(&last) if last == width && width > 0 => Ok(found / width),
            _ => Err(ShapeError {
                name: "x",
                expected: width,
                found,
            }),
        }
    }
}

impl Kernel<1> for QuantLinear {
    type Saved = ();

    fn forward(&self, [x]: &[FlexTensor; 1]) -> Result<(FlexTensor, ()), ShapeError> {
        let (weight, x) = (&self.weight, dense(x));
        let rows = Self::rows(&x, weight.columns())?;
        let y = kernels::quant_linear(Level::best(), values(&x), weight, rows)?;
        let mut shape = x.shape();
        shape.as_mut_slice()[x.shape().num_dims() - 1] = weight.rows();
        Ok((tensor(y, shape), ()))
    }

    fn backward(
        &self,
        (): (),
        grad: FlexTensor,
        _: [bool; 1],
    ) -> Result<[Option<FlexTensor>; 1], ShapeError> {
        let (weight, grad) = (&self.weight, dense(&grad));
        let dims = LinearDims {
            rows: Self::rows(&grad, weight.rows())?,
            input: weight.columns(),
            output: weight.rows(),
        };
        let dequantised = weight.dequantize();
        let to_x = kernels::linear_backward_input(precision(), values(&grad), &dequantised, dims)?;
        let mut shape = grad.shape();
        shape.as_mut_slice()[grad.shape().num_dims() - 1] = weight.columns();
        Ok([Some(tensor(to_x, shape))])
    }
}
