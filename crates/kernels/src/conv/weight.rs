//! Gradient of a convolution's weight: for each channel before, channel after and tap a sum over all results.

use rayon::prelude::*;

use super::axis::{Axis, merged};
use super::dims::ConvDims;
use super::strip::{Block, Limits, Plan, Reach};
use crate::lanes::{Lanes, Portable};
use crate::level::{Level, leveled};
use crate::math::{LANES, fold};

/// Blocks: the results over which one sum runs before it is added to the gradient.
const LIMITS: Limits = Limits {
    strip: 1024 * 1024,
    apart: 1024 * 1024,
    results: 1536,
    parts: 1,
};
/// Rows of the gradient that one task computes.
const ROWS: usize = 8;

/// A vector of factors, or of sums.
pub(super) trait Dot: Copy {
    type Value;
    /// Factors in a vector.
    const VALUES: usize;

    /// # Safety
    /// For this and the other functions: the machine must have the instructions of the type.
    unsafe fn zero() -> Self;

    /// # Safety
    /// See [`Dot::zero`]; the values must be readable.
    unsafe fn load(from: *const Self::Value) -> Self;

    /// `to` and the products of `self` and `by`.
    ///
    /// # Safety
    /// See [`Dot::zero`].
    unsafe fn mul_add(self, by: Self, to: Self) -> Self;

    /// The sum of all sums.
    ///
    /// # Safety
    /// See [`Dot::zero`].
    unsafe fn total(self) -> f32;
}

impl<V: Lanes> Dot for V {
    type Value = f32;
    const VALUES: usize = LANES;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: handed down.
        unsafe { <V as Lanes>::zero() }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: handed down.
        unsafe { <V as Lanes>::load(from) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, by: Self, to: Self) -> Self {
        // SAFETY: handed down.
        unsafe { <V as Lanes>::mul_add(self, by, to) }
    }

    #[inline(always)]
    unsafe fn total(self) -> f32 {
        let mut lanes = [0.0; LANES];
        // SAFETY: handed down; there is room for sixteen values.
        unsafe { self.store(lanes.as_mut_ptr()) };
        fold(lanes)
    }
}

/// A block of results and what it was made of.
pub(super) struct Sums<'a, T> {
    /// Gradients, `[rows, length]`, laid out as the strip, zero where no result is.
    pub(super) grad: &'a [T],
    pub(super) rows: usize,
    pub(super) length: usize,
    /// The strip, and the distance between its channels.
    pub(super) source: &'a [T],
    pub(super) channels: usize,
    pub(super) channel_step: usize,
    pub(super) reaches: &'a [Reach],
    /// Taps of a channel's weight.
    pub(super) taps: usize,
}

impl<T> Sums<'_, T> {
    /// Panics unless the slices hold what is read and written.
    fn check(&self, values: usize, out: &[f32]) {
        assert!(self.length.is_multiple_of(values) && self.grad.len() >= self.rows * self.length);
        let offset = self.reaches.iter().map(|reach| reach.offset).max();
        let last = (self.channels - 1) * self.channel_step + offset.unwrap_or(0) + self.length;
        assert!(last <= self.source.len());
        assert!(self.reaches.iter().all(|reach| reach.index < self.taps));
        assert!(out.len() == self.rows * self.channels * self.taps);
    }
}

leveled! {
    fn dots_values(sums: &Sums<'_, f32>, out: &mut [f32]) {
        // SAFETY: `WIDE` and `FMA` are set where the instructions exist.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{__m256, __m512};
                if WIDE {
                    return dots::<__m512, 8, 3>(sums, out);
                }
                if FMA {
                    return dots::<[__m256; 2], 2, 2>(sums, out);
                }
            }
            dots::<Portable<FMA>, 2, 2>(sums, out);
        }
    }
}

/// Adds to `out` `[rows, channels, taps]` the sums over the block.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn dots<V: Dot, const R: usize, const C: usize>(
    sums: &Sums<'_, V::Value>,
    out: &mut [f32],
) {
    sums.check(V::VALUES, out);
    let mut row = 0;
    // SAFETY: handed down; rows lie inside.
    unsafe {
        while row + R <= sums.rows {
            columns::<V, R, C>(sums, row, out);
            row += R;
        }
        if R > 4 && row + 4 <= sums.rows {
            columns::<V, 4, C>(sums, row, out);
            row += 4;
        }
        if R > 2 && row + 2 <= sums.rows {
            columns::<V, 2, C>(sums, row, out);
            row += 2;
        }
        if row < sums.rows {
            columns::<V, 1, 5>(sums, row, out);
        }
    }
}

/// The sums of `R` rows.
///
/// # Safety
/// As for [`dots`].
#[inline(always)]
unsafe fn columns<V: Dot, const R: usize, const C: usize>(
    sums: &Sums<'_, V::Value>,
    row: usize,
    out: &mut [f32],
) {
    let taps = sums.reaches.len();
    let mut column = 0;
    // SAFETY: handed down.
    unsafe {
        while column + C <= sums.channels * taps {
            tile::<V, R, C>(sums, row, column, out);
            column += C;
        }
        while column < sums.channels * taps {
            tile::<V, R, 1>(sums, row, column, out);
            column += 1;
        }
    }
}

