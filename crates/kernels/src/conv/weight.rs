//! Gradient of a convolution's weight: for each channel before, channel after and tap a sum over all results.

use std::ops::Range;

use rayon::prelude::*;

use super::axis::{Axis, merged};
use super::dims::ConvDims;
use super::dots::{Sums, dots_values};
use super::input_tile::{Block, Limits, Plan, Reach};
#[cfg(target_arch = "x86_64")]
use super::tiles::{Dots, SUMS};
#[cfg(target_arch = "x86_64")]
use crate::amx;
use crate::level::Level;
use crate::math::LANES;
use crate::parallel::portion;

/// Results over which one sum runs before it is added to the gradient.
const SUMMED: usize = portion(1536, 32);
/// Blocks of results.
const LIMITS: Limits = Limits {
    input_tile: 1024 * 1024,
    apart: 1024 * 1024,
    results: SUMMED,
    parts: 1,
};
/// Rows of the gradient that one task computes.
const ROWS: usize = portion(8, 2);

/// How the values of a block are read, rounded and multiplied.
trait Kind: Sync {
    type Value: Copy + Default + Send + Sync;
    const VALUES: usize;

    fn fill(&self, from: &[f32], step: usize, to: &mut [Self::Value]);

    fn dots(&self, sums: &Sums<'_, Self::Value>, out: &mut [f32]);

    /// Rows of gradients are filled up to multiples of this.
    const ROWS: usize = 1;
    /// Values after an input tile that are read, but change nothing.
    const AFTER: usize = 0;

    /// Values of the sums.
    fn room(&self, dims: &ConvDims) -> usize {
        dims.weight_len()
    }

    /// Adds a block to the sums: `grads` `[groups, rows, length]`, and the input tile with `channel` between channels.
    fn add(
        &self,
        dims: &ConvDims,
        reaches: &[Reach],
        (grads, length): (&[Self::Value], usize),
        (input_tile, channel): (&[Self::Value], usize),
        sums: &mut [f32],
    ) {
        let [ins, outs] = dims.per_group();
        let row = ins * dims.taps();
        let rows = |g: usize, i: usize, sums: &mut [f32]| {
            let block = Sums {
                grad: &grads[(g * outs + i * ROWS) * length..],
                rows: sums.len() / row,
                length,
                source: &input_tile[g * ins * channel..],
                channels: ins,
                channel_step: channel,
                reaches,
                taps: dims.taps(),
            };
            self.dots(&block, sums);
        };
        sums.par_chunks_exact_mut(outs * row)
            .enumerate()
            .for_each(|(g, sums)| {
                let tasks = sums.par_chunks_mut(ROWS * row).enumerate();
                tasks.for_each(|(i, sums)| rows(g, i, sums));
            });
    }

    /// The gradient, when all blocks are added.
    fn finish(&self, _: &ConvDims, sums: Vec<f32>) -> Vec<f32> {
        sums
    }
}

struct Values(Level);

impl Kind for Values {
    type Value = f32;
    const VALUES: usize = LANES;

    fn fill(&self, from: &[f32], step: usize, to: &mut [f32]) {
        super::units::copy(from, step, to);
    }

    fn dots(&self, sums: &Sums<'_, f32>, out: &mut [f32]) {
        dots_values(self.0, sums, out);
    }
}

/// A value of this type stands for a machine that multiplies bf16 values.
#[cfg(target_arch = "x86_64")]
struct Rounded;

#[cfg(target_arch = "x86_64")]
impl Kind for Rounded {
    type Value = u16;
    const VALUES: usize = 32;

    fn fill(&self, from: &[f32], step: usize, to: &mut [u16]) {
        // SAFETY: see the type.
        unsafe { super::x86::round(from, step, to) };
    }

    fn dots(&self, sums: &Sums<'_, u16>, out: &mut [f32]) {
        // SAFETY: see the type.
        unsafe { super::x86::dots_halves(sums, out) };
    }
}

/// As [`Rounded`], and it stands for a machine with tiles.
#[cfg(target_arch = "x86_64")]
struct ByTiles;

#[cfg(target_arch = "x86_64")]
impl Kind for ByTiles {
    type Value = u16;
    const VALUES: usize = Rounded::VALUES;
    const ROWS: usize = amx::ROWS;
    const AFTER: usize = 4 * LANES;

