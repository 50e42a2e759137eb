use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::{LinearDims, ShapeError};

use super::plug::{self, Kernel, dense, tensor, values};

/// `x · weightᵀ + bias`.
///
/// `x` is `[.., in]`, `weight` `[out, in]`, `bias` `[out]`; the result is `[.., out]`.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [input, by] = [x.clone().into_dispatch(), weight.clone().into_dispatch()];
    let fused = match &bias {
        Some(bias) => plug::run(Linear, [input, by, bias.clone().into_dispatch()]),
        None => plug::run(Linear, [input, by]),
    };
    fused.unwrap_or_else(|| by_product(x, weight, bias))
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
struct Linear;

impl Linear {
    fn apply(
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: Option<&FlexTensor>,
    ) -> Result<(FlexTensor, [FlexTensor; 2]), ShapeError> {
        let (x, weight, bias) = (dense(x), dense(weight), bias.map(dense));
        let dims = dims(&x, &weight);
        let y = kernels::linear(values(&x), values(&weight), bias.as_ref().map(values), dims)?;
        let mut shape = x.shape();
        let last = shape.num_dims() - 1;
        shape[last] = dims.output;
        Ok((tensor(y, shape), [x, weight]))
    }

    fn grads(
        [x, weight]: [FlexTensor; 2],
        grad: &FlexTensor,
        wanted: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        let dims = dims(&x, &weight);
        let grad = dense(grad);
        let grad = values(&grad);
        let mut grads = [None, None, None];
        if wanted[0] {
            let dx = kernels::linear_backward_input(grad, values(&weight), dims)?;
            grads[0] = Some(tensor(dx, x.shape()));
        }
        if wanted[1] {
            let dw = kernels::linear_backward_weight(grad, values(&x), dims)?;
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

impl Kernel<2> for Linear {
    type Saved = [FlexTensor; 2];

    fn forward(
        &self,
        [x, weight]: &[FlexTensor; 2],
    ) -> Result<(FlexTensor, [FlexTensor; 2]), ShapeError> {
        Self::apply(x, weight, None)
    }

    fn backward(
        &self,
        saved: [FlexTensor; 2],
        grad: FlexTensor,
        [x, weight]: [bool; 2],
    ) -> Result<[Option<FlexTensor>; 2], ShapeError> {
        let [dx, dw, _] = Self::grads(saved, &grad, [x, weight, false])?;
        Ok([dx, dw])
    }
}

impl Kernel<3> for Linear {
    type Saved = [FlexTensor; 2];

    fn forward(
        &self,
        [x, weight, bias]: &[FlexTensor; 3],
    ) -> Result<(FlexTensor, [FlexTensor; 2]), ShapeError> {
        Self::apply(x, weight, Some(bias))
    }

    fn backward(
        &self,
        saved: [FlexTensor; 2],
        grad: FlexTensor,
        wanted: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        Self::grads(saved, &grad, wanted)
    }
}
