//! Convolutions of bf16 values by tiles: as many rows and units as tiles have are worked out at one time.

use std::arch::x86_64::*;
use std::cell::Cell;

use rayon::prelude::*;

use super::input_tile::Reach;
use super::tile::{Product, store};
use super::units::{Weights, half};
use crate::amx::{self, ROWS, STEP, Tiles, Walk};
use crate::math::LANES;
use crate::simd::Simd;

/// Channels before and after from which tiles are worth it.
const LEAST: usize = 16;
/// Values of the sums of a walk.
pub(super) const SUMS: usize = ROWS * amx::COLUMNS;

/// Operands and sums, in lines of the cache.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(super) struct Line(pub(super) [u32; LANES]);

/// Sums of one walk.
#[repr(C, align(64))]
struct Sums([f32; SUMS]);

/// Weights as tiles read them: for each group, [`ROWS`] rows, tap and [`STEP`] units a block, with zeros where nothing is.
#[derive(Clone)]
pub(super) struct TileWeights {
    lines: Vec<[Line; ROWS]>,
    /// The taps that are there, by their number in the kernel.
    taps: Vec<usize>,
    /// Steps of a tap.
    depth: usize,
    /// Blocks of a group.
    group: usize,
}

/// What units are made of: a channel, and the one half of them later.
struct Lines<'a> {
    values: &'a [f32],
    row_step: usize,
    channel_step: usize,
    taps: &'a [usize],
    channels: usize,
}

impl Lines<'_> {
    /// Writes the blocks of some rows, `[taps, steps]`.
    ///
    /// # Safety
    /// The machine must have AVX-512 with BF16.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
    unsafe fn fill(&self, rows: std::ops::Range<usize>, blocks: &mut [[Line; ROWS]]) {
        let units = self.channels.div_ceil(2);
        let depth = units.div_ceil(STEP);
        let tap = self.taps.iter().max().copied().unwrap_or(0);
        let last = (rows.end - 1) * self.row_step + (self.channels - 1) * self.channel_step + tap;
        assert!(last < self.values.len() && (STEP * self.channel_step) < i32::MAX as usize);
        let lanes: [i32; LANES] = std::array::from_fn(|lane| (lane * self.channel_step) as i32);
        let mask = |count: usize| match count.min(STEP) {
            0 => 0,
            count => u16::MAX >> (STEP - count),
        };
        // SAFETY: all places that are read lie before the last one; the masks cover the channels that are there.
        unsafe {
            let lanes = _mm512_loadu_si512(lanes.as_ptr().cast());
            let gather = |mask: u16, from: usize| {
                let from = self.values.as_ptr().wrapping_add(from);
                _mm512_mask_i32gather_ps::<4>(_mm512_setzero_ps(), mask, lanes, from)
            };
            let order = _mm512_loadu_si512(super::x86::ORDER.as_ptr().cast());
            for step in 0..depth {
                let [low, high] = [step * STEP, units + step * STEP];
                let masks = [mask(units - low), mask(self.channels.saturating_sub(high))];
                for (to, row) in rows.clone().enumerate() {
                    for (at, tap) in self.taps.iter().enumerate() {
                        let from = row * self.row_step + tap;
                        let low = gather(masks[0], from + low * self.channel_step);
                        let high = gather(masks[1], from + high * self.channel_step);
                        let both = _mm512_cvtne2ps_pbh(high, low);
                        let both = std::mem::transmute::<__m512bh, __m512i>(both);
                        let line = &mut blocks[at * depth + step][to];
                        let units = _mm512_permutexvar_epi16(order, both);
                        _mm512_store_si512(line.0.as_mut_ptr().cast(), units);
                    }
                }
            }
        }
    }
}

