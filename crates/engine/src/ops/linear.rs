use std::cell::Cell;

use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::{LinearDims, Precision, ShapeError};

use super::custom_op::{self, WithBias, dense, tensor, values};

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Sets how linear layers, attention and convolutions called by this thread from now on read the values of their products, gradients included.
///
/// [`Precision::Bf16`] makes the large products of a training step about twice as fast on CPUs that have them; sums,
/// weights and everything else stay f32. It concerns f32 tensors on the CPU only. Gives what was set before.
pub fn set_precision(precision: Precision) -> Precision {
    PRECISION.replace(precision)
}

/// What [`set_precision`] set on this thread.
pub(super) fn precision() -> Precision {
    PRECISION.get()
}

/// `x · weightᵀ + bias`.
///
/// `x` is `[.., in]`, `weight` `[out, in]`, `bias` `[out]`; the result is `[.., out]`.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let kernel = Linear {
        precision: precision(),
    };
    custom_op::run_with_bias(kernel, &x, &weight, &bias)
        .unwrap_or_else(|| by_product(x, weight, bias))
}

/// [`linear`] in Burn's own operations.
fn by_product<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let mut shape = x.dims();
    let width_in = shape[D - 1];
    let rows = shape[..D - 1].iter().product::<usize>();
    shape[D - 1] = weight.dims()[0];
    let y = x.reshape([rows, width_in]).matmul(weight.transpose());
    let y = match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    };
    y.reshape(shape)
}

/// Inputs `[x, weight]` or `[x, weight, bias]`.
#[derive(Clone, Debug)]
struct Linear {
    precision: Precision,
}

impl WithBias for Linear {
    fn apply(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: Option<&FlexTensor>,
    ) -> Result<(FlexTensor, [FlexTensor; 2]), ShapeError> {
        let (x, weight, bias) = (dense(x), dense(weight), bias.map(dense));
        let dims = dims(&x, &weight);
        let y = {
            let bias = bias.as_ref().map(values);
            kernels::linear(self.precision, values(&x), values(&weight), bias, dims)?
        };
        let mut shape = x.shape();
        let last = shape.num_dims() - 1;
        shape[last] = dims.output;
        Ok((tensor(y, shape), [x, weight]))
    }

    fn grads(
        &self,
        [x, weight]: [FlexTensor; 2],
        grad: &FlexTensor,
        wanted: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        let dims = dims(&x, &weight);
        let grad = dense(grad);
        let grad = values(&grad);
        let mut grads = [None, None, None];
        if wanted[0] {
            let dx = kernels::linear_backward_input(self.precision, grad, values(&weight), dims)?;
            grads[0] = Some(tensor(dx, x.shape()));
        }
        if wanted[1] {
            let dw = kernels::linear_backward_weight(self.precision, grad, values(&x), dims)?;
            grads[1] = Some(tensor(dw, weight.shape()));
        }
        if wanted[2] {
            let db = kernels::column_sums(grad, dims.output)?;
            grads[2] = Some(tensor(db, [dims.output]));
        }
        Ok(grads)
    }
}

fn dims(x: &FlexTensor, weight: &FlexTensor) -> LinearDims {
    let ([output, input], shape) = (weight.shape().dims(), x.shape());
    let rows = shape[..shape.num_dims() - 1].iter().product();
    LinearDims {
        rows,
        input,
        output,
    }
}
