//! Attention against its definition in f64, at every level of this machine.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/attention.rs"]
mod definition;

use common::{assert_thread_free, dot, noise, sized, slopes, wide};
use definition::Case;
use kernels::{AttentionGrads, Heads, Level, Precision, Window, attention, attention_backward};

/// Without AMX and AVX-512, as under Miri, both are the same.
const ALL: &[Precision] = if cfg!(miri) {
    &[Precision::F32]
} else {
    &[Precision::F32, Precision::Bf16]
};

/// Every value within `tolerance` times the largest expected one; NaN where NaN is expected.
fn assert_near(name: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{name}");
    let largest = want.iter().fold(0.1f64, |a, b| a.max(b.abs()));
    for (i, (&got, want)) in got.iter().zip(want).enumerate() {
        let near = (f64::from(got) - want).abs() <= tolerance * largest;
        assert!(
            near || got.is_nan() && want.is_nan(),
            "{name} at {i}: {got}, expected {want}, largest {largest}"
        );
    }
}

fn run(level: Level, precision: Precision, case: &Case) -> (Vec<f32>, AttentionGrads) {
    let input = case.input(precision);
    let (out, sums) = attention(level, &input).unwrap();
    let grad = case.rows(&case.grad);
    let grads = attention_backward(level, &input, case.rows(&out), &sums, grad).unwrap();
    (out, grads)
}

fn check(name: &str, case: &Case) {
    let want = case.forward(&wide(&case.q), &wide(&case.k), &wide(&case.v));
    let grads = case.backward();
    for level in Level::all() {
        for &precision in ALL {
            let [near, slope] = match precision {
                Precision::F32 => [3e-6, 1e-5],
                Precision::Bf16 => [1e-2, 2e-2],
            };
            let (out, got) = run(level, precision, case);
            let name = format!("{name} {:?} {precision:?} {level:?}", case.size);
            assert_near(&format!("{name} out"), &out, &want, near);
            for (what, got, want) in [
                ("dq", &got.q, &grads[0]),
                ("dk", &got.k, &grads[1]),
                ("dv", &got.v, &grads[2]),
            ] {
                assert_near(&format!("{name} {what}"), got, want, slope);
            }
        }
    }
}

#[test]
fn attention_equals_its_definition() {
    let small = [[2, 3, 5, 2, 1, 4], [1, 9, 17, 1, 2, 2]];
    let usual = [
        [1, 1, 1, 1, 1, 1],
        [2, 3, 5, 2, 1, 4],
        [1, 9, 17, 2, 3, 7],
        [1, 13, 33, 1, 3, 24],
        [1, 66, 8, 1, 1, 3],
        [2, 1, 300, 1, 2, 64],
        [1, 130, 129, 1, 2, 32],
        [2, 37, 70, 1, 1, 40],
        [1, 300, 270, 1, 1, 80],
        [1, 40, 200, 2, 1, 128],
        [1, 33, 31, 2, 2, 64],
    ];
    for &size in sized(&usual[..], &small) {
        for (name, case) in Case::new(size).masked() {
            check(name, &case);
        }
    }
}

#[test]
fn gradients_are_slopes() {
    let size = sized([2, 4, 6, 1, 2, 3], [1, 2, 3, 1, 2, 2]);
    for (name, case) in Case::new(size).masked() {
        let (q, k, v) = (wide(&case.q), wide(&case.k), wide(&case.v));
        let grad = wide(&case.grad);
        let out = case.forward(&q, &k, &v);
        if out.iter().any(|x| x.is_nan()) {
            continue;
        }
        let want = [
            slopes(&q, |q| dot(&case.forward(q, &k, &v), &grad)),
            slopes(&k, |k| dot(&case.forward(&q, k, &v), &grad)),
            slopes(&v, |v| dot(&case.forward(&q, &k, v), &grad)),
        ];
        for (level, chain) in Level::all()
            .into_iter()
            .map(|level| (level, case.backward()))
        {
            let (_, got) = run(level, Precision::F32, &case);
            for (i, got) in [got.q, got.k, got.v].iter().enumerate() {
                assert_near(&format!("{name} slope {i}"), got, &want[i], 1e-5);
                let chain: Vec<f32> = chain[i].iter().map(|x| *x as f32).collect();
                assert_near(&format!("{name} chain {i}"), &chain, &want[i], 1e-6);
            }
        }
    }
}