impl TileWeights {
    /// The `taps` of the weights of groups of `rows` rows and `channels`, where tiles work the product out. `steps` are the
    /// distances between rows and between channels, `group_step` that between groups.
    pub(super) fn new(
        weights: &Weights<'_>,
        [groups, rows, channels]: [usize; 3],
        [row_step, channel_step]: [usize; 2],
        group_step: usize,
        taps: Vec<usize>,
    ) -> Option<Self> {
        let units = weights.channels;
        if !weights.tiles || taps.is_empty() {
            return None;
        }
        let depth = units.div_ceil(STEP);
        let steps = taps.len() * depth;
        let group = rows.div_ceil(ROWS) * steps;
        let mut lines = vec![[Line([0; LANES]); ROWS]; groups * group];
        let fill = |(at, blocks): (usize, &mut [[Line; ROWS]])| {
            let (of_group, first) = (at / (group / steps), at % (group / steps) * ROWS);
            let values = &weights.values[of_group * group_step..];
            let lines = Lines {
                values,
                row_step,
                channel_step,
                taps: &taps,
                channels,
            };
            // SAFETY: they are made where the instructions are.
            unsafe { lines.fill(first..rows.min(first + ROWS), blocks) };
        };
        lines
            .par_chunks_exact_mut(steps)
            .with_min_len((32 / steps).max(1))
            .enumerate()
            .for_each(fill);
        Some(Self {
            lines,
            taps,
            depth,
            group,
        })
    }

    /// The values `[rows, channels, taps]` of the only group.
    pub(super) fn values(&self, [rows, channels, taps]: [usize; 3]) -> Vec<f32> {
        let units = channels.div_ceil(2);
        let mut out = vec![0.0; rows * channels * taps];
        out.par_chunks_mut((channels * taps).max(1))
            .enumerate()
            .for_each(|(row, out)| {
                let blocks = &self.lines[row / ROWS * taps * self.depth..];
                for (at, value) in out.iter_mut().enumerate() {
                    let (channel, tap) = (at / taps, at % taps);
                    let unit = channel % units;
                    let block = &blocks[tap * self.depth + unit / STEP];
                    *value = half(block[row % ROWS].0[unit % STEP], channel >= units);
                }
            });
        out
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.lines[..])
    }

    /// Channels that an input tile has room for; those after the last hold zeros.
    pub(super) fn channels(&self) -> usize {
        self.depth * STEP
    }

    /// The steps of a walk through an input tile with `channel_step` between channels: places in bytes.
    pub(super) fn steps(&self, reaches: &[Reach], channel_step: usize) -> Vec<[usize; 2]> {
        let of = |reach: &Reach| {
            let tap = self.taps.iter().position(|tap| *tap == reach.index);
            let (tap, offset) = (tap.unwrap_or_default(), reach.offset);
            (0..self.depth).map(move |step| {
                [
                    (tap * self.depth + step) * size_of::<[Line; ROWS]>(),
                    (offset + step * STEP * channel_step) * size_of::<f32>(),
                ]
            })
        };
        reaches.iter().flat_map(of).collect()
    }

    /// Writes all results of a block of `group`.
    ///
    /// # Safety
    /// As for [`super::tile::multiply`]; the source must hold [`TileWeights::channels`], and `steps` must be of it.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
    pub(super) unsafe fn multiply(
        &self,
        group: usize,
        product: &Product<'_>,
        steps: &[[usize; 2]],
    ) {
        let vectors = &product.vectors.vectors;
        let (rows, source) = (product.out_rows.len(), product.source);
        let last = vectors.iter().map(|vector| vector.start).max().unwrap_or(0);
        let reach = steps.iter().map(|step| step[1] / size_of::<f32>()).max();
        let reach = reach.unwrap_or(0) + (STEP - 1) * product.channel_step;
        assert!(reach + last + LANES <= source.len());
        let each = self.taps.len() * self.depth;
        let blocks = &self.lines[group * self.group..][..self.group];
        assert!(blocks.len() >= rows.div_ceil(ROWS) * each);
        // SAFETY: such weights are made where tiles are.
        let tiles = unsafe { Tiles::new() };
        let mut sums = Sums([0.0; SUMS]);
        for (first, block) in (0..rows).step_by(ROWS).zip(blocks.chunks_exact(each)) {
            for pair in vectors.chunks(2) {
                let second = pair.get(1).map(|it| it.start - pair[0].start);
                let walk = Walk {
                    left: block.as_ptr().cast(),
                    right: source[pair[0].start..].as_ptr().cast(),
                    right_step: product.channel_step,
                    second,
                    steps,
                    out: sums.0.as_mut_ptr(),
                };
                // SAFETY: what is read was bounded above; the places of the output are the caller's promise.
                unsafe {
                    tiles.walk(&walk);
                    for row in first..rows.min(first + ROWS) {
                        let plane = product.out_start + product.out_rows[row];
                        let bias = product.bias.map_or(0.0, |bias| bias[row]);
                        let from = sums.0.as_ptr().add((row - first) * amx::COLUMNS);
                        for (at, vector) in pair.iter().enumerate() {
                            let sum = <__m512 as Simd>::load(from.add(at * LANES));
                            let sum = Simd::add(sum, <__m512 as Simd>::splat(bias));
                            store(product, plane, sum, vector);
                        }
                    }
                }
            }
        }
    }
}

