//! Backward pass of a head: tiles of queries and keys, with probabilities computed once more.

use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::buffer::Buffer;
use super::format::{Format, for_each_machine};
use super::mask::{Tile, View};
use super::pack::{Target, left, pack_across, pack_along, pack_columns};
use super::rows::{Known, add_bias, gradients, inner, squeeze, stack, whole_gradients};
use super::{Attention, Heads};
use crate::math::LANES;
use crate::parallel::{Strips, portion};
use crate::tile::{Left, Out, Right, padded};

/// Queries that are packed at one time; a multiple of every panel.
const QUERIES: usize = portion(128, 16);
/// Keys of a tile; a multiple of two.
const KEYS: usize = portion(64, 8);

/// What came from the forward pass, and the gradient of its result.
pub(super) struct Given<'a> {
    pub(super) out: Heads<'a>,
    pub(super) sums: &'a [f32],
    pub(super) grad: Heads<'a>,
}

/// Working memory of one task.
#[derive(Default)]
pub(super) struct Scratch {
    /// Queries and gradients of results, by columns and by rows.
    q_columns: Buffer,
    grad_columns: Buffer,
    q: Buffer,
    grad: Buffer,
    /// A block of keys and of values as left operands, and of keys as a right one.
    k_left: Buffer,
    v_left: Buffer,
    k: Buffer,
    /// Scores of a tile, then probabilities, `[keys, queries]`; and their gradients.
    scores: Buffer,
    d_scores: Buffer,
    /// Gradients of the scores as places along the keys.
    stacked: Buffer,
    /// Gradients of queries `[queries, head]`, of all keys and values `[keys, head]`.
    dq: Buffer,
    dk: Buffer,
    dv: Buffer,
    known: Vec<Known>,
}

for_each_machine! {
    /// Writes the gradients of all queries of head `h`, and what they add to those of its keys and values.
    ///
    /// With P the probabilities: dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P∘(dP − Σ dO∘O), dQ = dS·K/√d, dK = dSᵀ·Q/√d.
    pub(super) fn backward(
        input: &Attention<'_>,
        given: &Given<'_>,
        b: usize,
        h: usize,
        scratch: &mut Scratch,
        grads: &[Strips<'_>; 3],
    ) = run
}

/// The body of [`backward`].
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
unsafe fn run<F: Format>(
    input: &Attention<'_>,
    given: &Given<'_>,
    b: usize,
    h: usize,
    scratch: &mut Scratch,
    grads: &[Strips<'_>; 3],
) {
    let dims = input.dims;
    let [wide, values_wide] = [dims.head, dims.values].map(padded);
    let [[_, queries], [_, keys]] = input.lying();
    let sizes = [(queries, dims.head), (keys, dims.head), (keys, dims.values)];
    let [d_queries, d_keys, d_values] = std::array::from_fn(|i| Target {
        memory: &grads[i],
        windows: input.windows,
        tokens: sizes[i].0,
        heads: dims.query_heads(),
        head: sizes[i].1,
    });
    scratch.dk.zeros(dims.keys * wide);
    scratch.dv.zeros(dims.keys * values_wide);
    let mut start = 0;
    while start < dims.queries {
        let range = start..dims.queries.min(start + QUERIES);
        // SAFETY: the instructions are promised.
        unsafe { begin::<F>(input, given, b, h, range.clone(), scratch) };
        let mut key = 0;
        while key < dims.keys {
            let keys = key..dims.keys.min(key + KEYS);
            if let Some((tile, first, view)) = visible::<F>(input, b, h, &range, keys) {
                // SAFETY: the instructions are promised.
                unsafe { add::<F>(input, &tile, view, first, range.len(), scratch) };
            }
            key += KEYS;
        }
        let first = (b * dims.query_heads() + h) * dims.queries;
        for (i, query) in range.enumerate() {
            let unseen = given.sums[first + query] == f32::NEG_INFINITY;
            let factor = if unseen { f32::NAN } else { dims.scale() };
            // SAFETY: this task alone handles this head.
            unsafe { d_queries.write(b, h, query, &scratch.dq[i * wide..], factor) };
        }
        start += QUERIES;
    }
    for key in 0..dims.keys {
        // SAFETY: as above.
        unsafe {
            d_keys.write(b, h, key, &scratch.dk[key * wide..], dims.scale());
            d_values.write(b, h, key, &scratch.dv[key * values_wide..], 1.0);
        }
    }
}

/// Packs the queries of `range` and all that belongs to them.
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
unsafe fn begin<F: Format>(
    input: &Attention<'_>,
    given: &Given<'_>,
    b: usize,
    h: usize,
    range: Range<usize>,
    scratch: &mut Scratch,
) {
    let dims = input.dims;
    let rows = |from, head| input.rows(from, head, b, h, range.clone());
    let q = rows(input.q, dims.head);
    let [grad, out] = [given.grad, given.out].map(|from| rows(from, dims.values));
    // SAFETY: the instructions are promised.
    unsafe {
        pack_columns::<F>(&q, &mut scratch.q_columns);
        pack_columns::<F>(&grad, &mut scratch.grad_columns);
        pack_across::<F>(&q, &mut scratch.q);
        pack_across::<F>(&grad, &mut scratch.grad);
    }
    let lanes = padded(range.len());
    scratch.dq.zeros(lanes * padded(dims.head));
    scratch.known.clear();
    // Padding has no probability.
    let nothing = Known {
        shift: [f32::NEG_INFINITY; LANES],
        inner: [0.0; LANES],
    };
    scratch.known.resize(lanes / LANES, nothing);
    let first = (b * dims.query_heads() + h) * dims.queries + range.start;
    for (i, sum) in given.sums[first..][..range.len()].iter().enumerate() {
        // A query that saw nothing adds nothing.
        if *sum != f32::NEG_INFINITY {
            let known = &mut scratch.known[i / LANES];
            known.shift[i % LANES] = -sum * LOG2_E;
            if dims.keys > KEYS {
                // SAFETY: the instructions are promised.
                known.inner[i % LANES] = unsafe { inner::<F>(grad.row(i), out.row(i)) };
            }
        }
    }
}

/// The part of a tile between its first and last panel of queries that see a key, the place of its first query in
/// `range`, and what it sees.
#[inline(always)]
fn visible<F: Format>(
    input: &Attention<'_>,
    b: usize,
    h: usize,
    range: &Range<usize>,
    keys: Range<usize>,
) -> Option<(Tile, usize, View)> {
    let mut found: Option<(Range<usize>, View)> = None;
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + F::COLUMNS);
        let tile = Tile {
            b,
            h,
            queries: start..end,
            keys: keys.clone(),
        };
        let view = input.mask.view(input.dims, &tile);
        if view != View::Nothing {
            found = Some(match found {
                None => (start..end, view),
                Some((seen, View::All)) if view == View::All && seen.end == start => {
                    (seen.start..end, View::All)
                }
                Some((seen, _)) => (seen.start..end, View::Some),
            });
        }
        start = end;
    }
    let (queries, view) = found?;
    let first = queries.start - range.start;
    let tile = Tile {
        b,
        h,
        queries,
        keys,
    };
    Some((tile, first, view))
}

