//! Convolutions over 1, 2 or 3 axes, and their gradients. No column copy of a picture is made: each block of
//! results copies what it reads once, with its padding, and every tap of the kernel reads that copy at a fixed
//! distance.
//!
//! A NaN in a picture reaches the results that read it and no others. Padding is a zero that may be multiplied: with
//! an infinite or NaN weight it may give NaN.

mod axis;
mod depthwise;
mod dims;
mod strip;
mod tile;
mod weight;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::borrow::Cow;

use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::level::Level;
use crate::math::LANES;
use crate::parallel::{Strips, collect};
use crate::product::Precision;
use axis::{Axis, merged};
pub use dims::{ConvAxis, ConvDims, ConvError};
use strip::{Block, Limits, Plan, with_scratch};
use tile::{Product, Vectors};

/// Blocks of results: strips take half of a usual second-level cache, or as much as a first-level one where nothing
/// is gained by larger ones.
const LIMITS: Limits = Limits {
    strip: 128 * 1024,
    apart: 32 * 1024,
    results: usize::MAX,
    parts: 1,
};
/// Taps that make a short loop.
const FEW: usize = 5;
/// Multiplications from which a convolution is worth several threads.
const LARGE: usize = 128 * 128 * 64;

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
    expect("x", x.len(), dims.input_len())?;
    expect("weight", weight.len(), dims.weight_len())?;
    if let Some(bias) = bias {
        expect("bias", bias.len(), dims.out_channels)?;
    }
    let [ins, outs] = dims.per_group();
    let taps = dims.taps();
    let weights = Weights::new(level, precision, weight, [ins, taps]);
    let spans = merged(dims.spans);
    let job = Job {
        level,
        batch: dims.batch,
        groups: dims.groups,
        channels: ins,
        rows: outs,
        source: x,
        steps: [weights.channels * taps, taps],
        group_step: outs * weights.channels * taps,
        weights,
        bias,
        extent: spans.map(|span| span.output),
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
    let weights = Weights::new(level, precision, weight, [outs, ins * taps]);
    let spans = merged(dims.spans);
    let job = Job {
        level,
        batch: dims.batch,
        groups: dims.groups,
        channels: outs,
        rows: ins,
        source: grad,
        steps: [taps, ins * taps],
        group_step: weights.channels * ins * taps,
        weights,
        bias,
        extent: spans.map(|span| span.input),
        kernel: [spans[1].kernel, spans[2].kernel],
    };
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

/// Whether values are rounded to bf16.
fn rounded(level: Level, precision: Precision) -> bool {
    #[cfg(target_arch = "x86_64")]
    if level.0 == crate::level::Kind::Avx512 && precision == Precision::Bf16 {
        return crate::reduced::available();
    }
    let _ = (level, precision);
    false
}

/// Weights as the product reads them.
struct Weights<'a> {
    /// As they are, or units of two channels.
    values: Cow<'a, [f32]>,
    pairs: bool,
    /// Channels over which a sum runs; a unit counts as one.
    channels: usize,
}

impl<'a> Weights<'a> {
    /// Of blocks of `[channels, width]`. A unit is made of a channel and of the one half of them later.
    fn new(
        level: Level,
        precision: Precision,
        weight: &'a [f32],
        [channels, width]: [usize; 2],
    ) -> Self {
        let pairs = channels > 1 && rounded(level, precision);
        if !pairs {
            return Self {
                values: Cow::Borrowed(weight),
                pairs,
                channels,
            };
        }
        let half = channels.div_ceil(2);
        let mut units = vec![0.0; weight.len() / channels * half];
        units
            .par_chunks_exact_mut(half * width)
            .with_min_len((32 * 1024 / (half * width)).max(1))
            .zip(weight.par_chunks_exact(channels * width))
            .for_each(|(to, from)| {
                let (first, second) = from.split_at(half * width);
                let (both, alone) = to.split_at_mut(second.len());
                let (paired, single) = first.split_at(second.len());
                interleave([Some(paired), Some(second)], 1, both);
                interleave([Some(single), None], 1, alone);
            });
        Self {
            values: Cow::Owned(units),
            pairs,
            channels: half,
        }
    }
}

/// Writes units of two rows, whose values are `step` apart. Called where the machine multiplies bf16 values.
fn interleave([first, second]: [Option<&[f32]>; 2], step: usize, to: &mut [f32]) {
    if to.is_empty() {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if crate::reduced::available() {
        // SAFETY: the types have the same size and alignment, and any bits are values of both.
        let to = unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), to.len()) };
        // SAFETY: just asked.
        return unsafe { crate::reduced_x86::interleave(first, second, step, to) };
    }
    let _ = (first, second, step);
}

/// Copies values that are `step` apart.
fn copy(from: &[f32], step: usize, to: &mut [f32]) {
    if step == 1 {
        to.copy_from_slice(&from[..to.len()]);
    } else {
        for (to, from) in to.iter_mut().zip(from.iter().step_by(step)) {
            *to = *from;
        }
    }
}

/// Results of a convolution or of its gradient: sums over the `channels` of a group, `rows` of them a group.
struct Job<'a> {
    level: Level,
    batch: usize,
    groups: usize,
    channels: usize,
    rows: usize,
    /// `[batch, groups · channels, axes..]`.
    source: &'a [f32],
    weights: Weights<'a>,
    /// Distance in the weights between rows and between channels, and between groups.
    steps: [usize; 2],
    group_step: usize,
    bias: Option<&'a [f32]>,
    /// Results along the axes.
    extent: [usize; 3],
    /// Taps along the second and the third axis.
    kernel: [usize; 2],
}

