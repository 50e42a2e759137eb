//! Attention within windows of maps, with values wider than queries, against the same sequences in order.
#![allow(clippy::unwrap_used)]

mod common;

use common::noise;
use kernels::{
    Attention, AttentionDims, Heads, Level, Mask, Precision, Windows, attention, attention_backward,
};

const HEADS: usize = 2;
const HEAD: usize = 20;
const VALUES: usize = 33;
const SIDE: usize = 4;
const WINDOWS: usize = 4;
const TOKENS: usize = SIDE * SIDE * WINDOWS;
const MAPS: usize = 3;

/// First tokens and the others of a window, whose places lie next to each other or far apart.
fn windows(distant: bool) -> [Vec<usize>; 2] {
    let width = 2 * SIDE;
    let grid = |count: usize, step: usize| -> Vec<usize> {
        (0..count * count)
            .map(|i| (i / count * width + i % count) * step)
            .collect()
    };
    match distant {
        true => [grid(2, 1), grid(SIDE, 2)],
        false => [grid(2, SIDE), grid(SIDE, 1)],
    }
}

/// `[maps, tokens, wide]` → `[maps · windows, tokens of a window, wide]`.
fn gathered(x: &[f32], wide: usize, [first, inside]: &[Vec<usize>; 2]) -> Vec<f32> {
    let row = |map: usize, token: usize| &x[(map * TOKENS + token) * wide..][..wide];
    (0..MAPS)
        .flat_map(|map| first.iter().map(move |first| (map, first)))
        .flat_map(|(map, first)| inside.iter().map(move |i| (map, first + i)))
        .flat_map(|(map, token)| row(map, token).to_vec())
        .collect()
}

fn dims() -> AttentionDims {
    let size = SIDE * SIDE;
    AttentionDims {
        batch: MAPS * WINDOWS,
        queries: size,
        keys: size,
        heads: HEADS,
        group: 1,
        head: HEAD,
        values: VALUES,
    }
}

/// Results and gradients of queries, keys and values.
fn run(
    level: Level,
    precision: Precision,
    x: &[Vec<f32>; 4],
    windows: Option<Windows<'_>>,
) -> [Vec<f32>; 4] {
    let tokens = windows.map_or(SIDE * SIDE, |windows| windows.tokens);
    let of = |at: usize, head| Heads::dense(&x[at], tokens, HEADS, head);
    let input = Attention {
        dims: dims(),
        q: of(0, HEAD),
        k: of(1, HEAD),
        v: of(2, VALUES),
        windows,
        mask: Mask::default(),
        bias: None,
        precision,
    };
    let (out, sums) = attention(level, &input).unwrap();
    let given = Heads::dense(&out, tokens, HEADS, VALUES);
    let grads = attention_backward(level, &input, given, &sums, of(3, VALUES)).unwrap();
    [out, grads.q, grads.k, grads.v]
}

#[test]
fn windows_of_maps_are_sequences() {
    let wide = [HEAD, HEAD, VALUES, VALUES].map(|head| head * HEADS);
    let x: [Vec<f32>; 4] = std::array::from_fn(|at| noise(MAPS * TOKENS * wide[at], at as u64 + 1));
    for distant in [false, true] {
        let lists = windows(distant);
        let [first, inside] = &lists;
        let windows = Windows {
            tokens: TOKENS,
            first,
            inside,
        };
        let apart: [Vec<f32>; 4] = std::array::from_fn(|at| gathered(&x[at], wide[at], &lists));
        for level in Level::all() {
            for precision in [Precision::F32, Precision::Bf16] {
                let got = run(level, precision, &x, Some(windows));
                let want = run(level, precision, &apart, None);
                for ((got, want), wide) in got
                    .iter()
                    .zip(&want)
                    .zip([wide[2], wide[0], wide[1], wide[2]])
                {
                    assert_eq!(&gathered(got, wide, &lists), want);
                }
            }
        }
    }
}

/// Wider values are as if queries and keys had been filled up with zeros.
#[test]
fn values_may_be_wider_than_queries() {
    let wide = [HEAD, HEAD, VALUES, VALUES].map(|head| head * HEADS);
    let rows = MAPS * TOKENS;
    let x: [Vec<f32>; 4] = std::array::from_fn(|at| noise(rows * wide[at], at as u64 + 1));
    let filled = |x: &[f32], factor: f32| -> Vec<f32> {
        x.chunks(HEAD)
            .flat_map(|head| (0..VALUES).map(move |i| head.get(i).copied().unwrap_or(0.0) * factor))
            .collect()
    };
    // The scale is that of the filled heads.
    let factor = (VALUES as f32 / HEAD as f32).sqrt();
    let same = [
        filled(&x[0], factor),
        filled(&x[1], 1.0),
        x[2].clone(),
        x[3].clone(),
    ];
    let of = |at: usize| Heads::dense(&same[at], SIDE * SIDE, HEADS, VALUES);
    let input = Attention {
        dims: AttentionDims {
            head: VALUES,
            ..dims()
        },
        q: of(0),
        k: of(1),
        v: of(2),
        windows: None,
        mask: Mask::default(),
        bias: None,
        precision: Precision::F32,
    };
    for level in Level::all() {
        let got = run(level, Precision::F32, &x, None);
        let (want, _) = attention(level, &input).unwrap();
        let near = got[0].iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{level:?}");
    }
}

#[test]
fn windows_must_cover_a_map_once() {
    let x: [Vec<f32>; 4] =
        std::array::from_fn(|at| noise(MAPS * TOKENS * HEADS * VALUES, at as u64 + 1));
    let of = |at: usize, head| Heads::dense(&x[at], TOKENS, HEADS, head);
    let run = |tokens: usize, first: &[usize], inside: &[usize]| {
        let input = Attention {
            dims: dims(),
            q: of(0, HEAD),
            k: of(1, HEAD),
            v: of(2, VALUES),
            windows: Some(Windows {
                tokens,
                first,
                inside,
            }),
            mask: Mask::default(),
            bias: None,
            precision: Precision::F32,
        };
        attention(Level::best(), &input).is_ok()
    };
    let [first, inside] = windows(true);
    assert!(run(TOKENS, &first, &inside));
    assert!(!run(TOKENS + 1, &first, &inside));
    assert!(!run(TOKENS, &first[..3], &inside));
    assert!(!run(TOKENS, &[0; WINDOWS], &inside));
    assert!(!run(TOKENS, &[usize::MAX; WINDOWS], &inside));
    assert!(!run(TOKENS, &[], &inside));
}
