use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn_flex::FlexTensor;
use kernels::{Activation, ConvAxis, ConvDims, Level, Precision, ShapeError};

use super::activation::activate;
use super::custom_op::{self, WithBias, dense, tensor, values};
use super::linear::precision;

/// Convolution over one axis: `x` `[batch, in, length]`, `weight` `[out, in / groups, kernel]`, `bias` `[out]`.
pub fn conv1d(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<1>,
) -> Tensor<3> {
    forward(&x, &weight, &bias, &options, None)
        .unwrap_or_else(|| module::conv1d(x, weight, bias, options))
}

/// Convolution over two axes: `x` `[batch, in, height, width]`, `weight` `[out, in / groups, kernel, kernel]`, `bias`
/// `[out]`.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    forward(&x, &weight, &bias, &options, None)
        .unwrap_or_else(|| module::conv2d(x, weight, bias, options))
}

/// [`conv2d`], then an activation, which costs little where no gradient is asked for.
pub fn conv2d_then(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    then: Activation,
) -> Tensor<4> {
    let recorded = custom_op::is_recorded(&x)
        || custom_op::is_recorded(&weight)
        || bias.as_ref().is_some_and(custom_op::is_recorded);
    let fused = (!recorded).then(|| forward(&x, &weight, &bias, &options, Some(then)));
    fused
        .flatten()
        .unwrap_or_else(|| activate(then, conv2d(x, weight, bias, options)))
}

/// Convolution over three axes: `x` `[batch, in, frames, height, width]`, `weight` `[out, in / groups, kernel, kernel,
/// kernel]`, `bias` `[out]`.
pub fn conv3d(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<3>,
) -> Tensor<5> {
    forward(&x, &weight, &bias, &options, None)
        .unwrap_or_else(|| module::conv3d(x, weight, bias, options))
}

/// Transposed convolution over one axis: `x` `[batch, in, length]`, `weight` `[in, out / groups, kernel]`, `bias` `[out]`.
pub fn conv_transpose1d(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: ConvTransposeOptions<1>,
) -> Tensor<3> {
    transposed(&x, &weight, &bias, &options)
        .unwrap_or_else(|| module::conv_transpose1d(x, weight, bias, options))
}

/// Transposed convolution over two axes: `x` `[batch, in, height, width]`, `weight` `[in, out / groups, kernel, kernel]`,
/// `bias` `[out]`.
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvTransposeOptions<2>,
) -> Tensor<4> {
    transposed(&x, &weight, &bias, &options)
        .unwrap_or_else(|| module::conv_transpose2d(x, weight, bias, options))
}

/// Transposed convolution over three axes: `x` `[batch, in, frames, height, width]`, `weight` `[in, out / groups, kernel,
/// kernel, kernel]`, `bias` `[out]`.
pub fn conv_transpose3d(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    options: ConvTransposeOptions<3>,
) -> Tensor<5> {
    transposed(&x, &weight, &bias, &options)
        .unwrap_or_else(|| module::conv_transpose3d(x, weight, bias, options))
}

/// By the kernel; none where it does not apply.
fn forward<const D: usize, const N: usize>(
    x: &Tensor<D>,
    weight: &Tensor<D>,
    bias: &Option<Tensor<1>>,
    options: &ConvOptions<N>,
    then: Option<Activation>,
) -> Option<Tensor<D>> {
    let (shape, kernel) = (x.dims(), weight.dims());
    let dims = conv_dims(shape, kernel, options)?;
    let conv = Conv {
        precision: precision(),
        output: [vec![shape[0], kernel[0]], dims.output()].concat(),
        dims,
        transposed: false,
        then,
    };
    custom_op::run_with_bias(conv, x, weight, bias)
}

