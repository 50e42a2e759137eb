//! Attention against its definition in f64, at every level of this machine.
#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_close, assert_thread_free, dot, noise, slopes, wide};
use kernels::{Attention, AttentionDims, Heads, Level};

/// `[batch, queries, heads, head]` of dense inputs.
fn attention(dims: AttentionDims, q: &[f64], k: &[f64], v: &[f64], mask: &[u8]) -> Vec<f64> {
    let AttentionDims {
        batch,
        queries,
        keys,
        heads,
        head,
    } = dims;
    let mut out = vec![0.0; batch * queries * heads * head];
    for b in 0..batch {
        for h in 0..heads {
            let row = |x: &[f64], tokens: usize, i: usize| -> Vec<f64> {
                x[((b * tokens + i) * heads + h) * head..][..head].to_vec()
            };
            for i in 0..queries {
                let scores: Vec<f64> = (0..keys)
                    .map(|j| dot(&row(q, queries, i), &row(k, keys, j)) / (head as f64).sqrt())
                    .collect();
                let seen = |j: usize| mask.is_empty() || mask[b * keys + j] != 0;
                let e = |j: usize| if seen(j) { scores[j].exp() } else { 0.0 };
                let total: f64 = (0..keys).map(e).sum();
                for j in 0..keys {
                    for (c, v) in row(v, keys, j).iter().enumerate() {
                        out[((b * queries + i) * heads + h) * head + c] += e(j) / total * v;
                    }
                }
            }
        }
    }
    out
}

fn dims(batch: usize, queries: usize, keys: usize, heads: usize, head: usize) -> AttentionDims {
    AttentionDims {
        batch,
        queries,
        keys,
        heads,
        head,
    }
}

#[test]
fn attention_equals_its_definition() {
    for dims in [
        dims(1, 1, 1, 1, 1),
        dims(2, 3, 5, 2, 4),
        dims(1, 9, 17, 2, 7),
        dims(1, 13, 33, 1, 24),
        dims(1, 66, 8, 1, 3),
    ] {
        let AttentionDims {
            batch,
            queries,
            keys,
            heads,
            head,
        } = dims;
        let (rows, columns) = (batch * queries * heads * head, batch * keys * heads * head);
        let (q, k, v) = (noise(rows, 1), noise(columns, 2), noise(columns, 3));
        let (grad, (wq, wk, wv)) = (noise(rows, 4), (wide(&q), wide(&k), wide(&v)));
        let some: Vec<u8> = (0..batch * keys)
            .map(|i| u8::from(i % keys == 0 || i % 3 != 1))
            .collect();
        for mask in [&[][..], &some] {
            let wg = wide(&grad);
            let want = attention(dims, &wq, &wk, &wv, mask);
            let dq = slopes(&wq, |q| dot(&attention(dims, q, &wk, &wv, mask), &wg));
            let dk = slopes(&wk, |k| dot(&attention(dims, &wq, k, &wv, mask), &wg));
            let dv = slopes(&wv, |v| dot(&attention(dims, &wq, &wk, v, mask), &wg));
            let input = Attention {
                dims,
                q: Heads::dense(&q, queries, heads, head),
                k: Heads::dense(&k, keys, heads, head),
                v: Heads::dense(&v, keys, heads, head),
                mask: (!mask.is_empty()).then_some(mask),
            };
            let grad = Heads::dense(&grad, queries, heads, head);
            for level in Level::all() {
                let (out, sums) = kernels::attention(level, &input).unwrap();
                assert_close("attention", &out, &want, 2e-6);
                let grads = kernels::attention_backward(level, &input, &sums, grad).unwrap();
                assert_close("dq", &grads.q, &dq, 1e-5);
                assert_close("dk", &grads.k, &dk, 1e-5);
                assert_close("dv", &grads.v, &dv, 1e-5);
            }
        }
    }
}

#[test]
fn attention_of_a_hidden_sequence_is_nan_and_of_nothing_is_empty() {
    let (one, none) = (dims(1, 2, 3, 1, 4), dims(0, 2, 3, 1, 4));
    let x = noise(12, 1);
    for level in Level::all() {
        let input = Attention {
            dims: one,
            q: Heads::dense(&x[..8], 2, 1, 4),
            k: Heads::dense(&x, 3, 1, 4),
            v: Heads::dense(&x, 3, 1, 4),
            mask: Some(&[0; 3]),
        };
        let (out, _) = kernels::attention(level, &input).unwrap();
        assert!(out.iter().all(|x| x.is_nan()));
        let nothing = Attention {
            dims: none,
            mask: None,
            ..input
        };
        let (out, sums) = kernels::attention(level, &nothing).unwrap();
        assert!(out.is_empty() && sums.is_empty());
        let short = Attention {
            k: Heads::dense(&x[..11], 3, 1, 4),
            ..input
        };
        assert_eq!(kernels::attention(level, &short).unwrap_err().name, "k");
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let x = noise(3 * 300 * 40, 1);
    let dims = dims(3, 300, 70, 2, 20);
    let input = Attention {
        dims,
        q: Heads::dense(&x, 300, 2, 20),
        k: Heads::dense(&x[..3 * 70 * 40], 70, 2, 20),
        v: Heads::dense(&x[..3 * 70 * 40], 70, 2, 20),
        mask: None,
    };
    assert_thread_free("attention", || {
        let (y, sums) = kernels::attention(Level::best(), &input).unwrap();
        let grads = kernels::attention_backward(Level::best(), &input, &sums, input.q).unwrap();
        (y, grads)
    });
}
