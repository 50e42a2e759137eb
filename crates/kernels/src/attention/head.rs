//! One head of one sequence: scores and the products around them.

use std::ops::Range;

use super::pack::{Scratch, Target, fill_bias, grow, pack_columns, pack_rows};
use super::{Attention, AttentionDims, BLOCK, Heads};
use crate::level::leveled;
use crate::math::{LANES, exp, fold};
use crate::parallel::Strips;
use crate::softmax::{dot, max};
use crate::tile::{Left, padded, product};

leveled! {
    /// Writes the results of queries `range` and their logarithms of sums.
    pub(super) fn forward_head(
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
        let target = Target { memory: out, tokens: queries, dims: input.dims };
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
            // SAFETY: as above.
            unsafe { target.write(b, h, start, result, count) };
            start = end;
        }
    }
}

leveled! {
    /// Writes the gradients of all queries, keys and values of a head.
    ///
    /// With P the probabilities: dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P∘(dP − Σ P∘dP), dQ = dS·K/√d, dK = dSᵀ·Q/√d.
    pub(super) fn backward_head(
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
        let [d_queries, d_keys, d_values] = [(0, queries), (1, keys), (2, keys)]
            .map(|(i, tokens)| Target { memory: &grads[i], tokens, dims: input.dims });
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
            // SAFETY: this task alone handles this head of this sequence.
            unsafe { d_queries.write(b, h, start, dq, count) };
            start = end;
        }
        // SAFETY: as above.
        unsafe {
            d_keys.write(b, h, 0, dk, keys);
            d_values.write(b, h, 0, dv, keys);
        }
    }
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