    fn fill(&self, from: &[f32], step: usize, to: &mut [u16]) {
        Rounded.fill(from, step, to);
    }

    fn dots(&self, sums: &Sums<'_, u16>, out: &mut [f32]) {
        Rounded.dots(sums, out);
    }

    /// `[groups, channels before / 32, channels after / 32, taps, 32, 32]`.
    fn room(&self, dims: &ConvDims) -> usize {
        let [ins, outs] = dims.per_group().map(|count| count.div_ceil(amx::ROWS));
        dims.groups * ins * outs * dims.taps() * SUMS
    }

    fn add(
        &self,
        dims: &ConvDims,
        reaches: &[Reach],
        (grads, length): (&[u16], usize),
        (input_tile, channel): (&[u16], usize),
        sums: &mut [f32],
    ) {
        let [ins, outs] = dims.per_group();
        let [before, after] = [ins, outs].map(|count| count.div_ceil(amx::ROWS));
        let rows = after * amx::ROWS;
        let each = after * dims.taps() * SUMS;
        sums.par_chunks_exact_mut(each)
            .enumerate()
            .for_each(|(i, sums)| {
                let (group, first) = (i / before, i % before * amx::ROWS);
                let dots = Dots {
                    grad: &grads[group * rows * length..][..rows * length],
                    length,
                    source: &input_tile[group * ins * channel..],
                    channels: ins,
                    channel_step: channel,
                    reaches,
                    taps: dims.taps(),
                };
                // SAFETY: see the type.
                unsafe { dots.add(first, sums) };
            });
    }

    fn finish(&self, dims: &ConvDims, sums: Vec<f32>) -> Vec<f32> {
        let [ins, outs] = dims.per_group();
        let [before, after] = [ins, outs].map(|count| count.div_ceil(amx::ROWS));
        let taps = dims.taps();
        let mut gradient = vec![0.0; dims.weight_len()];
        gradient
            .par_chunks_exact_mut(ins * taps)
            .enumerate()
            .for_each(|(row, to)| {
                let (group, row) = (row / outs, row % outs);
                for (channel, to) in to.chunks_exact_mut(taps).enumerate() {
                    let [a, b] = [channel, row].map(|i| i / amx::ROWS);
                    let block = ((group * before + a) * after + b) * taps;
                    let place = row % amx::ROWS * amx::COLUMNS + channel % amx::ROWS;
                    for (tap, to) in to.iter_mut().enumerate() {
                        *to = sums[(block + tap) * SUMS + place];
                    }
                }
            });
        gradient
    }
}

/// The gradient; the slices hold what `dims` says. Where `rounded`, the machine must multiply bf16 values.
pub(super) fn gradient(
    level: Level,
    rounded: bool,
    grad: &[f32],
    x: &[f32],
    dims: &ConvDims,
) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if rounded {
        return match super::tiles::fit(dims.per_group()) {
            true => of_kind(&ByTiles, grad, x, dims),
            false => of_kind(&Rounded, grad, x, dims),
        };
    }
    debug_assert!(!rounded);
    of_kind(&Values(level), grad, x, dims)
}

/// Blocks follow one another, so that sums are added in one order; channels are shared among the threads.
fn of_kind<K: Kind>(kind: &K, grad: &[f32], x: &[f32], dims: &ConvDims) -> Vec<f32> {
    let spans = merged(dims.spans);
    let kernel = [spans[1].kernel, spans[2].kernel];
    let channels = dims.in_channels + dims.out_channels;
    let plan = Plan::new(
        spans.map(|span| Axis::forward(&span)),
        kernel,
        channels,
        LIMITS,
    );
    let mut sums = vec![0.0; kind.room(dims)];
    let (mut input_tile, mut grads) = (Vec::new(), Vec::new());
    // Small pictures follow one another in one sum.
    let together = match plan.len() {
        1 => (SUMMED / plan.channel(&plan.block(0)).max(1)).max(1),
        _ => 1,
    };
    for first in (0..dims.batch).step_by(together) {
        let pictures = first..dims.batch.min(first + together);
        for i in 0..plan.len() {
            let at = At {
                dims,
                plan: &plan,
                block: plan.block(i),
                pictures: pictures.clone(),
            };
            at.add(kind, [grad, x], &mut input_tile, &mut grads, &mut sums);
        }
    }
    kind.finish(dims, sums)
}

