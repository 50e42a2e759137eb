//! Norms, rotations and softmax against their definitions in f64, at every level of this machine.
#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_close, assert_thread_free, dot, noise, sized, slopes, wide};
use kernels::{LayerNorm, Level, RmsNorm, Rotation};

const EPS: f64 = 1e-2;

/// `residual + factor · normed(x) + shift`, with absent parts neutral.
fn layer_norm(
    x: &[f64],
    [_, tokens, width]: [usize; 3],
    factor: &[f64],
    shift: &[f64],
    residual: &[f64],
) -> Vec<f64> {
    let mut out = Vec::new();
    for (row, x) in x.chunks(width).enumerate() {
        let mean = x.iter().sum::<f64>() / width as f64;
        let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        for (i, x) in x.iter().enumerate() {
            let at = row / tokens * width + i;
            let factor = factor.get(at).unwrap_or(&1.0);
            let shift = shift.get(at).unwrap_or(&0.0);
            let residual = residual.get(row * width + i).unwrap_or(&0.0);
            out.push(residual + factor * (x - mean) / (var + EPS).sqrt() + shift);
        }
    }
    out
}

#[test]
fn layer_norms_equal_their_definition() {
    let usual = [[1, 1, 1], [2, 3, 5], [3, 2, 16], [1, 4, 33], [2, 2, 50]];
    for &dims in sized(&usual[..], &[[1, 1, 1], [2, 1, 5], [1, 2, 17]]) {
        let [batch, tokens, width] = dims;
        let len = batch * tokens * width;
        let x: Vec<f32> = noise(len, 1).iter().map(|x| 2.0 * x + 0.3).collect();
        let (grad, residual) = (noise(len, 2), noise(len, 3));
        let (factor, shift) = (noise(batch * width, 4), noise(batch * width, 5));
        for which in 0..8 {
            let pick = |bit: usize, values: &'_ [f32]| -> Vec<f32> {
                if which >> bit & 1 == 1 {
                    values.to_vec()
                } else {
                    Vec::new()
                }
            };
            let (factor, shift, residual) = (pick(0, &factor), pick(1, &shift), pick(2, &residual));
            let (wf, ws, wr) = (wide(&factor), wide(&shift), wide(&residual));
            let some = |values: &'_ Vec<f32>| (!values.is_empty()).then(|| values.clone());
            let (f, s, r) = (some(&factor), some(&shift), some(&residual));
            let norm = LayerNorm {
                dims,
                eps: EPS as f32,
                factor: f.as_deref(),
                shift: s.as_deref(),
                residual: r.as_deref(),
            };
            let (wx, wg) = (wide(&x), wide(&grad));
            let want = layer_norm(&wx, dims, &wf, &ws, &wr);
            let dx = slopes(&wx, |x| dot(&layer_norm(x, dims, &wf, &ws, &wr), &wg));
            let ones = vec![1.0; batch * width];
            let full = if wf.is_empty() { &ones } else { &wf };
            let d_factor = slopes(full, |f| dot(&layer_norm(&wx, dims, f, &ws, &wr), &wg));
            let zeros = vec![0.0; batch * width];
            let d_shift = slopes(&zeros, |s| dot(&layer_norm(&wx, dims, full, s, &wr), &wg));
            for level in Level::all() {
                let (out, stats) = kernels::layer_norm(level, &x, &norm).unwrap();
                assert_close("layer norm", &out, &want, 1e-5);
                for affine in [false, true] {
                    let grads = kernels::layer_norm_backward(
                        level,
                        &x,
                        &stats,
                        norm.factor,
                        &grad,
                        dims,
                        affine,
                    )
                    .unwrap();
                    assert_close("dx", &grads.x, &dx, 2e-5);
                    assert_eq!(grads.affine.is_some(), affine);
                    if let Some((factor, shift)) = grads.affine {
                        assert_close("dfactor", &factor, &d_factor, 2e-5);
                        assert_close("dshift", &shift, &d_shift, 2e-5);
                    }
                }
            }
        }
    }
}

/// `dims` is `[tokens, heads, head]`.
fn rms_norm(
    x: &[f64],
    [tokens, heads, head]: [usize; 3],
    weight: &[f64],
    angles: Option<(&[f64], &[f64], usize)>,
) -> Vec<f64> {
    let mut out = Vec::new();
    for (row, x) in x.chunks(head).enumerate() {
        let square = x.iter().map(|x| x * x).sum::<f64>() / head as f64;
        let y: Vec<f64> = match weight {
            [] => x.to_vec(),
            weight => {
                let normed = x.iter().map(|x| x / (square + EPS).sqrt());
                normed.zip(weight).map(|(x, w)| x * w).collect()
            }
        };
        let Some((cos, sin, sections)) = angles else {
            out.extend(y);
            continue;
        };
        let (at, section) = (row / heads % tokens * head, head / sections);
        for i in 0..head {
            let first = i % section < section / 2;
            let other = if first {
                -y[i + section / 2]
            } else {
                y[i - section / 2]
            };
            out.push(y[i] * cos[at + i] + other * sin[at + i]);
        }
    }
    out
}