thread_local! {
    /// Working memory of [`Dots::add`].
    static LINES: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Sums over the results of a block for one group: for each 32 channels after, 32 channels before and tap [`SUMS`] of them.
pub(super) struct Dots<'a> {
    /// Gradients, `[rows, length]`; rows and length are filled up to whole tiles.
    pub(super) grad: &'a [u16],
    pub(super) length: usize,
    /// The input tile, and the distance between its channels.
    pub(super) source: &'a [u16],
    pub(super) channels: usize,
    pub(super) channel_step: usize,
    pub(super) reaches: &'a [Reach],
    /// Taps of a channel's weight.
    pub(super) taps: usize,
}

impl Dots<'_> {
    /// Adds the sums of the 32 channels before from `first` on to `out`, `[channels after / 32, taps, 32, 32]`.
    ///
    /// # Safety
    /// The machine must have tiles, and AVX-512 with BF16.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
    pub(super) unsafe fn add(&self, first: usize, out: &mut [f32]) {
        let reach = self.reaches.iter().map(|reach| reach.offset).max();
        let places = (self.length + reach.unwrap_or(0)).next_multiple_of(LANES);
        let channels = amx::COLUMNS.min(self.channels - first);
        let wide = channels > LANES;
        let row_blocks = self.grad.len() / (self.length * ROWS);
        assert!(self.length.is_multiple_of(2 * STEP));
        assert!(self.reaches.iter().all(|reach| reach.index < self.taps));
        assert!(out.len() >= row_blocks * self.taps * SUMS);
        // A place has a unit of every channel: its value and the next one.
        let width = if wide { 2 } else { 1 };
        let mut lines = LINES.take();
        if lines.len() < places * width {
            lines.resize(places * width, Line([0; LANES]));
        }
        for part in 0..width {
            let from = (first + part * LANES) * self.channel_step;
            let count = LANES.min(channels - part * LANES);
            let last = from + (count - 1) * self.channel_step + places + LANES;
            assert!(last <= self.source.len());
            for place in (0..places).step_by(LANES) {
                // SAFETY: bounded above.
                unsafe {
                    let mut rows = [_mm512_setzero_ps(); LANES];
                    for (c, row) in rows.iter_mut().take(count).enumerate() {
                        let at = from + c * self.channel_step + place;
                        let at = self.source.as_ptr().add(at);
                        let [one, next] = [at, at.add(1)]
                            .map(|at| _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast())));
                        let both = _mm512_or_si512(one, _mm512_slli_epi32::<16>(next));
                        *row = _mm512_castsi512_ps(both);
                    }
                    let columns = crate::simd::transpose(rows);
                    for (i, column) in columns.into_iter().enumerate() {
                        let to = &mut lines[(place + i) * width + part];
                        _mm512_store_ps(to.0.as_mut_ptr().cast(), column);
                    }
                }
            }
        }
        // SAFETY: promised.
        let tiles = unsafe { Tiles::new() };
        for (at, out) in out
            .chunks_exact_mut(self.taps * SUMS)
            .take(row_blocks)
            .enumerate()
        {
            let grad = &self.grad[at * ROWS * self.length..];
            for reach in self.reaches {
                let out = out[reach.index * SUMS..].as_mut_ptr();
                let block = amx::Block {
                    left: grad.as_ptr().cast(),
                    left_step: self.length / 2,
                    right: lines[reach.offset * width..].as_ptr().cast(),
                    right_step: 2 * width * LANES,
                    wide,
                    steps: self.length / (2 * STEP),
                    before: out,
                    before_step: amx::COLUMNS,
                    out,
                    out_step: amx::COLUMNS,
                };
                // SAFETY: 32 rows of gradients, the lines of all places and 32 rows of sums are there.
                unsafe { tiles.block(&block) };
            }
        }
        LINES.set(lines);
    }
}

/// Whether products of so many channels of each group before and after are worked out by tiles.
pub(super) fn fit([before, after]: [usize; 2]) -> bool {
    before.min(after) >= LEAST && amx::available()
}
