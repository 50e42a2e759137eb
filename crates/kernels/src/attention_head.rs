//! One head of one sequence: packing, scores, and the products around them.

use std::ops::Range;

use crate::attention::{Attention, AttentionDims, BLOCK, Heads};
use crate::level::leveled;
use crate::math::{LANES, exp, fold};
use crate::parallel::Strips;
use crate::softmax::{dot, max};
use crate::tile::{Left, padded, product};

/// Working memory of one task; sizes are those of the padded matrices.
pub(crate) struct Scratch {
    /// Queries of a block, scaled, `[block, head]`.
    q: Vec<f32>,
    /// Keys and values by columns, `[head, keys]`.
    k_columns: Vec<f32>,
    v_columns: Vec<f32>,
    /// Keys (scaled) or values by rows, `[keys, head]`.
    rows: Vec<f32>,
    /// Gradients of a block's results, `[block, head]`.
    grad: Vec<f32>,
    /// Scores of a block, then probabilities, `[block, keys]`.
    scores: Vec<f32>,
    /// Gradients of the probabilities, then of the scores, `[block, keys]`.
    d_scores: Vec<f32>,
    /// Results of a block, `[block, head]`.
    out: Vec<f32>,
    /// Gradients of keys and values, `[keys, head]`.
    dk: Vec<f32>,
    dv: Vec<f32>,
    /// 0 where a key may be seen, −∞ where not, `[keys]`.
    bias: Vec<f32>,
}

impl Scratch {
    pub(crate) fn new(dims: AttentionDims) -> Self {
        Self {
            q: Vec::new(),
            k_columns: Vec::new(),
            v_columns: Vec::new(),
            rows: Vec::new(),
            grad: Vec::new(),
            scores: Vec::new(),
            d_scores: Vec::new(),
            out: Vec::new(),
            dk: Vec::new(),
            dv: Vec::new(),
            bias: vec![0.0; dims.keys],
        }
    }
}

leveled! {
    /// Writes the results of queries `range` and their logarithms of sums.
    pub(crate) fn forward_head(
        input: &Attention<'_>,
        b: usize,
        h: usize,
        range: Range<usize>,
        scratch: &mut Scratch,
        out: &Strips<'_>,
        sums: &Strips<'_>,
    ) {
        let AttentionDims { queries, keys, heads, head, .. } = input.dims;
        let (wide_keys, wide_head) = (padded(keys), padded(head));
        let scale = 1.0 / (head as f32).sqrt();
        let Scratch { q, k_columns, rows, scores, out: result, bias, .. } = scratch;
        pack_columns(input.k, b, h, keys, head, k_columns);
        pack_rows(input.v, b, h, 0..keys, head, 1.0, rows);
        let masked = fill_bias(input, b, bias);
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + BLOCK);
            let count = end - start;
            pack_rows(input.q, b, h, start..end, head, scale, q);
            grow(scores, count * wide_keys);
            grow(result, count * wide_head);
            let left = Left { values: q, rows: count, row: wide_head, column: 1 };
            product::<FMA, WIDE, false>(left, k_columns, wide_keys, scores);
            for (i, scores) in scores.chunks_exact_mut(wide_keys).take(count).enumerate() {
                let scores = &mut scores[..keys];
                if masked {
                    add(scores, bias);
                }
                let top = max(scores);
                let total = exponentials::<FMA>(scores, top);
                let inverse = 1.0 / total;
                for p in scores.iter_mut() {
                    *p *= inverse;
                }
                let at = (b * heads + h) * queries + start + i;
                // SAFETY: this task alone handles this query of this head.
                let sum = unsafe { sums.row(at, 1) };
                sum[0].write(top + total.ln());
            }
            let left = Left { values: scores, rows: count, row: wide_keys, column: 1 };
            product::<FMA, WIDE, false>(left, rows, wide_head, result);
            write_rows(result, count, wide_head, out, input.dims, queries, b, start, h);
            start = end;
        }
    }
}

