//! Masks of attention and grouped heads.

use std::num::NonZeroUsize;

use burn::tensor::{Bool, Tensor, TensorData};
use engine::burn;
use engine::ops::{self, AttentionMask, BlockMask, Window};

use crate::check::{Input, check, device, flat, noise, vector};

fn bools<const D: usize>(shape: [usize; D], seen: impl Fn(usize) -> bool) -> Tensor<D, Bool> {
    let values: Vec<bool> = (0..shape.iter().product()).map(seen).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

/// Every kind of mask, for `[batch, heads, queries, keys]`; each query sees the last key at least.
fn masks([batch, heads, queries, keys]: [usize; 4]) -> Vec<(&'static str, AttentionMask)> {
    let last = move |i: usize| i % keys == keys - 1;
    let three = NonZeroUsize::new(3).unwrap();
    let seven = NonZeroUsize::new(7).unwrap();
    let tiles = [queries.div_ceil(3), keys.div_ceil(7)];
    let pairs = |batch, heads| {
        bools([batch, heads, queries, keys], move |i| {
            last(i) || (i * 7 + i / 11) % 3 > 0
        })
    };
    let blocks = |batch, heads| BlockMask {
        size: [three, seven],
        seen: bools([batch, heads, tiles[0], tiles[1]], move |i| {
            i % tiles[1] == tiles[1] - 1 || (i * 5 + i / 3) % 4 > 1
        }),
    };
    let window = |before, after| Window { before, after };
    vec![
        (
            "keys",
            AttentionMask::of_keys(Some(bools([batch, keys], move |i| last(i) || i % 3 != 1))),
        ),
        (
            "window",
            AttentionMask {
                window: window(Some(keys), Some(2)),
                ..AttentionMask::default()
            },
        ),
        (
            "pairs",
            AttentionMask {
                pairs: Some(pairs(batch, heads)),
                ..AttentionMask::default()
            },
        ),
        (
            "shared pairs and keys",
            AttentionMask {
                keys: Some(bools([batch, keys], move |i| last(i) || i % 5 != 1)),
                pairs: Some(pairs(1, 1)),
                ..AttentionMask::default()
            },
        ),
        (
            "blocks of heads",
            AttentionMask {
                blocks: Some(blocks(1, heads)),
                ..AttentionMask::default()
            },
        ),
        (
            "blocks of sequences, window and bias",
            AttentionMask {
                window: window(None, Some(keys)),
                blocks: Some(blocks(batch, 1)),
                bias: Some(noise([1, heads, queries, keys], 8)),
                ..AttentionMask::default()
            },
        ),
        (
            "bias",
            AttentionMask {
                bias: Some(noise([batch, 1, queries, keys], 9)),
                ..AttentionMask::default()
            },
        ),
    ]
}

#[test]
fn masks_and_grouped_heads() {
    for [batch, queries, keys, heads, group, head] in [
        [1, 1, 1, 1, 1, 1],
        [2, 5, 9, 2, 1, 8],
        [2, 40, 70, 2, 3, 16],
        [1, 130, 130, 1, 2, 12],
    ] {
        let q = Input::new(noise([batch, queries, heads * group, head], 1));
        let k = Input::new(noise([batch, keys, heads, head], 2));
        let v = Input::new(noise([batch, keys, heads, head], 3));
        let masks = || masks([batch, heads * group, queries, keys]);
        for (at, (name, _)) in masks().into_iter().enumerate() {
            let name = format!("{name}, {queries} queries, {group} heads a key");
            check(&name, &[q.clone(), k.clone(), v.clone()], |x| {
                let (_, mask) = &masks()[at];
                flat(ops::attention(x[0].get(), x[1].get(), x[2].get(), mask))
            });
        }
    }
}

#[test]
fn causal_windows_end_at_the_last_key() {
    // Two queries at the end of five keys, values 0 to 4, equal scores: the first sees up to key 3.
    let device = device();
    let q = Tensor::<4>::zeros([1, 2, 1, 1], &device);
    let k = Tensor::<4>::zeros([1, 5, 1, 1], &device);
    let v = Tensor::<1>::from_floats([0.0, 1.0, 2.0, 3.0, 4.0], &device).reshape([1, 5, 1, 1]);
    for plain in [false, true] {
        ops::set_fallback(plain);
        let means = |mask: &AttentionMask| {
            vector(flat(ops::attention(q.clone(), k.clone(), v.clone(), mask)))
        };
        assert_eq!(means(&AttentionMask::causal()), [1.5, 2.0]);
        let near = AttentionMask {
            window: Window {
                before: Some(1),
                after: Some(0),
            },
            ..AttentionMask::default()
        };
        assert_eq!(means(&near), [2.5, 3.5]);
        let far = AttentionMask {
            window: Window {
                before: None,
                after: Some(usize::MAX),
            },
            ..AttentionMask::default()
        };
        assert_eq!(means(&far), [2.0, 2.0]);
        ops::set_fallback(false);
    }
}

#[test]
fn a_query_without_keys_is_nan() {
    let device = device();
    let x = Tensor::<4>::ones([1, 2, 1, 4], &device);
    let mask = AttentionMask {
        pairs: Some(bools([1, 1, 2, 2], |i| i > 1)),
        ..AttentionMask::default()
    };
    for plain in [false, true] {
        ops::set_fallback(plain);
        let y = vector(flat(ops::attention(x.clone(), x.clone(), x.clone(), &mask)));
        ops::set_fallback(false);
        assert!(y[..4].iter().all(|y| y.is_nan()), "{y:?}");
        assert_eq!(y[4..], [1.0; 4]);
    }
}