/// Adds what a tile gives to the gradients; its first query is at `first` of the `all` that are packed.
///
/// # Safety
/// The machine must have the instructions of `F`.
#[inline(always)]
unsafe fn add<F: Format>(
    input: &Attention<'_>,
    tile: &Tile,
    view: View,
    first: usize,
    all: usize,
    scratch: &mut Scratch,
) {
    let dims = input.dims;
    let (keys, count) = (tile.keys.len(), tile.queries.len());
    let width = padded(count);
    let [wide, values_wide] = [dims.head, dims.values].map(padded);
    let [head_places, value_places] = [dims.head, dims.values].map(F::places);
    let key_places = keys.div_ceil(F::VALUES);
    let groups = width / LANES;
    let rows = |from, head| input.rows(from, head, tile.b, tile.h / dims.group, tile.keys.clone());
    let (k, v) = (rows(input.k, dims.head), rows(input.v, dims.values));
    // SAFETY: the instructions are promised.
    unsafe {
        pack_along::<F>(&k, &mut scratch.k_left);
        pack_along::<F>(&v, &mut scratch.v_left);
        pack_across::<F>(&k, &mut scratch.k);
    }
    for scores in [
        &mut scratch.scores,
        &mut scratch.d_scores,
        &mut scratch.stacked,
    ] {
        scores.grow(KEYS * QUERIES);
    }
    let scores = &mut scratch.scores[..keys * width];
    let d_scores = &mut scratch.d_scores[..keys * width];
    for (left, right, places, out) in [
        (
            left::<F>(&k, &scratch.k_left),
            &scratch.q_columns,
            head_places,
            &mut *scores,
        ),
        (
            left::<F>(&v, &scratch.v_left),
            &scratch.grad_columns,
            value_places,
            &mut *d_scores,
        ),
    ] {
        let right = Right::whole(&right[first * places..], places, width);
        let out = Out {
            values: out,
            row: width,
        };
        // SAFETY: promised.
        unsafe { F::product::<false>(left, right, out) };
    }
    add_bias(input, tile, width, scores);
    if view == View::Some {
        input.mask.hide(dims, tile, width, scores);
    }
    let known = &mut scratch.known[first / LANES..][..groups];
    let (p, _) = scores.as_chunks_mut::<LANES>();
    let (ds, _) = d_scores.as_chunks_mut::<LANES>();
    let scale = LOG2_E * dims.scale();
    if dims.keys <= KEYS {
        whole_gradients::<F>(p, ds, known, scale);
    } else {
        gradients::<F>(p, ds, known, scale);
    }
    if F::VALUES == 2 {
        let (stacked, _) = scratch.stacked.as_chunks_mut::<LANES>();
        // SAFETY: promised.
        unsafe {
            stack::<F>(ds, groups, stacked);
            squeeze::<F>(p, groups);
            squeeze::<F>(ds, groups);
        }
    }
    for (left, right, wide, out) in [
        (&*scores, &scratch.grad, values_wide, &mut scratch.dv),
        (&*d_scores, &scratch.q, wide, &mut scratch.dk),
    ] {
        let left = Left {
            values: left,
            rows: keys,
            row: width,
            column: 1,
        };
        let right = Right {
            values: right,
            inner: all.div_ceil(F::VALUES),
            first: first / F::VALUES,
            count: count.div_ceil(F::VALUES),
            width: wide,
        };
        let out = Out {
            values: &mut out[tile.keys.start * wide..],
            row: wide,
        };
        // SAFETY: promised.
        unsafe { F::product::<true>(left, right, out) };
    }
    let left = Left {
        values: if F::VALUES == 2 {
            &scratch.stacked[..]
        } else {
            d_scores
        },
        rows: count,
        row: 1,
        column: width,
    };
    let right = Right::whole(&scratch.k, key_places, wide);
    let out = Out {
        values: &mut scratch.dq[first * wide..],
        row: wide,
    };
    // SAFETY: promised.
    unsafe { F::product::<true>(left, right, out) };
}