#[test]
fn strides_make_no_difference() {
    let [length, head] = sized([37, 24], [9, 3]);
    let case = Case::new([2, length, length, 2, 1, head]);
    let (tokens, width) = (2 * length, 2 * head);
    // q, k and v of a token lie together, as a linear layer gives them.
    let mut joined = Vec::new();
    for token in 0..tokens {
        for values in [&case.q, &case.k, &case.v] {
            joined.extend_from_slice(&values[token * width..][..width]);
        }
    }
    let strides = [length * 3 * width, 3 * width, head];
    for level in Level::all() {
        for &precision in ALL {
            let dense = case.input(precision);
            let mut apart = dense;
            for (i, heads) in [&mut apart.q, &mut apart.k, &mut apart.v]
                .into_iter()
                .enumerate()
            {
                let values = &joined[i * width..];
                *heads = Heads { values, strides };
            }
            assert_eq!(attention(level, &dense), attention(level, &apart));
        }
    }
}

#[test]
fn hidden_tiles_are_not_read() {
    // Square blocks of queries and keys; the second block of keys is hidden from all, and holds NaN.
    let [block, head] = sized([128, 40], [16, 2]);
    let mut case = Case::new([1, 2 * block, 3 * block, 1, 1, head]);
    case.blocks = Some(([block, block], vec![1, 0, 1, 0, 0, 1], [0, 0]));
    let (out, grads) = run(Level::best(), Precision::F32, &case);
    for values in [&mut case.k, &mut case.v] {
        values[block * head..2 * block * head].fill(f32::NAN);
    }
    for level in Level::all() {
        for &precision in ALL {
            let (out, grads) = run(level, precision, &case);
            let all = [&out, &grads.q, &grads.k, &grads.v];
            assert!(all.iter().all(|x| x.iter().all(|x| x.is_finite())));
        }
    }
    assert_eq!(run(Level::best(), Precision::F32, &case), (out, grads));
}

#[test]
fn a_query_without_keys_is_nan_and_disturbs_nothing() {
    let mut case = Case::new([1, 5, 3, 1, 1, 4]);
    case.window = Window::CAUSAL;
    for level in Level::all() {
        for &precision in ALL {
            let input = case.input(precision);
            let (out, sums) = attention(level, &input).unwrap();
            assert!(out[..8].iter().all(|x| x.is_nan()));
            assert!(out[8..].iter().all(|x| x.is_finite()));
            assert_eq!(sums[..2], [f32::NEG_INFINITY; 2]);
            let (_, grads) = run(level, precision, &case);
            assert!(grads.q[..8].iter().all(|x| x.is_nan()));
            let rest = grads.q[8..].iter().chain(&grads.k).chain(&grads.v);
            assert!(rest.into_iter().all(|x| x.is_finite()));
        }
    }
    case.keys = Some(vec![0; 3]);
    let (out, grads) = run(Level::best(), Precision::F32, &case);
    assert!(out.iter().all(|x| x.is_nan()));
    assert!(grads.k.iter().chain(&grads.v).all(|x| *x == 0.0));
}

#[test]
fn nan_and_infinity_reach_what_sees_them() {
    let [queries, keys, head] = sized([40, 150, 16], [12, 20, 6]);
    let plain = Case::new([1, queries, keys, 1, 1, head]);
    for level in Level::all() {
        for &precision in ALL {
            for bad in [f32::NAN, f32::from_bits(0x7fc0_0001), f32::INFINITY] {
                let mut case = plain.clone();
                case.q[3 * head + 2] = bad;
                let (out, _) = run(level, precision, &case);
                for (i, row) in out.chunks(head).enumerate() {
                    assert!(
                        row.iter().all(|x| x.is_nan() == (i == 3)),
                        "{bad} in q, {i}"
                    );
                }
                let mut case = plain.clone();
                case.v[(keys - 10) * head + 5] = bad;
                let (out, _) = run(level, precision, &case);
                for (i, x) in out.iter().enumerate() {
                    assert_eq!(x.is_finite(), i % head != 5, "{bad} in v, {i}");
                }
                let mut case = plain.clone();
                case.k[(keys - 10) * head] = f32::NAN;
                case.window = Window::CAUSAL;
                let (out, grads) = run(level, precision, &case);
                // The last query before those that see the key; the rest of its tile may or may not be disturbed.
                let first = (queries - 10) * head;
                assert!(out[first..].iter().all(|x| x.is_nan()));
                assert!(grads.q[first..].iter().all(|x| x.is_nan()));
                assert!(out[..first].iter().all(|x| x.is_finite()));
            }
        }
    }
}