/// One block of some pictures.
struct At<'a> {
    dims: &'a ConvDims,
    plan: &'a Plan,
    block: Block,
    pictures: Range<usize>,
}

impl At<'_> {
    fn add<K: Kind>(
        &self,
        kind: &K,
        [grad, x]: [&[f32]; 2],
        input_tile: &mut Vec<K::Value>,
        grads: &mut Vec<K::Value>,
        sums: &mut [f32],
    ) {
        let Self {
            dims, plan, block, ..
        } = self;
        let reaches = plan.reaches(block);
        if reaches.is_empty() {
            return;
        }
        let (step, width, count) = (plan.channel(block), plan.width(block), self.pictures.len());
        let channel = count * step;
        let last = (block.rows - 1) * width + block.columns;
        let length = ((count - 1) * step + last).next_multiple_of(K::VALUES);
        let after = length + K::AFTER;
        input_tile.resize(dims.in_channels * channel + after, K::Value::default());
        let [_, outs] = dims.per_group();
        let filled = outs.next_multiple_of(K::ROWS);
        grads.resize(dims.groups * filled * length, K::Value::default());
        let (parts, rest) = input_tile.split_at_mut(dims.in_channels * channel);
        rest.fill(K::Value::default());
        parts
            .par_chunks_exact_mut(step)
            .enumerate()
            .for_each(|(i, to)| {
                self.pack(kind, x, self.pictures.start + i % count, i / count, to);
            });
        grads
            .par_chunks_exact_mut(length)
            .enumerate()
            .for_each(|(row, to)| {
                to.fill(K::Value::default());
                let (group, row) = (row / filled, row % filled);
                if row >= outs {
                    return;
                }
                for (b, to) in self.pictures.clone().zip(to.chunks_mut(step)) {
                    self.lay_out(kind, grad, b, group * outs + row, to);
                }
            });
        kind.add(dims, &reaches, (grads, length), (input_tile, channel), sums);
    }

    /// Copies what the block reads of channel `c` of picture `b`.
    fn pack<K: Kind>(&self, kind: &K, x: &[f32], b: usize, c: usize, to: &mut [K::Value]) {
        let [_, height, width] = &self.plan.axes;
        let plane = height.source * width.source;
        let pixels = self.dims.pixels(|span| span.input);
        let from = &x[(b * self.dims.in_channels + c) * pixels..][..pixels];
        self.plan.pack(
            &self.block,
            |z| [Some(&from[z * plane..][..plane]), None],
            |from, step, to| kind.fill(from[0].unwrap_or_default(), step, to),
            to,
        );
        // What is left of the distance between channels is multiplied by zeros, which must not meet a NaN.
        let used = to.len() - self.plan.spare(&self.block);
        to[used..].fill(K::Value::default());
    }

    /// Copies the gradients of the block's results in channel `c` of picture `b`, in rows as long as the input tile's.
    fn lay_out<K: Kind>(&self, kind: &K, grad: &[f32], b: usize, c: usize, to: &mut [K::Value]) {
        let Self { plan, block, .. } = self;
        let [_, height, width] = &plan.axes;
        let plane = height.count * width.count;
        let pixels = self.dims.pixels(|span| span.output);
        let from = &grad[(b * self.dims.out_channels + c) * pixels + block.z * plane..][..plane];
        for (row, to) in to
            .chunks_mut(plan.width(block))
            .take(block.rows)
            .enumerate()
        {
            let from = &from[(block.y + row) * width.count + block.x..];
            kind.fill(from, 1, &mut to[..block.columns]);
        }
    }
}