/// The sums of `R` rows and `C` pairs of a channel and a tap.
///
/// # Safety
/// As for [`dots`].
#[inline(always)]
unsafe fn tile<V: Dot, const R: usize, const C: usize>(
    sums: &Sums<'_, V::Value>,
    row: usize,
    column: usize,
    out: &mut [f32],
) {
    let taps = sums.reaches.len();
    let at = |c: usize| ((column + c) / taps, sums.reaches[(column + c) % taps]);
    let starts: [usize; C] = std::array::from_fn(|c| {
        let (channel, reach) = at(c);
        channel * sums.channel_step + reach.offset
    });
    // SAFETY: `check` bounded all places that are read.
    unsafe {
        let mut totals = [[V::zero(); C]; R];
        let grad = sums.grad.as_ptr().wrapping_add(row * sums.length);
        let source = sums.source.as_ptr();
        for i in (0..sums.length).step_by(V::VALUES) {
            let mut read = [V::zero(); C];
            for (read, start) in read.iter_mut().zip(starts) {
                *read = V::load(source.wrapping_add(start + i));
            }
            for (r, totals) in totals.iter_mut().enumerate() {
                let by = V::load(grad.wrapping_add(r * sums.length + i));
                for (total, read) in totals.iter_mut().zip(read) {
                    *total = by.mul_add(read, *total);
                }
            }
        }
        for (r, totals) in totals.into_iter().enumerate() {
            for (c, total) in totals.into_iter().enumerate() {
                let (channel, reach) = at(c);
                let place = ((row + r) * sums.channels + channel) * sums.taps + reach.index;
                out[place] += total.total();
            }
        }
    }
}

/// How the values of a block are read, rounded and multiplied.
trait Kind: Sync {
    type Value: Copy + Default + Send + Sync;
    const VALUES: usize;

    fn fill(&self, from: &[f32], step: usize, to: &mut [Self::Value]);

    fn dots(&self, sums: &Sums<'_, Self::Value>, out: &mut [f32]);
}

struct Values(Level);

impl Kind for Values {
    type Value = f32;
    const VALUES: usize = LANES;

    fn fill(&self, from: &[f32], step: usize, to: &mut [f32]) {
        super::copy(from, step, to);
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
        return of_kind(&Rounded, grad, x, dims);
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
    let mut sums = vec![0.0; dims.weight_len()];
    let (mut strip, mut grads) = (Vec::new(), Vec::new());
    for b in 0..dims.batch {
        for i in 0..plan.len() {
            let at = At {
                dims,
                plan: &plan,
                block: plan.block(i),
                b,
            };
            at.add(kind, [grad, x], &mut strip, &mut grads, &mut sums);
        }
    }
    sums
}

/// One block of one picture.
struct At<'a> {
    dims: &'a ConvDims,
    plan: &'a Plan,
    block: Block,
    b: usize,
}

impl At<'_> {
    fn add<K: Kind>(
        &self,
        kind: &K,
        [grad, x]: [&[f32]; 2],
        strip: &mut Vec<K::Value>,
        grads: &mut Vec<K::Value>,
        sums: &mut [f32],
    ) {
        let Self {
            dims,
            plan,
            block,
            b,
        } = self;
        let reaches = plan.reaches(block);
        if reaches.is_empty() {
            return;
        }
        let (channel, width) = (plan.channel(block), plan.width(block));
        let length = ((block.rows - 1) * width + block.columns).next_multiple_of(K::VALUES);
        let [source, result] = [
            dims.pixels(|span| span.input),
            dims.pixels(|span| span.output),
        ];
        strip.resize(dims.in_channels * channel + length, K::Value::default());
        grads.resize(dims.out_channels * length, K::Value::default());
        let [_, y, x_axis] = &plan.axes;
        let plane = y.source * x_axis.source;
        let (parts, rest) = strip.split_at_mut(dims.in_channels * channel);
        rest.fill(K::Value::default());
        parts
            .par_chunks_exact_mut(channel)
            .enumerate()
            .for_each(|(c, to)| {
                let from = &x[(b * dims.in_channels + c) * source..][..source];
                plan.pack(
                    block,
                    |z| [Some(&from[z * plane..][..plane]), None],
                    |from, step, to| kind.fill(from[0].unwrap_or_default(), step, to),
                    to,
                );
            });
        let plane = y.count * x_axis.count;
        grads
            .par_chunks_exact_mut(length)
            .enumerate()
            .for_each(|(c, to)| {
                let from = &grad[(b * dims.out_channels + c) * result + block.z * plane..][..plane];
                to.fill(K::Value::default());
                for (row, to) in to.chunks_mut(width).take(block.rows).enumerate() {
                    let from = &from[(block.y + row) * x_axis.count + block.x..];
                    kind.fill(from, 1, &mut to[..block.columns]);
                }
            });
        let [ins, outs] = [dims.in_channels, dims.out_channels].map(|all| all / dims.groups);
        let row = ins * dims.taps();
        let (strip, grads) = (&strip[..], &grads[..]);
        sums.par_chunks_exact_mut(outs * row)
            .enumerate()
            .for_each(|(g, sums)| {
                sums.par_chunks_mut(ROWS * row)
                    .enumerate()
                    .for_each(|(i, sums)| {
                        let rows = sums.len() / row;
                        let block = Sums {
                            grad: &grads[(g * outs + i * ROWS) * length..],
                            rows,
                            length,
                            source: &strip[g * ins * channel..],
                            channels: ins,
                            channel_step: channel,
                            reaches: &reaches,
                            taps: dims.taps(),
                        };
                        kind.dots(&block, sums);
                    });
            });
    }
}