/// Sizes of a convolution of `x` of `shape` by a weight of the shape `kernel`; none where they do not go together.
pub(super) fn conv_dims<const D: usize, const N: usize>(
    shape: [usize; D],
    kernel: [usize; D],
    options: &ConvOptions<N>,
) -> Option<ConvDims> {
    let axes: Vec<ConvAxis> = (0..N)
        .map(|i| ConvAxis {
            input: shape[2 + i],
            kernel: kernel[2 + i],
            stride: options.stride[i],
            padding: [options.padding[i].0, options.padding[i].1],
            dilation: options.dilation[i],
        })
        .collect();
    ConvDims::new(shape[0], shape[1], kernel[0], options.groups, &axes).ok()
}

/// By the kernel; none where it does not apply.
fn transposed<const D: usize, const N: usize>(
    x: &Tensor<D>,
    weight: &Tensor<D>,
    bias: &Option<Tensor<1>>,
    options: &ConvTransposeOptions<N>,
) -> Option<Tensor<D>> {
    let (shape, kernel) = (x.dims(), weight.dims());
    let axes: Vec<ConvAxis> = (0..N)
        .map(|i| ConvAxis {
            input: shape[2 + i],
            kernel: kernel[2 + i],
            stride: options.stride[i],
            padding: [options.padding[i]; 2],
            dilation: options.dilation[i],
        })
        .collect();
    let output = kernel[1].checked_mul(options.groups)?;
    let extra = &options.padding_out;
    let dims = ConvDims::transposed(shape[0], shape[1], output, options.groups, &axes, extra);
    let dims = dims.ok()?;
    let conv = Conv {
        precision: precision(),
        output: [vec![shape[0], output], dims.input()].concat(),
        dims,
        transposed: true,
        then: None,
    };
    custom_op::run_with_bias(conv, x, weight, bias)
}

/// Inputs `[x, weight]` or `[x, weight, bias]`.
#[derive(Clone, Debug)]
struct Conv {
    precision: Precision,
    /// Shape of the result.
    output: Vec<usize>,
    /// Of the convolution, or of the one that a transposed convolution turns round.
    dims: ConvDims,
    transposed: bool,
    /// What follows; a convolution of which this is part has no gradient.
    then: Option<Activation>,
}

impl WithBias for Conv {
    fn apply(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: Option<&FlexTensor>,
    ) -> Result<(FlexTensor, [FlexTensor; 2]), ShapeError> {
        let (x, weight, bias) = (dense(x), dense(weight), bias.map(dense));
        let bias = bias.as_ref().map(values);
        let (level, precision, dims) = (Level::best(), self.precision, &self.dims);
        let [from, by] = [&x, &weight].map(values);
        let y = match self.transposed {
            false => kernels::conv_then(level, precision, from, by, bias, dims, self.then)?,
            true => kernels::conv_transposed(level, precision, from, by, bias, dims)?,
        };
        Ok((tensor(y, self.output.clone()), [x, weight]))
    }

    fn grads(
        &self,
        [x, weight]: [FlexTensor; 2],
        grad: &FlexTensor,
        wanted: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        let grad = dense(grad);
        let grad = values(&grad);
        let (level, by, dims) = (Level::best(), self.precision, &self.dims);
        let [of_input, of_weight] = match self.transposed {
            false => [
                kernels::conv_backward_input as fn(_, _, &_, &_, &_) -> _,
                kernels::conv_backward_weight,
            ],
            true => [
                kernels::conv_transposed_backward_input,
                kernels::conv_transposed_backward_weight,
            ],
        };
        let mut grads = [None, None, None];
        if wanted[0] {
            let dx = of_input(level, by, grad, values(&weight), dims)?;
            grads[0] = Some(tensor(dx, x.shape()));
        }
        if wanted[1] {
            let dw = of_weight(level, by, grad, values(&x), dims)?;
            grads[1] = Some(tensor(dw, weight.shape()));
        }
        if wanted[2] {
            let shape = &self.output;
            let pixels = shape[2..].iter().product();
            let db = kernels::channel_sums(grad, [shape[0], shape[1], pixels])?;
            grads[2] = Some(tensor(db, [shape[1]]));
        }
        Ok(grads)
    }
}