leveled! {
    /// Writes the gradients of all queries, keys and values of a head.
    ///
    /// With P the probabilities: dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P∘(dP − Σ P∘dP), dQ = dS·K/√d, dK = dSᵀ·Q/√d.
    pub(crate) fn backward_head(
        input: &Attention<'_>,
        b: usize,
        h: usize,
        sums: &[f32],
        grad: Heads<'_>,
        scratch: &mut Scratch,
        grads: &[Strips<'_>; 3],
    ) {
        let AttentionDims { queries, keys, head, .. } = input.dims;
        let (wide_keys, wide_head) = (padded(keys), padded(head));
        let scale = 1.0 / (head as f32).sqrt();
        let Scratch {
            q, k_columns, v_columns, rows, grad: d_out, scores, d_scores, out: dq, dk, dv, bias,
        } = scratch;
        pack_columns(input.k, b, h, keys, head, k_columns);
        pack_columns(input.v, b, h, keys, head, v_columns);
        pack_rows(input.k, b, h, 0..keys, head, scale, rows);
        let masked = fill_bias(input, b, bias);
        for sum in [&mut *dk, &mut *dv] {
            sum.clear();
            sum.resize(keys * wide_head, 0.0);
        }
        let mut start = 0;
        while start < queries {
            let end = queries.min(start + BLOCK);
            let count = end - start;
            pack_rows(input.q, b, h, start..end, head, scale, q);
            pack_rows(grad, b, h, start..end, head, 1.0, d_out);
            grow(scores, count * wide_keys);
            grow(d_scores, count * wide_keys);
            grow(dq, count * wide_head);
            let left = Left { values: q, rows: count, row: wide_head, column: 1 };
            product::<FMA, WIDE, false>(left, k_columns, wide_keys, scores);
            let left = Left { values: d_out, rows: count, row: wide_head, column: 1 };
            product::<FMA, WIDE, false>(left, v_columns, wide_keys, d_scores);
            let all = scores.chunks_exact_mut(wide_keys).zip(d_scores.chunks_exact_mut(wide_keys));
            for ((p, ds), sum) in all.zip(&sums[start..end]) {
                let (p, ds) = (&mut p[..keys], &mut ds[..keys]);
                if masked {
                    add(p, bias);
                }
                for p in p.iter_mut() {
                    *p = exp::<FMA>(*p - sum);
                }
                let inner = dot::<FMA>(p, ds);
                for (ds, p) in ds.iter_mut().zip(p) {
                    *ds = *p * (*ds - inner);
                }
            }
            let left = Left { values: scores, rows: keys, row: 1, column: wide_keys };
            product::<FMA, WIDE, true>(left, &d_out[..count * wide_head], wide_head, dv);
            let left = Left { values: d_scores, rows: keys, row: 1, column: wide_keys };
            product::<FMA, WIDE, true>(left, &q[..count * wide_head], wide_head, dk);
            let left = Left { values: d_scores, rows: count, row: wide_keys, column: 1 };
            product::<FMA, WIDE, false>(left, rows, wide_head, dq);
            write_rows(dq, count, wide_head, &grads[0], input.dims, queries, b, start, h);
            start = end;
        }
        write_rows(dk, keys, wide_head, &grads[1], input.dims, keys, b, 0, h);
        write_rows(dv, keys, wide_head, &grads[2], input.dims, keys, b, 0, h);
    }
}

/// Makes room for `len` values; what was there stays.
#[inline(always)]
fn grow(values: &mut Vec<f32>, len: usize) {
    if values.len() < len {
        values.resize(len, 0.0);
    }
}

/// Rows `range` of a head times `scale`, each padded with zeros, `[range, padded head]`.
#[inline(always)]
fn pack_rows(
    from: Heads<'_>,
    b: usize,
    h: usize,
    range: Range<usize>,
    head: usize,
    scale: f32,
    to: &mut Vec<f32>,
) {
    let wide = padded(head);
    to.resize(range.len() * wide, 0.0);
    for (token, to) in range.zip(to.chunks_exact_mut(wide)) {
        let (to, rest) = to.split_at_mut(head);
        for (to, from) in to.iter_mut().zip(from.row(b, token, h, head)) {
            *to = from * scale;
        }
        rest.fill(0.0);
    }
}

/// All rows of a head as columns, `[head, padded tokens]`, padded with zeros.
#[inline(always)]
fn pack_columns(
    from: Heads<'_>,
    b: usize,
    h: usize,
    tokens: usize,
    head: usize,
    to: &mut Vec<f32>,
) {
    let wide = padded(tokens);
    to.resize(head * wide, 0.0);
    let mut first = 0;
    while first < wide {
        // Sixteen rows at a time, so that each store is a whole vector.
        let rows: [Option<&[f32]>; LANES] =
            std::array::from_fn(|l| (first + l < tokens).then(|| from.row(b, first + l, h, head)));
        if let Some(rows) = full(&rows) {
            for (i, to) in to.chunks_exact_mut(wide).enumerate() {
                let mut lane = [0.0; LANES];
                for l in 0..LANES {
                    lane[l] = rows[l][i];
                }
                to[first..first + LANES].copy_from_slice(&lane);
            }
        } else {
            for (i, to) in to.chunks_exact_mut(wide).enumerate() {
                for (to, row) in to[first..first + LANES].iter_mut().zip(&rows) {
                    *to = row.map_or(0.0, |row| row[i]);
                }
            }
        }
        first += LANES;
    }
}

#[inline(always)]
fn full<'a>(rows: &[Option<&'a [f32]>; LANES]) -> Option<[&'a [f32]; LANES]> {
    let mut all: [&[f32]; LANES] = [&[]; LANES];
    for (to, row) in all.iter_mut().zip(rows) {
        *to = (*row)?;
    }
    Some(all)
}

/// Puts `count` padded rows at their places in `[batch, tokens, heads, head]`.
#[inline(always)]
fn write_rows(
    rows: &[f32],
    count: usize,
    wide: usize,
    to: &Strips<'_>,
    dims: AttentionDims,
    tokens: usize,
    b: usize,
    start: usize,
    h: usize,
) {
    let AttentionDims { heads, head, .. } = dims;
    for (i, row) in rows.chunks_exact(wide).take(count).enumerate() {
        let at = ((b * tokens + start + i) * heads + h) * head;
        // SAFETY: one task alone handles this token of this head.
        unsafe { to.row(at, head) }.write_copy_of_slice(&row[..head]);
    }
}

/// Fills the bias of sequence `b`; says whether there is a mask.
#[inline(always)]
fn fill_bias(input: &Attention<'_>, b: usize, bias: &mut [f32]) -> bool {
    let Some(mask) = input.mask else {
        return false;
    };
    let mask = &mask[b * bias.len()..][..bias.len()];
    for (bias, seen) in bias.iter_mut().zip(mask) {
        *bias = if *seen == 0 { f32::NEG_INFINITY } else { 0.0 };
    }
    true
}

#[inline(always)]
fn add(to: &mut [f32], what: &[f32]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
    }
}

/// Replaces each value by `e^(value − top)`; gives the sum.
#[inline(always)]
fn exponentials<const FMA: bool>(values: &mut [f32], top: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, tail) = values.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for l in 0..LANES {
            chunk[l] = exp::<FMA>(chunk[l] - top);
            lanes[l] += chunk[l];
        }
    }
    for (value, lane) in tail.iter_mut().zip(&mut lanes) {
        *value = exp::<FMA>(*value - top);
        *lane += *value;
    }
    fold(lanes)
}
