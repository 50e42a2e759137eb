//! Strips: the part of a picture that a block of results reads, copied with its padding, so that every tap reads
//! it at one fixed distance.

use std::cell::Cell;

use super::axis::{Axis, Grid};
use crate::math::LANES;

/// Limits of the blocks of a plan.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Values that an input tile may hold, about.
    pub(super) input_tile: usize,
    /// The same where neighbouring blocks read nothing in common.
    pub(super) apart: usize,
    /// Results of a block.
    pub(super) results: usize,
    /// Blocks to be made at least, where there is room for them.
    pub(super) parts: usize,
}

/// The part of a kernel that takes part in a block, and where it reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Number of the tap in the kernel.
    pub(super) index: usize,
    /// Distance in the input tile from the place of a result.
    pub(super) offset: usize,
}

/// How results along three axes are cut into blocks: one plane at a time, some rows and columns of it.
pub(super) struct Plan {
    pub(super) axes: [Axis; 3],
    y: Grid,
    x: Grid,
    /// Taps along the second and the third axis.
    kernel: [usize; 2],
    /// Largest size of a block.
    rows: usize,
    columns: usize,
}

/// A block of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) z: usize,
    /// First row and column, and their number.
    pub(super) y: usize,
    pub(super) x: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Plan {
    /// `channels` is the number of elements that an input tile has for each place.
    pub(super) fn new(
        axes: [Axis; 3],
        kernel: [usize; 2],
        channels: usize,
        limits: Limits,
    ) -> Self {
        let [z, y, x] = &axes;
        let (y_grid, x_grid) = (Grid::new(y), Grid::new(x));
        let phases = y_grid.phases.len() * x_grid.phases.len();
        let depth = (channels * z.taps.len() * phases).max(1);
        let apart = y_grid.reach + x_grid.reach == 0;
        let values = if apart {
            limits.apart
        } else {
            limits.input_tile
        };
        let places = (values / depth).min(limits.results).max(3 * LANES);
        let parts = limits.parts.div_ceil(z.count.max(1));
        let width = x.count + x_grid.reach;
        let by_budget = (places / width).saturating_sub(y_grid.reach).max(1);
        let rows = by_budget.min(y.count.div_ceil(parts)).max(1);
        let columns = if width <= places {
            x.count
        } else {
            places.saturating_sub(x_grid.reach).max(places / 2)
        };
        let parts = parts.div_ceil(y.count.max(1));
        let columns = columns.min(x.count.div_ceil(parts)).max(1);
        Self {
            rows: even(y.count, rows, 1),
            columns: even(x.count, columns, 3 * LANES),
            y: y_grid,
            x: x_grid,
            kernel,
            axes,
        }
    }

    /// Blocks along each axis.
    fn blocks(&self) -> [usize; 3] {
        let [z, y, x] = &self.axes;
        [
            z.count,
            y.count.div_ceil(self.rows),
            x.count.div_ceil(self.columns),
        ]
    }

    /// Number of blocks.
    pub(super) fn len(&self) -> usize {
        self.blocks().iter().product()
    }

    /// Block number `i`.
    pub(super) fn block(&self, i: usize) -> Block {
        let [_, ys, xs] = self.blocks();
        let (z, y, x) = (
            i / (ys * xs),
            i / xs % ys * self.rows,
            i % xs * self.columns,
        );
        Block {
            z,
            y,
            x,
            rows: self.rows.min(self.axes[1].count - y),
            columns: self.columns.min(self.axes[2].count - x),
        }
    }

    /// What blocks share that are computed in the same way: rows, columns, and taps along the first axis.
    pub(super) fn key(&self, block: &Block) -> (usize, usize, Vec<usize>) {
        let taps = self.planes(block).map(|(tap, _)| tap);
        (block.rows, block.columns, taps.collect())
    }

    /// Values of a row of the input tile of `block`.
    pub(super) fn width(&self, block: &Block) -> usize {
        block.columns + self.x.reach
    }

    /// Values of one phase of one plane.
    fn phase(&self, block: &Block) -> usize {
        (block.rows + self.y.reach) * self.width(block)
    }

    /// Planes of the input that `block` reads: the tap that reads it and its number.
    fn planes(&self, block: &Block) -> impl Iterator<Item = (usize, usize)> {
        let z = &self.axes[0];
        let start = (block.z * z.stride) as isize;
        z.taps.iter().filter_map(move |tap| {
            let plane = usize::try_from(start + tap.at).ok()?;
            (plane < z.source).then_some((tap.index, plane))
        })
    }

    /// Distance between the channels of the input tile of `block`. It is odd in lines of a cache, so that channels do not
    /// fall on the same places of it.
    pub(super) fn channel(&self, block: &Block) -> usize {
        let phases = self.y.phases.len() * self.x.phases.len();
        match self.planes(block).count() * phases * self.phase(block) {
            0 => 0,
            size => (size.div_ceil(LANES) | 1) * LANES,
        }
    }

    /// Values at the end of a channel's distance that the input tile of `block` does not use.
    pub(super) fn spare(&self, block: &Block) -> usize {
        let phases = self.y.phases.len() * self.x.phases.len();
        self.channel(block) - self.planes(block).count() * phases * self.phase(block)
    }

    /// The taps that `block` reads; those that would read planes of zeros are left out.
    pub(super) fn reaches(&self, block: &Block) -> Vec<Reach> {
        let (width, phase) = (self.width(block), self.phase(block));
        let phases = [self.y.phases.len(), self.x.phases.len()];
        let mut reaches = Vec::new();
        for (i, (z, _)) in self.planes(block).enumerate() {
            for [y, y_phase, row] in &self.y.taps {
                for [x, x_phase, column] in &self.x.taps {
                    let number = (i * phases[0] + y_phase) * phases[1] + x_phase;
                    reaches.push(Reach {
                        index: (z * self.kernel[0] + y) * self.kernel[1] + x,
                        offset: number * phase + row * width + column,
                    });
                }
            }
        }
        reaches
    }

    /// The kernel's rows and columns in the order in which they stand in an input tile, where it has one plane and one
    /// phase and its rows follow one another: the number of each, and the place of each column.
    pub(super) fn dense_kernel(&self) -> Option<(Vec<usize>, Vec<[usize; 2]>)> {
        let sorted = |grid: &Grid| {
            let mut taps: Vec<[usize; 2]> = grid.taps.iter().map(|tap| [tap[2], tap[0]]).collect();
            taps.sort_unstable();
            taps
        };
        let (rows, columns) = (sorted(&self.y), sorted(&self.x));
        let follow = rows.iter().enumerate().all(|(i, row)| row[0] == i);
        let plain = [&self.y, &self.x].map(|grid| grid.phases.len()) == [1, 1];
        let plane = &self.axes[0];
        (follow && plain && plane.taps.len() == 1).then(|| {
            let rows = rows.iter().map(|row| row[1]).collect();
            (
                rows,
                columns.iter().map(|[at, index]| [*index, *at]).collect(),
            )
        })
    }

    /// Copies what `block` reads of one channel to `to`; `fill` writes a run of places, `step` apart in the rows it
    /// gets. The channel may consist of two: `source` gives the values of a plane of each, where there are any.
    #[inline(always)]
    pub(super) fn pack<'a, E: Copy + Default>(
        &self,
        block: &Block,
        source: impl Fn(usize) -> [Option<&'a [f32]>; 2],
        fill: impl Fn([Option<&'a [f32]>; 2], usize, &mut [E]),
        to: &mut [E],
    ) {
        let [_, y, x] = &self.axes;
        let width = self.width(block);
        let mut rows = to.chunks_exact_mut(width);
        let first_y = block.y as isize + self.y.low;
        let first_x = block.x as isize + self.x.low;
        for (_, plane) in self.planes(block) {
            let planes = source(plane);
            for y_phase in &self.y.phases {
                for x_phase in &self.x.phases {
                    let columns = inside(first_x, width, *x_phase, x.stride, x.source);
                    for i in 0..block.rows + self.y.reach {
                        let Some(to) = rows.next() else { return };
                        let row = (first_y + i as isize) * y.stride as isize + *y_phase as isize;
                        let row = usize::try_from(row).ok().filter(|&row| row < y.source);
                        let (Some(row), true) = (row, columns.start < columns.end) else {
                            to.fill(E::default());
                            continue;
                        };
                        let at = (first_x + columns.start as isize) * x.stride as isize;
                        let start = row * x.source + (at + *x_phase as isize) as usize;
                        let end = (row + 1) * x.source;
                        to[..columns.start].fill(E::default());
                        to[columns.end..].fill(E::default());
                        let planes = planes.map(|plane| plane.map(|plane| &plane[start..end]));
                        fill(planes, x.stride, &mut to[columns.clone()]);
                    }
                }
            }
        }
    }
}

/// The taps of all channels, as if they were taps of one: `source` and `weight` are the distances between channels.
pub(super) fn spread(
    reaches: &[Reach],
    channels: usize,
    source: usize,
    weight: usize,
) -> Vec<Reach> {
    let of = |channel: usize| {
        reaches.iter().map(move |reach| Reach {
            index: reach.index + channel * weight,
            offset: reach.offset + channel * source,
        })
    };
    (0..channels).flat_map(of).collect()
}

/// Which of `count` places from `first` on of a phase lie inside a row of `length` values.
fn inside(
    first: isize,
    count: usize,
    phase: usize,
    stride: usize,
    length: usize,
) -> std::ops::Range<usize> {
    let [stride, phase, length] = [stride, phase, length].map(|n| n as isize);
    // Place p holds value p · stride + phase.
    let before = |limit: isize| (limit - phase + stride - 1).div_euclid(stride) - first;
    let [start, end] = [before(0), before(length)].map(|n| n.clamp(0, count as isize) as usize);
    start..end
}

/// A size of parts of at most `most` that cuts `length` into equal ones, rounded up to a multiple of `unit`.
fn even(length: usize, most: usize, unit: usize) -> usize {
    let parts = length.div_ceil(most.max(1)).max(1);
    length.div_ceil(parts).next_multiple_of(unit).max(1)
}

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Working memory of this thread, `len` values that may hold anything.
pub(super) fn with_scratch(len: usize, work: impl FnOnce(&mut [f32])) {
    let mut memory = SCRATCH.take();
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
    work(&mut memory[..len]);
    SCRATCH.set(memory);
}