#[test]
fn large_scores_and_infinite_bias_work() {
    let [queries, keys] = sized([20, 300], [3, 20]);
    let mut case = Case::new([1, queries, keys, 1, 1, 8]);
    for x in &mut case.q {
        *x *= 3e3;
    }
    check(
        "large",
        &Case {
            grad: vec![0.0; case.grad.len()],
            ..case.clone()
        },
    );
    let case = Case::new([1, queries, keys, 1, 1, 8]);
    let seen: Vec<u8> = noise(queries * keys, 3)
        .iter()
        .map(|x| u8::from(*x > 0.0))
        .collect();
    let bias = seen
        .iter()
        .map(|seen| if *seen == 0 { f32::NEG_INFINITY } else { 0.0 });
    let biased = Case {
        bias: Some((bias.collect(), [0, 0])),
        ..case.clone()
    };
    let masked = Case {
        pairs: Some((seen, [0, 0])),
        ..case
    };
    for level in Level::all() {
        for &precision in ALL {
            assert_eq!(
                run(level, precision, &biased),
                run(level, precision, &masked)
            );
        }
    }
}

#[test]
fn nothing_gives_nothing() {
    for level in Level::all() {
        for (at, len) in [(0, 0), (1, 0), (3, 0), (4, 0), (5, 0), (2, 24)] {
            let mut size = [2, 3, 5, 2, 1, 2];
            size[at] = 0;
            let case = Case::new(size);
            let (out, grads) = run(level, Precision::Bf16, &case);
            assert_eq!(out.len(), len);
            assert!(out.iter().all(|x| x.is_nan()));
            assert_eq!(grads.k.len(), case.k.len());
            assert!(grads.k.iter().chain(&grads.v).all(|x| *x == 0.0));
        }
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let case = Case::new([2, 3, 5, 2, 2, 4]);
    let named = |case: &Case| {
        let error = attention(Level::best(), &case.input(Precision::F32)).unwrap_err();
        assert!(error.to_string().contains(error.name));
        error.name
    };
    let wrong = |change: &dyn Fn(&mut Case)| {
        let mut case = case.clone();
        change(&mut case);
        named(&case)
    };
    assert_eq!(wrong(&|case| case.q.truncate(case.q.len() - 1)), "q");
    assert_eq!(wrong(&|case| case.k.truncate(case.k.len() - 1)), "k");
    assert_eq!(wrong(&|case| case.v.truncate(case.v.len() - 1)), "v");
    assert_eq!(wrong(&|case| case.size[4] = usize::MAX), "q");
    assert_eq!(wrong(&|case| case.keys = Some(vec![1; 9])), "mask.keys");
    let pairs = |case: &mut Case| case.pairs = Some((vec![1; 15 * 7], [60, 15]));
    assert_eq!(wrong(&pairs), "mask.pairs");
    let blocks = |case: &mut Case| case.blocks = Some(([2, 2], vec![1; 5], [0, 0]));
    assert_eq!(wrong(&blocks), "mask.blocks");
    let bias = |case: &mut Case| case.bias = Some((vec![0.0; 15], [0, usize::MAX]));
    assert_eq!(wrong(&bias), "bias");

    let input = case.input(Precision::F32);
    let (out, sums) = attention(Level::best(), &input).unwrap();
    let (rows, short) = (case.rows(&out), case.rows(&out[1..]));
    let name = |out, sums: &[f32], grad| {
        let grads = attention_backward(Level::best(), &input, out, sums, grad);
        grads.unwrap_err().name
    };
    assert_eq!(name(short, &sums, rows), "out");
    assert_eq!(name(rows, &sums, short), "grad");
    assert_eq!(name(rows, &sums[1..], rows), "sums");
}

#[test]
fn bits_do_not_depend_on_threads() {
    let size = sized([2, 300, 170, 2, 2, 20], [1, 10, 12, 1, 2, 2]);
    let mut case = Case::new(size);
    case.window.before = Some(sized(90, 5));
    for &precision in ALL {
        for level in Level::all() {
            assert_thread_free("attention", || run(level, precision, &case));
        }
    }
}
