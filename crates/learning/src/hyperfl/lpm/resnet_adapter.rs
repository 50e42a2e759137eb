//! The adapter of LPM-ResNet: `y = BN(x + Conv1×1(BN(x)))`.

use kernels::{
    ConvAxis, ConvDims, Level, Precision, conv, conv_backward_input, conv_backward_weight,
};

use super::batch_norm::{Statistics, batch_norm, batch_norm_backward};
use crate::error::Result;
use crate::hyperfl::vector::add_scaled;

const F32: Precision = Precision::F32;

/// What the forward pass of an adapter leaves.
pub(super) struct AdapterPass {
    x: Vec<f32>,
    normed: Vec<f32>,
    sum: Vec<f32>,
    pub(super) statistics: [Statistics; 2],
    dims: ConvDims,
    pub(super) pixels: usize,
}

/// Factor, shift, weight, factor, shift of an adapter of this width.
fn adapter_parts(theta: &[f32], width: usize) -> [&[f32]; 5] {
    let (first, rest) = theta.split_at(2 * width);
    let (weight, last) = rest.split_at(width * width);
    let ((a, b), (c, d)) = (first.split_at(width), last.split_at(width));
    [a, b, weight, c, d]
}

/// Runs an adapter on `[batch, width, pixels]`, with the statistics `fixed` or else those of the batch.
pub(super) fn adapter_forward(
    theta: &[f32],
    x: Vec<f32>,
    [batch, width, pixels]: [usize; 3],
    fixed: Option<&[Statistics; 2]>,
) -> Result<(Vec<f32>, AdapterPass)> {
    let [factor, shift, weight, last_factor, last_shift] = adapter_parts(theta, width);
    let size = [batch, width, pixels];
    let statistics = |x: &[f32], at: usize| match fixed {
        Some(fixed) => fixed[at].clone(),
        None => Statistics::of(x, size),
    };
    let first = statistics(&x, 0);
    let normed = batch_norm(&x, &first, [factor, shift], pixels);
    let dims = ConvDims::new(batch, width, width, 1, &[ConvAxis::new(pixels, 1)])?;
    let mut sum = conv(Level::best(), F32, &normed, weight, None, &dims)?;
    add_scaled(&mut sum, 1.0, &x);
    let second = statistics(&sum, 1);
    let out = batch_norm(&sum, &second, [last_factor, last_shift], pixels);
    let statistics = [first, second];
    Ok((
        out,
        AdapterPass {
            x,
            normed,
            sum,
            statistics,
            dims,
            pixels,
        },
    ))
}

/// Gradients of an adapter's input and of its parameters.
pub(super) fn adapter_backward(
    theta: &[f32],
    pass: &AdapterPass,
    grad: &[f32],
) -> Result<(Vec<f32>, Vec<f32>)> {
    let width = pass.statistics[0].mean.len();
    let [factor, _, weight, last_factor, _] = adapter_parts(theta, width);
    let (of_sum, [of_last_factor, of_last_shift]) = batch_norm_backward(
        &pass.sum,
        &pass.statistics[1],
        last_factor,
        grad,
        pass.pixels,
    );
    let of_weight = conv_backward_weight(Level::best(), F32, &of_sum, &pass.normed, &pass.dims)?;
    let of_normed = conv_backward_input(Level::best(), F32, &of_sum, weight, &pass.dims)?;
    let (mut x, [of_factor, of_shift]) = batch_norm_backward(
        &pass.x,
        &pass.statistics[0],
        factor,
        &of_normed,
        pass.pixels,
    );
    add_scaled(&mut x, 1.0, &of_sum);
    let parts = [
        of_factor,
        of_shift,
        of_weight,
        of_last_factor,
        of_last_shift,
    ];
    Ok((x, parts.concat()))
}
