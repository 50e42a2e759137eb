//! Results of a convolution or of its gradient, block by block.

use std::borrow::Cow;

use rayon::prelude::*;

use super::axis::Axis;
use super::depthwise::{self, Kernel};
use super::input_tile::{Block, Limits, Plan, Reach, spread, with_scratch};
use super::tile::{self, Product, Vectors};
use super::units::{Weights, copy, interleave};
use crate::activation::{Activation, activate};
use crate::level::Level;
use crate::math::LANES;
use crate::parallel::{Strips, collect, portion};

/// Blocks of results: input tiles take half of a usual second-level cache, or as much as a first-level one where nothing
/// is gained by larger ones.
const LIMITS: Limits = Limits {
    input_tile: 128 * 1024,
    apart: 32 * 1024,
    results: usize::MAX,
    parts: 1,
};
/// Taps that make a short loop.
const FEW: usize = 5;
/// Multiplications from which a convolution is worth several threads.
const LARGE: usize = portion(128 * 128 * 64, 1024);

/// Sums over the `channels` of a group, one for each of its rows and each place.
pub(super) struct Job<'a> {
    pub(super) level: Level,
    pub(super) batch: usize,
    pub(super) groups: usize,
    pub(super) channels: usize,
    /// Where each row of a group starts in the group's results.
    pub(super) rows: Vec<usize>,
    /// `[batch, groups · channels, axes..]`.
    pub(super) source: &'a [f32],
    pub(super) weights: Weights<'a>,
    /// Distance in the weights between rows and between channels, and between groups.
    pub(super) steps: [usize; 2],
    pub(super) group_step: usize,
    /// `[groups · rows]`.
    pub(super) bias: Option<Cow<'a, [f32]>>,
    /// What is done to the results.
    pub(super) then: Option<Activation>,
    /// Results of a group, and the places along the axes of one of its channels.
    pub(super) size: usize,
    pub(super) extent: [usize; 3],
    /// Taps along the second and the third axis.
    pub(super) kernel: [usize; 2],
}

/// What blocks of one shape have in common.
struct Shape {
    /// Rows, columns, and the taps along the first axis that read something.
    key: (usize, usize, Vec<usize>),
    /// Distance between channels in the input tile.
    channel: usize,
    vectors: Vectors,
    reaches: Vec<Reach>,
    /// Channels over which the reaches are repeated.
    channels: usize,
    /// The steps of tiles, where those are used.
    #[cfg(target_arch = "x86_64")]
    steps: Vec<[usize; 2]>,
}

/// Weights for tiles, on machines that may have some.
#[cfg(target_arch = "x86_64")]
type ForTiles<'a> = Option<Cow<'a, super::tiles::TileWeights>>;
#[cfg(not(target_arch = "x86_64"))]
type ForTiles<'a> = Option<&'a std::convert::Infallible>;