#[test]
fn rms_norms_and_rotations_equal_their_definition() {
    let usual = [
        (1, [1, 1, 2], 1),
        (2, [3, 2, 20], 1),
        (2, [2, 3, 16], 2),
        (1, [2, 1, 24], 2),
        (2, [2, 1, 64], 2),
    ];
    for &(batch, dims, sections) in sized(&usual[..], &[(1, [1, 1, 2], 1), (2, [2, 1, 8], 2)]) {
        let [tokens, heads, head] = dims;
        let len = batch * tokens * heads * head;
        let (x, grad, weight) = (noise(len, 1), noise(len, 2), noise(head, 3));
        let angle = |salt: u64, f: fn(f32) -> f32| -> Vec<f32> {
            let section = head / sections;
            let angles = noise(tokens * head, salt);
            let same = |i: usize| {
                i - if i % section < section / 2 {
                    0
                } else {
                    section / 2
                }
            };
            (0..tokens * head)
                .map(|i| f(3.0 * angles[same(i)]))
                .collect()
        };
        let (cos, sin) = (angle(4, f32::cos), angle(4, f32::sin));
        let (wx, wg, ww, wc, ws) = (wide(&x), wide(&grad), wide(&weight), wide(&cos), wide(&sin));
        for (weighted, turned) in [(true, false), (true, true), (false, true)] {
            let ww: &[f64] = if weighted { &ww } else { &[] };
            let angles = turned.then_some((&wc[..], &ws[..], sections));
            let want = rms_norm(&wx, dims, ww, angles);
            let dx = slopes(&wx, |x| dot(&rms_norm(x, dims, ww, angles), &wg));
            let dw = slopes(ww, |w| dot(&rms_norm(&wx, dims, w, angles), &wg));
            let norm = RmsNorm {
                dims: [batch, tokens, heads, head],
                weight: weighted.then_some(&weight),
                eps: EPS as f32,
                rotation: turned.then_some(Rotation {
                    cos: &cos,
                    sin: &sin,
                    sections,
                }),
            };
            for level in Level::all() {
                let out = kernels::rms_norm(level, &x, &norm).unwrap();
                assert_close("rms norm", &out, &want, 1e-5);
                let (got, got_w) = kernels::rms_norm_backward(level, &x, &norm, &grad).unwrap();
                assert_close("dx", &got, &dx, 2e-5);
                assert_close("dweight", &got_w, &dw, 2e-5);
            }
        }
    }
}

fn softmax(x: &[f64], width: usize) -> Vec<f64> {
    let rows = x.chunks(width).flat_map(|x| {
        let max = x.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let e: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
        let total: f64 = e.iter().sum();
        e.into_iter().map(move |e| e / total)
    });
    rows.collect()
}

#[test]
fn softmax_equals_its_definition() {
    let usual = [(1, 1), (3, 7), (2, 16), (4, 45)];
    for &(rows, width) in sized(&usual[..], &usual[..2]) {
        let x: Vec<f32> = noise(rows * width, 1).iter().map(|x| 9.0 * x).collect();
        let grad = noise(rows * width, 2);
        let want = softmax(&wide(&x), width);
        let dx = slopes(&wide(&x), |x| dot(&softmax(x, width), &wide(&grad)));
        for level in Level::all() {
            let y = kernels::softmax(level, &x, width).unwrap();
            assert_close("softmax", &y, &want, 1e-6);
            let got = kernels::softmax_backward(level, &y, &grad, width).unwrap();
            assert_close("softmax'", &got, &dx, 2e-6);
        }
    }
    for level in Level::all() {
        let hidden = f32::NEG_INFINITY;
        let y = kernels::softmax(level, &[hidden, 3.0, hidden, hidden, hidden, f32::NAN], 3);
        let y = y.unwrap();
        assert_eq!(y[..3], [0.0, 1.0, 0.0]);
        assert!(y[3..].iter().all(|y| y.is_nan()));
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let level = Level::best();
    let tokens = sized(700, 4);
    let dims = [3, tokens, 48];
    let len = 3 * tokens * 48;
    let (x, grad, weight) = (noise(len, 1), noise(len, 2), noise(3 * 48, 3));
    let norm = LayerNorm {
        dims,
        eps: 1e-6,
        factor: Some(&weight),
        shift: None,
        residual: None,
    };
    assert_thread_free("layer norm", || {
        let (y, stats) = kernels::layer_norm(level, &x, &norm).unwrap();
        let factor = Some(&weight[..]);
        (
            y,
            kernels::layer_norm_backward(level, &x, &stats, factor, &grad, dims, true).unwrap(),
        )
    });
    let norm = RmsNorm {
        dims: [3, tokens, 2, 24],
        weight: Some(&weight[..24]),
        eps: 1e-6,
        rotation: None,
    };
    assert_thread_free("rms norm", || {
        let y = kernels::rms_norm(level, &x, &norm).unwrap();
        (
            y,
            kernels::rms_norm_backward(level, &x, &norm, &grad).unwrap(),
        )
    });
}

#[test]
fn wrong_lengths_are_errors() {
    let level = Level::best();
    let norm = LayerNorm {
        dims: [2, 1, 4],
        eps: 0.0,
        factor: Some(&[1.0; 4]),
        shift: None,
        residual: None,
    };
    let error = kernels::layer_norm(level, &[0.0; 8], &norm).unwrap_err();
    assert_eq!(error.name, "factor");
    let norm = RmsNorm {
        dims: [1, 1, 1, 6],
        weight: None,
        eps: 0.0,
        rotation: Some(Rotation {
            cos: &[0.0; 6],
            sin: &[0.0; 6],
            sections: 2,
        }),
    };
    let error = kernels::rms_norm(level, &[0.0; 6], &norm).unwrap_err();
    assert_eq!((error.name, error.expected), ("head", 4));
    assert_eq!(kernels::softmax(level, &[0.0; 5], 2).unwrap_err().name, "x");
}