impl Job<'_> {
    /// The results, `len` of them. The `parts` must together write each one once; their bits do not depend on how
    /// they are cut into blocks.
    fn run(&self, len: usize, parts: &[[Axis; 3]]) -> Vec<f32> {
        // SAFETY: the blocks of all parts cover all places.
        unsafe {
            collect(len, |out| {
                let out = Strips::new(out);
                for axes in parts {
                    self.part(axes, &out);
                }
            })
        }
    }

    fn part(&self, axes: &[Axis; 3], out: &Strips<'_>) {
        let pictures = self.batch * self.groups;
        let places: usize = axes.iter().map(|axis| axis.count).product();
        if pictures * places == 0 {
            return;
        }
        let taps: usize = axes.iter().map(|axis| axis.taps.len()).product();
        let work = self.rows * self.channels * taps * places;
        let parallel = (work * pictures) >= LARGE && rayon::current_num_threads() > 1;
        let parts = if parallel {
            (2 * rayon::current_num_threads()).div_ceil(pictures)
        } else {
            1
        };
        let plan = Plan::new(
            axes.clone(),
            self.kernel,
            self.weights.channels,
            Limits { parts, ..LIMITS },
        );
        let depthwise = (self.rows == 1 && self.channels == 1)
            .then(|| depthwise::Kernel::new(&plan, self.kernel[1]))
            .flatten();
        let blocks = plan.len();
        let task = |i: usize| {
            let block = plan.block(i % blocks);
            match &depthwise {
                Some(kernel) if plan.channel(&block) > 0 => {
                    self.channel(&plan, kernel, block, i / blocks, out)
                }
                _ => self.block(&plan, block, i / blocks, out),
            }
        };
        let tasks = pictures * blocks;
        if parallel {
            let least = (LARGE / 4 / (work / blocks).max(1)).clamp(1, tasks);
            (0..tasks)
                .into_par_iter()
                .with_min_len(least)
                .for_each(task);
        } else {
            (0..tasks).for_each(task);
        }
    }

    /// Copies what `block` of a group reads, `[channels, values of a channel]`.
    fn pack(&self, plan: &Plan, block: &Block, picture: usize, strip: &mut [f32]) {
        let [z, y, x] = &plan.axes;
        let plane = y.source * x.source;
        let pixels = z.source * plane;
        let source = &self.source[picture * self.channels * pixels..][..self.channels * pixels];
        let size = plan.channel(block);
        if size == 0 {
            return;
        }
        for (c, to) in strip
            .chunks_exact_mut(size)
            .take(self.weights.channels)
            .enumerate()
        {
            let of = |c: usize, z: usize| {
                (c < self.channels).then(|| &source[c * pixels + z * plane..][..plane])
            };
            if self.weights.pairs {
                let both = |z| [of(c, z), of(c + self.weights.channels, z)];
                plan.pack(block, both, interleave, to);
            } else {
                let fill = |from: [Option<&[f32]>; 2], step, to: &mut [f32]| {
                    copy(from[0].unwrap_or_default(), step, to);
                };
                plan.pack(block, |z| [of(c, z), None], fill, to);
            }
        }
    }

    /// Computes `block` of a group of a picture.
    fn block(&self, plan: &Plan, block: Block, picture: usize, out: &Strips<'_>) {
        let [z, y, x] = &plan.axes;
        let [_, height, width] = self.extent;
        let plane: usize = self.extent.iter().product();
        let group = picture % self.groups;
        let row =
            |row: usize| (z.first + block.z * z.step) * height + y.first + (block.y + row) * y.step;
        let place =
            |r: usize, column: usize| row(r) * width + x.first + (block.x + column) * x.step;
        let vectors = Vectors::new(&block, plan.width(&block), x.step, place);
        let size = plan.channel(&block);
        let (mut reaches, mut channels) = (plan.reaches(&block), self.weights.channels);
        if reaches.len() < FEW {
            // One long loop over channels and taps is faster than many short ones.
            reaches = strip::spread(&reaches, channels, size, self.steps[1]);
            channels = 1;
        }
        with_scratch(self.weights.channels * size + LANES, |strip| {
            self.pack(plan, &block, picture, strip);
            let product = Product {
                source: strip,
                channels,
                channel_step: size,
                reaches: &reaches,
                weight: &self.weights.values[group * self.group_step..],
                weight_steps: self.steps,
                bias: self
                    .bias
                    .map(|bias| &bias[group * self.rows..][..self.rows]),
                rows: self.rows,
                vectors: &vectors,
                out,
                out_start: picture * self.rows * plane,
                out_step: plane,
            };
            // SAFETY: the places of a block of a picture belong to one task; operands are units where `pairs`.
            unsafe { tile::multiply(self.level, self.weights.pairs, &product) };
        });
    }

    /// Computes `block` of a channel by its own.
    fn channel(
        &self,
        plan: &Plan,
        kernel: &depthwise::Kernel,
        block: Block,
        picture: usize,
        out: &Strips<'_>,
    ) {
        let [_, height, width] = self.extent;
        let plane: usize = self.extent.iter().product();
        let group = picture % self.groups;
        let size = plan.channel(&block);
        with_scratch(size + LANES, |strip| {
            self.pack(plan, &block, picture, strip);
            let channel = depthwise::Channel {
                kernel,
                block,
                source: strip,
                width: plan.width(&block),
                weight: &self.weights.values[group * self.group_step..],
                bias: self.bias.map_or(0.0, |bias| bias[group]),
                out,
                out_start: picture * plane + (block.z * height + block.y) * width + block.x,
                out_step: width,
            };
            // SAFETY: the places of a block of a picture belong to one task.
            unsafe { depthwise::convolve(self.level, &channel, &mut Vec::new()) };
        });
    }
}
