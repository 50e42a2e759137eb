//! Convolutions over 1, 2 or 3 axes, and their gradients. No column copy of a picture is made: each block of
//! results copies what it reads once, with its padding, and every tap of the kernel reads that copy at a fixed
//! distance.
//!
//! A NaN in a picture reaches the results that read it and no others. Padding is a zero that may be multiplied: with
//! an infinite or NaN weight it may give NaN.

mod axis;
mod depthwise;
mod dims;
mod dots;
mod input_tile;
mod job;
mod packed;
mod tile;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod units;
mod weight;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::borrow::Cow;

use rayon::prelude::*;

use crate::activation::Activation;
use crate::error::{ShapeError, expect};
use crate::level::Level;
use crate::product::Precision;
use axis::{Axis, Span, merged};
pub use dims::{ConvAxis, ConvDims, ConvError};
use job::Job;
pub use packed::PackedConvWeight;
use units::{Weights, rounded};

/// Convolution of `x` `[batch, in channels, axes..]`; `bias` is `[out channels]`. The result is `[batch, out channels,
/// axes..]`.
///
/// A convolution of one channel a group is computed in f32 whatever `precision` says.
pub fn conv(
    level: Level,
    precision: Precision,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    dims: &ConvDims,
) -> Result<Vec<f32>, ShapeError> {
    conv_then(level, precision, x, weight, bias, dims, None)
}

/// [`conv`], then an activation, while the results are still in the cache.
pub fn conv_then(
    level: Level,
    precision: Precision,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    dims: &ConvDims,
    then: Option<Activation>,
) -> Result<Vec<f32>, ShapeError> {
    expect("weight", weight.len(), dims.weight_len())?;
    let [ins, outs] = dims.per_group();
    let weights = Weights::new(level, precision, weight, [ins, dims.taps()], outs);
    forward(level, weights, x, bias, dims, then)
}

/// [`conv_then`] by weights as the product reads them.
fn forward(
    level: Level,
    weights: Weights<'_>,
    x: &[f32],
    bias: Option<&[f32]>,
    dims: &ConvDims,
    then: Option<Activation>,
) -> Result<Vec<f32>, ShapeError> {
    expect("x", x.len(), dims.input_len())?;
    if let Some(bias) = bias {
        expect("bias", bias.len(), dims.out_channels)?;
    }
    let [ins, outs] = dims.per_group();
    let taps = dims.taps();
    let spans = merged(dims.spans);
    let extent = spans.map(|span| span.output);
    let job = Job {
        level,
        batch: dims.batch,
        groups: dims.groups,
        channels: ins,
        rows: planes(outs, &extent),
        source: x,
        steps: [weights.stored(ins) * taps, taps],
        group_step: outs * weights.stored(ins) * taps,
        weights,
        bias: bias.map(Cow::Borrowed),
        then,
        size: outs * extent.iter().product::<usize>(),
        extent,
        kernel: [spans[1].kernel, spans[2].kernel],
    };
    Ok(job.run(dims.output_len(), &[spans.map(|span| Axis::forward(&span))]))
}

/// Gradient of the input of [`conv`], `[batch, in channels, axes..]`: from `grad` `[batch, out channels, axes..]`.
pub fn conv_backward_input(
    level: Level,
    precision: Precision,
    grad: &[f32],
    weight: &[f32],
    dims: &ConvDims,
) -> Result<Vec<f32>, ShapeError> {
    expect("grad", grad.len(), dims.output_len())?;
    turned(level, precision, grad, weight, None, dims)
}

/// Gradient of the weight of [`conv`], `[out channels, in channels / groups, kernel..]`: from `grad` `[batch, out
/// channels, axes..]` and `x` `[batch, in channels, axes..]`.
///
/// A NaN or an infinity in `x` makes the gradient NaN also for taps that do not touch it.
pub fn conv_backward_weight(
    level: Level,
    precision: Precision,
    grad: &[f32],
    x: &[f32],
    dims: &ConvDims,
) -> Result<Vec<f32>, ShapeError> {
    expect("grad", grad.len(), dims.output_len())?;
    expect("x", x.len(), dims.input_len())?;
    Ok(weight::gradient(
        level,
        rounded(level, precision),
        grad,
        x,
        dims,
    ))
}

/// Sums over the batch and the axes of `x` `[batch, channels, pixels]`: the gradient of a convolution's bias.
pub fn channel_sums(
    x: &[f32],
    [batch, channels, pixels]: [usize; 3],
) -> Result<Vec<f32>, ShapeError> {
    expect(
        "x",
        x.len(),
        batch.saturating_mul(channels).saturating_mul(pixels),
    )?;
    let sum = |c: usize| {
        let planes = (0..batch).map(|b| &x[(b * channels + c) * pixels..][..pixels]);
        planes.map(crate::math::sum).sum()
    };
    Ok((0..channels).into_par_iter().map(sum).collect())
}

