//! Forward pass of some queries of a head: one block of keys after the other, with a running softmax.

use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::Attention;
use super::buffer::Buffer;
use super::format::{Format, for_each_machine};
use super::mask::{Tile, View};
use super::pack::{Rows, Target, left, pack_across, pack_along, pack_columns};
use super::rows::{Running, add_bias, probabilities};
use crate::math::LANES;
use crate::parallel::{Strips, portion};
use crate::tile::{Left, Out, Right, padded};

/// Keys whose scores are in memory at one time; a multiple of two.
const KEYS: usize = portion(128, 16);

/// Working memory of one task.
#[derive(Default)]
pub(super) struct Scratch {
    /// Queries by columns.
    q: Buffer,
    /// A block of keys and of values.
    k: Buffer,
    v: Buffer,
    /// Scores of a block, then probabilities, `[keys, queries of a panel]`.
    scores: Buffer,
    /// Sums of results, `[queries, head]`.
    out: Buffer,
    running: Vec<Running>,
}

for_each_machine! {
    /// Writes the results of queries `range` of head `h` and their logarithms of sums.
    pub(super) fn forward(
        input: &Attention<'_>,
        b: usize,
        h: usize,
        range: Range<usize>,
        scratch: &mut Scratch,
        out: &Strips<'_>,
        sums: &Strips<'_>,
    ) = run
}

/// The body of [`forward`].
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn run<F: Format>(
    input: &Attention<'_>,
    b: usize,
    h: usize,
    range: Range<usize>,
    scratch: &mut Scratch,
    out: &Strips<'_>,
    sums: &Strips<'_>,
) {
    let dims = input.dims;
    let (wide, lanes) = (padded(dims.values), padded(range.len()));
    let places = F::places(dims.head);
    let scale = LOG2_E * dims.scale();
    let q = input.rows(input.q, dims.head, b, h, range.clone());
    // SAFETY: the instructions are promised.
    unsafe { pack_columns::<F>(&q, &mut scratch.q) };
    scratch.out.zeros(lanes * wide);
    scratch.running.clear();
    scratch.running.resize(lanes / LANES, Running::START);
    scratch.scores.grow(KEYS * F::COLUMNS);
    let mut start = 0;
    while start < dims.keys {
        let keys = start..dims.keys.min(start + KEYS);
        let mut packed = false;
        let mut first = 0;
        while first < lanes {
            let width = F::COLUMNS.min(lanes - first);
            let queries = range.start + first..range.end.min(range.start + first + width);
            let tile = Tile {
                b,
                h,
                queries,
                keys: keys.clone(),
            };
            let view = input.mask.view(dims, &tile);
            if view != View::Nothing {
                let h = h / dims.group;
                let k = input.rows(input.k, dims.head, b, h, keys.clone());
                // SAFETY: the instructions are promised.
                unsafe {
                    if !packed {
                        pack_along::<F>(&k, &mut scratch.k);
                        let v = input.rows(input.v, dims.values, b, h, keys.clone());
                        pack_across::<F>(&v, &mut scratch.v);
                        packed = true;
                    }
                    attend::<F>(
                        input,
                        &tile,
                        view,
                        &k,
                        scratch,
                        [first, width, places],
                        scale,
                    );
                }
            }
            first += F::COLUMNS;
        }
        start += KEYS;
    }
    // SAFETY: the callers give each task queries of its own.
    unsafe { finish(input, b, h, range, scratch, out, sums) };
}

/// Adds what the queries of a tile, `width` from `first` on, see of its keys.
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
unsafe fn attend<F: Format>(
    input: &Attention<'_>,
    tile: &Tile,
    view: View,
    k: &Rows<'_>,
    scratch: &mut Scratch,
    [first, width, places]: [usize; 3],
    scale: f32,
) {
    let (keys, count) = (tile.keys.len(), tile.queries.len());
    let (groups, wide) = (width / LANES, padded(input.dims.values));
    let scores = &mut scratch.scores[..KEYS * width];
    let left = left::<F>(k, &scratch.k);
    let right = Right::whole(&scratch.q[first * places..], places, width);
    let out = Out {
        values: scores,
        row: width,
    };
    // SAFETY: promised.
    unsafe { F::product::<false>(left, right, out) };
    add_bias(input, tile, width, scores);
    if view == View::Some {
        input.mask.hide(input.dims, tile, width, scores);
    }
    let result = &mut scratch.out[first * wide..][..width * wide];
    let (vectors, _) = scores.as_chunks_mut::<LANES>();
    for group in 0..groups {
        let running = &mut scratch.running[first / LANES + group];
        // SAFETY: promised.
        let factor = unsafe { probabilities::<F>(vectors, groups, group, keys, scale, running) };
        let rows = result[group * LANES * wide..].chunks_exact_mut(wide.max(1));
        for (row, factor) in rows.zip(factor) {
            if factor != 1.0 {
                for value in row {
                    *value *= factor;
                }
            }
        }
    }
    let left = Left {
        values: scores,
        rows: count,
        row: 1,
        column: width,
    };
    let right = Right::whole(&scratch.v, keys.div_ceil(F::VALUES), wide);
    let out = Out {
        values: result,
        row: wide,
    };
    // SAFETY: promised.
    unsafe { F::product::<true>(left, right, out) };
}

/// Writes the results.
///
/// # Safety
/// No other task may write the results of these queries of this head.
#[inline(always)]
unsafe fn finish(
    input: &Attention<'_>,
    b: usize,
    h: usize,
    range: Range<usize>,
    scratch: &Scratch,
    out: &Strips<'_>,
    sums: &Strips<'_>,
) {
    let dims = input.dims;
    let wide = padded(dims.values);
    let target = Target {
        memory: out,
        windows: input.windows,
        tokens: input.lying()[0][1],
        heads: dims.query_heads(),
        head: dims.values,
    };
    let first = (b * dims.query_heads() + h) * dims.queries;
    for (i, query) in range.enumerate() {
        let running = &scratch.running[i / LANES];
        let (top, total) = (running.top[i % LANES], running.total[i % LANES]);
        let sum = if total == 0.0 {
            f32::NEG_INFINITY
        } else {
            top * dims.scale() + total.ln()
        };
        // Nothing seen: nothing divided by nothing.
        let factor = if total == 0.0 { f32::NAN } else { 1.0 / total };
        // SAFETY: handed down.
        unsafe {
            target.write(b, h, query, &scratch.out[i * wide..], factor);
            sums.row(first + query, 1)[0].write(sum);
        }
    }
}