impl Job<'_> {
    /// The results, `len` of them. The `parts` must together write each one once; their bits do not depend on how
    /// they are cut into blocks.
    pub(super) fn run(&self, len: usize, parts: &[[Axis; 3]]) -> Vec<f32> {
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
        let work = (self.rows.len() * self.channels)
            .saturating_mul(taps)
            .saturating_mul(places);
        let threads = rayon::current_num_threads();
        let parallel = work.saturating_mul(pictures) >= LARGE && threads > 1;
        let parts = if parallel {
            (2 * threads).div_ceil(pictures)
        } else {
            1
        };
        let limits = Limits { parts, ..LIMITS };
        let plan = Plan::new(axes.clone(), self.kernel, self.weights.channels, limits);
        let alone = self.rows.len() == 1 && self.channels == 1;
        let kernel = alone.then(|| Kernel::new(&plan, self.kernel[1])).flatten();
        let tiles = self.for_tiles(axes);
        let mut shapes: Vec<Shape> = Vec::new();
        let blocks: Vec<(Block, usize)> = (0..plan.len())
            .map(|i| {
                let block = plan.block(i);
                let key = plan.key(&block);
                let known = shapes.iter().position(|shape| shape.key == key);
                let number = known.unwrap_or_else(|| {
                    shapes.push(self.shape(&plan, &block, key, &tiles));
                    shapes.len() - 1
                });
                (block, number)
            })
            .collect();
        let task = |i: usize| {
            let (block, shape) = &blocks[i % blocks.len()];
            let (shape, picture) = (&shapes[*shape], i / blocks.len());
            match &kernel {
                Some(kernel) if shape.channel > 0 => {
                    self.channel(&plan, kernel, block, shape, picture, out);
                }
                _ => self.block(&plan, block, shape, picture, &tiles, out),
            }
        };
        let tasks = pictures * blocks.len();
        if parallel {
            let least = (LARGE / 4 / (work / blocks.len()).max(1)).clamp(1, tasks);
            (0..tasks)
                .into_par_iter()
                .with_min_len(least)
                .for_each(task);
        } else {
            (0..tasks).for_each(task);
        }
    }

    /// The weights of the taps of `axes` for tiles, where those are worth it.
    #[cfg(target_arch = "x86_64")]
    fn for_tiles(&self, [z, y, x]: &[Axis; 3]) -> ForTiles<'_> {
        if let Some(ready) = self.weights.ready {
            return Some(Cow::Borrowed(ready));
        }
        let [height, width] = self.kernel;
        let mut taps = Vec::new();
        for z in &z.taps {
            for y in &y.taps {
                let row = (z.index * height + y.index) * width;
                taps.extend(x.taps.iter().map(|x| row + x.index));
            }
        }
        super::tiles::TileWeights::new(
            &self.weights,
            [self.groups, self.rows.len(), self.channels],
            self.steps,
            self.group_step,
            taps,
        )
        .map(Cow::Owned)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn for_tiles(&self, _: &[Axis; 3]) -> ForTiles<'_> {
        None
    }

    fn shape(
        &self,
        plan: &Plan,
        block: &Block,
        key: (usize, usize, Vec<usize>),
        tiles: &ForTiles<'_>,
    ) -> Shape {
        let [_, y, x] = &plan.axes;
        let line = self.extent[2];
        let place = |row: usize, column: usize| row * y.step * line + column * x.step;
        let channel = plan.channel(block);
        let (mut reaches, mut channels) = (plan.reaches(block), self.weights.channels);
        #[cfg(target_arch = "x86_64")]
        let steps = tiles
            .as_ref()
            .map_or_else(Vec::new, |tiles| tiles.steps(&reaches, channel));
        if reaches.len() < FEW && tiles.is_none() {
            // One long loop over channels and taps is faster than many short ones.
            reaches = spread(&reaches, channels, channel, self.steps[1]);
            channels = 1;
        }
        Shape {
            key,
            channel,
            vectors: Vectors::new(block, plan.width(block), x.step, place),
            reaches,
            channels,
            #[cfg(target_arch = "x86_64")]
            steps,
        }
    }

    /// Place of the first result of `block` of a group of a picture.
    fn origin(&self, plan: &Plan, block: &Block, picture: usize) -> usize {
        let at = [block.z, block.y, block.x];
        let places = plan.axes.iter().zip(at).zip(self.extent);
        let inside = places.fold(0, |place, ((axis, at), extent)| {
            place * extent + axis.first + at * axis.step
        });
        picture * self.size + inside
    }

    /// Copies what `block` of a group reads, `[channels, values of a channel]`.
    fn pack(
        &self,
        plan: &Plan,
        block: &Block,
        size: usize,
        picture: usize,
        input_tile: &mut [f32],
    ) {
        if size == 0 {
            return;
        }
        let [z, y, x] = &plan.axes;
        let plane = y.source * x.source;
        let pixels = z.source * plane;
        let source = &self.source[picture * self.channels * pixels..][..self.channels * pixels];
        let channels = self.weights.channels;
        for (c, to) in input_tile.chunks_exact_mut(size).take(channels).enumerate() {
            let of = |c: usize, z: usize| {
                (c < self.channels).then(|| &source[c * pixels + z * plane..][..plane])
            };
            if self.weights.pairs {
                plan.pack(block, |z| [of(c, z), of(c + channels, z)], interleave, to);
            } else {
                let fill = |from: [Option<&[f32]>; 2], step, to: &mut [f32]| {
                    copy(from[0].unwrap_or_default(), step, to);
                };
                plan.pack(block, |z| [of(c, z), None], fill, to);
            }
        }
    }

    /// Computes `block` of a group of a picture.
    fn block(
        &self,
        plan: &Plan,
        block: &Block,
        shape: &Shape,
        picture: usize,
        tiles: &ForTiles<'_>,
        out: &Strips<'_>,
    ) {
        let (group, rows) = (picture % self.groups, self.rows.len());
        let bias = self.bias.as_deref();
        let channels = self.weights.channels;
        #[cfg(target_arch = "x86_64")]
        let room = tiles.as_ref().map_or(channels, |tiles| tiles.channels());
        #[cfg(not(target_arch = "x86_64"))]
        let room = channels;
        with_scratch(room * shape.channel + LANES, |input_tile| {
            self.pack(plan, block, shape.channel, picture, input_tile);
            input_tile[channels * shape.channel..room * shape.channel].fill(0.0);
            let product = Product {
                source: input_tile,
                channels: shape.channels,
                channel_step: shape.channel,
                reaches: &shape.reaches,
                weight: &self.weights.values[group * self.group_step..],
                weight_steps: self.steps,
                bias: bias.map(|bias| &bias[group * rows..][..rows]),
                vectors: &shape.vectors,
                out,
                out_start: self.origin(plan, block, picture),
                out_rows: &self.rows,
            };
            match tiles {
                #[cfg(target_arch = "x86_64")]
                Some(tiles) if !shape.steps.is_empty() => {
                    // SAFETY: the places of a block of a picture belong to one task; the steps are of these weights.
                    unsafe { tiles.multiply(group, &product, &shape.steps) };
                }
                _ => {
                    // SAFETY: as above; operands are units where `pairs`.
                    unsafe { tile::multiply(self.level, self.weights.pairs, &product) };
                }
            }
            for row in &self.rows {
                // SAFETY: as above; they were written.
                unsafe { self.finish(plan, block, product.out_start + row, out) };
            }
        });
    }

    /// Computes `block` of a channel by its own.
    fn channel(
        &self,
        plan: &Plan,
        kernel: &Kernel,
        block: &Block,
        shape: &Shape,
        picture: usize,
        out: &Strips<'_>,
    ) {
        let group = picture % self.groups;
        with_scratch(shape.channel + LANES, |input_tile| {
            self.pack(plan, block, shape.channel, picture, input_tile);
            let channel = depthwise::Channel {
                kernel,
                block: *block,
                source: input_tile,
                width: plan.width(block),
                weight: &self.weights.values[group * self.group_step..],
                bias: self.bias.as_ref().map_or(0.0, |bias| bias[group]),
                out,
                out_start: self.origin(plan, block, picture),
                out_step: self.extent[2],
            };
            // SAFETY: the places of a block of a picture belong to one task.
            unsafe { depthwise::convolve(self.level, &channel) };
            // SAFETY: as above; they were written.
            unsafe { self.finish(plan, block, channel.out_start, out) };
        });
    }

    /// Does to the results of `block` in the plane at `start` what is to be done.
    ///
    /// # Safety
    /// They must have been written, and no other task may hold them.
    unsafe fn finish(&self, plan: &Plan, block: &Block, start: usize, out: &Strips<'_>) {
        let Some(then) = self.then else { return };
        let [_, y, x] = &plan.axes;
        // An activation follows a forward convolution only, whose results lie next to each other.
        debug_assert!(x.step == 1);
        let line = y.step * self.extent[2];
        // Whole lines lie together.
        let (rows, columns) = match line == block.columns {
            true => (1, block.rows * line),
            false => (block.rows, block.columns),
        };
        for row in 0..rows {
            // SAFETY: handed down.
            let values = unsafe { out.row(start + row * line, columns).assume_init_mut() };
            activate(self.level, then, values);
        }
    }
}