/// Transposed convolution of `x` `[batch, in channels, axes..]` to `[batch, out channels, axes..]` with sizes from
/// [`ConvDims::transposed`]; `weight` is `[in channels, out channels / groups, kernel..]`, `bias` `[out channels]`.
pub fn conv_transposed(
    level: Level,
    precision: Precision,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    dims: &ConvDims,
) -> Result<Vec<f32>, ShapeError> {
    expect("x", x.len(), dims.output_len())?;
    if let Some(bias) = bias {
        expect("bias", bias.len(), dims.in_channels)?;
    }
    turned(level, precision, x, weight, bias, dims)
}

/// Gradient of the input of [`conv_transposed`], `[batch, in channels, axes..]`: from `grad` `[batch, out channels,
/// axes..]`.
pub fn conv_transposed_backward_input(
    level: Level,
    precision: Precision,
    grad: &[f32],
    weight: &[f32],
    dims: &ConvDims,
) -> Result<Vec<f32>, ShapeError> {
    expect("grad", grad.len(), dims.input_len())?;
    conv(level, precision, grad, weight, None, dims)
}

/// Gradient of the weight of [`conv_transposed`], `[in channels, out channels / groups, kernel..]`: from `grad`
/// `[batch, out channels, axes..]` and `x` `[batch, in channels, axes..]`. NaNs as in [`conv_backward_weight`].
pub fn conv_transposed_backward_weight(
    level: Level,
    precision: Precision,
    grad: &[f32],
    x: &[f32],
    dims: &ConvDims,
) -> Result<Vec<f32>, ShapeError> {
    expect("grad", grad.len(), dims.input_len())?;
    expect("x", x.len(), dims.output_len())?;
    Ok(weight::gradient(
        level,
        rounded(level, precision),
        x,
        grad,
        dims,
    ))
}

/// The convolution turned round: what is read is its result, what is written its input.
fn turned(
    level: Level,
    precision: Precision,
    grad: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    dims: &ConvDims,
) -> Result<Vec<f32>, ShapeError> {
    expect("weight", weight.len(), dims.weight_len())?;
    let [ins, outs] = dims.per_group();
    let taps = dims.taps();
    let weights = Weights::new(level, precision, weight, [outs, ins * taps], ins);
    let spans = merged(dims.spans);
    let extent = spans.map(|span| span.input);
    let mut job = Job {
        level,
        batch: dims.batch,
        groups: dims.groups,
        channels: outs,
        rows: planes(ins, &extent),
        source: grad,
        steps: [taps, ins * taps],
        group_step: weights.stored(outs) * ins * taps,
        weights,
        bias: bias.map(Cow::Borrowed),
        then: None,
        size: ins * extent.iter().product::<usize>(),
        extent,
        kernel: [spans[1].kernel, spans[2].kernel],
    };
    if spans.iter().all(Span::is_tiled) {
        // Each tap has results of its own: they are rows of one product with a kernel of one tap.
        let [height, width] = [extent[1], extent[2]];
        let tap = |t: usize| {
            let [z, y, x] = split(t, job.kernel);
            (z * height + y) * width + x
        };
        job.rows = job
            .rows
            .iter()
            .flat_map(|row| (0..taps).map(move |t| row + tap(t)))
            .collect();
        job.bias = bias.map(|bias| {
            let each = bias
                .iter()
                .flat_map(|&bias| std::iter::repeat_n(bias, taps));
            Cow::Owned(each.collect())
        });
        (job.steps[0], job.kernel) = (1, [1, 1]);
        let axes = spans.map(|span| Axis::tiled(&span));
        return Ok(job.run(dims.input_len(), &[axes]));
    }
    let [z, y, x] = spans.map(|span| Axis::backward(&span));
    let mut parts = Vec::new();
    for z in &z {
        for y in &y {
            parts.extend(x.iter().map(|x| [z.clone(), y.clone(), x.clone()]));
        }
    }
    Ok(job.run(dims.input_len(), &parts))
}

impl ConvDims {
    /// Channels of a group before and after.
    fn per_group(&self) -> [usize; 2] {
        [self.in_channels, self.out_channels].map(|all| all / self.groups)
    }
}

/// Where each of `count` channels starts.
fn planes(count: usize, extent: &[usize; 3]) -> Vec<usize> {
    let plane: usize = extent.iter().product();
    (0..count).map(|channel| channel * plane).collect()
}

/// The place along each axis of tap `t`, given the taps along the last two.
fn split(t: usize, [height, width]: [usize; 2]) -> [usize; 3] {
    [t / (height * width), t / width % height, t % width]
}
