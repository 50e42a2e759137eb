//! Group norm against its definition in f64, at every level of this machine.
#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_close, assert_thread_free, dot, noise, sized, slopes, wide};
use kernels::{GroupNorm, Level};

const EPS: f64 = 1e-2;

fn definition(
    x: &[f64],
    [_, groups, channels, pixels]: [usize; 4],
    factor: Option<&[f64]>,
    shift: Option<&[f64]>,
) -> Vec<f64> {
    let size = channels * pixels;
    let mut out = Vec::new();
    for (g, x) in x.chunks(size).enumerate() {
        let mean = x.iter().sum::<f64>() / size as f64;
        let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / size as f64;
        for (i, x) in x.iter().enumerate() {
            let channel = g % groups * channels + i / pixels;
            let normed = (x - mean) / (var + EPS).sqrt();
            out.push(
                factor.map_or(1.0, |f| f[channel]) * normed + shift.map_or(0.0, |s| s[channel]),
            );
        }
    }
    out
}

#[test]
fn group_norms_equal_their_definition() {
    let usual = [
        [1, 1, 1, 1],
        [2, 1, 3, 5],
        [1, 3, 1, 17],
        [3, 2, 2, 16],
        [2, 5, 1, 33],
        [1, 1, 2, 50],
    ];
    for &dims in sized(&usual[..], &[[1, 1, 1, 1], [2, 1, 3, 5], [1, 3, 1, 7]]) {
        let [batch, groups, channels, pixels] = dims;
        let len = batch * groups * channels * pixels;
        let x: Vec<f32> = noise(len, 1).iter().map(|x| 2.0 * x + 0.3).collect();
        let grad = noise(len, 2);
        let [factor, shift] = [3, 4].map(|salt| noise(groups * channels, salt));
        let (wx, wg) = (wide(&x), wide(&grad));
        let (wf, ws) = (wide(&factor), wide(&shift));
        for which in 0..4 {
            let (has_factor, has_shift) = (which & 1 == 1, which & 2 == 2);
            let f = has_factor.then_some(&wf[..]);
            let s = has_shift.then_some(&ws[..]);
            let norm = GroupNorm {
                dims,
                eps: EPS as f32,
                factor: has_factor.then_some(&factor[..]),
                shift: has_shift.then_some(&shift[..]),
            };
            let want = definition(&wx, dims, f, s);
            let dx = slopes(&wx, |x| dot(&definition(x, dims, f, s), &wg));
            let ones = vec![1.0; wf.len()];
            let d_factor = slopes(f.unwrap_or(&ones), |f| {
                dot(&definition(&wx, dims, Some(f), s), &wg)
            });
            let zeros = vec![0.0; ws.len()];
            let d_shift = slopes(&zeros, |s| dot(&definition(&wx, dims, f, Some(s)), &wg));
            for level in Level::all() {
                let (y, stats) = kernels::group_norm(level, &x, &norm).unwrap();
                assert_close("y", &y, &want, 1e-5);
                let grads = kernels::group_norm_backward(level, &x, &stats, &grad, &norm).unwrap();
                assert_close("dx", &grads.x, &dx, 2e-5);
                assert_close("dfactor", &grads.factor, &d_factor, 2e-5);
                assert_close("dshift", &grads.shift, &d_shift, 2e-5);
            }
        }
    }
}

#[test]
fn large_groups_are_summed_exactly_enough() {
    let pixels = sized(100_003, 103);
    let dims = [1, 1, 3, pixels];
    let x: Vec<f32> = noise(3 * pixels, 1).iter().map(|x| x + 20.0).collect();
    let norm = GroupNorm {
        dims,
        eps: EPS as f32,
        factor: None,
        shift: None,
    };
    let want = definition(&wide(&x), dims, None, None);
    for level in Level::all() {
        let (y, _) = kernels::group_norm(level, &x, &norm).unwrap();
        assert_close("y", &y, &want, 1e-5);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let dims = [3, 4, 5, sized(1000, 9)];
    let len = dims.iter().product();
    let (x, grad) = (noise(len, 1), noise(len, 2));
    let norm = GroupNorm {
        dims,
        eps: EPS as f32,
        factor: None,
        shift: None,
    };
    for level in Level::all() {
        assert_thread_free("group norm", || {
            let (y, stats) = kernels::group_norm(level, &x, &norm).unwrap();
            let grads = kernels::group_norm_backward(level, &x, &stats, &grad, &norm).unwrap();
            (y, stats, grads)
        });
    }
}

#[test]
fn a_nan_stays_in_its_group() {
    let mut x = noise(24, 1);
    x[13] = f32::NAN;
    let norm = GroupNorm {
        dims: [2, 2, 2, 3],
        eps: 1e-5,
        factor: None,
        shift: None,
    };
    for level in Level::all() {
        let (y, _) = kernels::group_norm(level, &x, &norm).unwrap();
        for (i, y) in y.iter().enumerate() {
            assert_eq!(y.is_nan(), (12..18).contains(&i));
        }
    }
}

#[test]
fn wrong_lengths_are_errors() {
    let level = Level::best();
    let norm = GroupNorm {
        dims: [1, 2, 2, 3],
        eps: 1e-5,
        factor: Some(&[1.0; 3]),
        shift: None,
    };
    let error = kernels::group_norm(level, &[0.0; 12], &norm).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`factor` holds 3 values, its shape needs 4"
    );
    let norm = GroupNorm {
        factor: None,
        ..norm
    };
    assert!(kernels::group_norm(level, &[0.0; 11], &norm).is_err());
    let x = [0.0; 12];
    assert!(kernels::group_norm_backward(level, &x, &[0.0; 3], &x, &norm).is_err());
    assert!(kernels::group_norm_backward(level, &x, &[0.0; 4], &x[1..], &norm).is_err());
    let huge = GroupNorm {
        dims: [usize::MAX, 2, 2, 3],
        ..norm
    };
    assert!(kernels::group_norm(level, &x, &huge).is_err());
    let none = GroupNorm {
        dims: [0, 2, 2, 3],
        ..norm
    };
    assert!(kernels::group_norm(level, &[], &none).unwrap().0.is_empty());
}
