//! Activations against their definitions in f64, at every level of this machine.
#![allow(clippy::unwrap_used)]

mod common;

use common::sized;
use kernels::Level;

/// Values from −12 to 12 in a scrambled order, with zeros.
fn sample(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919) % 2401) as f32 / 100.0 - 12.0)
        .collect()
}

fn gelu(x: f64) -> f64 {
    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
    x / 2.0 * (1.0 + u.tanh())
}

/// By Simpson's rule from 0 on.
fn gelu_erf(x: f64) -> f64 {
    let step = x / 400.0;
    let density =
        |i: usize| (-(i as f64 * step).powi(2) / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let weight = |i: usize| match i {
        0 | 400 => 1.0,
        i if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let below: f64 = (0..=400).map(|i| weight(i) * density(i)).sum();
    x * (0.5 + below * step / 3.0)
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    (f(x + 1e-5) - f(x - 1e-5)) / 2e-5
}

fn assert_close(name: &str, got: &[f32], want: impl Iterator<Item = f64>) {
    for (i, (&got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(got) - want).abs();
        assert!(
            error <= 2e-6 * (1.0 + want.abs()),
            "{name} at {i}: {got}, expected {want}"
        );
    }
}

#[test]
fn activations_equal_their_definitions() {
    for level in Level::all() {
        for &len in sized(&[0, 1, 15, 16, 17, 1000, 70_001][..], &[0, 1, 17, 100]) {
            let x = sample(len);
            let grad: Vec<f32> = x.iter().map(|x| (x * 0.37).cos()).collect();
            let wide = || {
                x.iter()
                    .zip(&grad)
                    .map(|(&x, &g)| (f64::from(x), f64::from(g)))
            };
            let y = kernels::gelu(level, &x);
            assert_eq!(y.len(), len);
            assert_close("gelu", &y, wide().map(|(x, _)| gelu(x)));
            let y = kernels::silu(level, &x);
            assert_close("silu", &y, wide().map(|(x, _)| silu(x)));
            let y = kernels::gelu_erf(level, &x);
            assert_close("gelu_erf", &y, wide().map(|(x, _)| gelu_erf(x)));
            let dx = kernels::gelu_erf_backward(level, &x, &grad).unwrap();
            assert_close(
                "gelu_erf'",
                &dx,
                wide().map(|(x, g)| g * slope(gelu_erf, x)),
            );
            let dx = kernels::gelu_backward(level, &x, &grad).unwrap();
            assert_close("gelu'", &dx, wide().map(|(x, g)| g * slope(gelu, x)));
            let dx = kernels::silu_backward(level, &x, &grad).unwrap();
            assert_close("silu'", &dx, wide().map(|(x, g)| g * slope(silu, x)));
        }
    }
}

#[test]
fn extremes_stay_finite_and_nan_propagates() {
    for level in Level::all() {
        for f in [kernels::gelu, kernels::gelu_erf, kernels::silu] {
            let y = f(level, &[f32::NAN, 100.0, -100.0, 1e30, f32::INFINITY, -1e4]);
            assert!(y[0].is_nan());
            assert_eq!(y[1], 100.0);
            assert!(y[2].abs() < 1e-30);
            assert_eq!(y[3], 1e30);
            assert_eq!(y[4], f32::INFINITY);
            assert!(y[5].abs() < 1e-30);
        }
    }
}

#[test]
fn wrong_lengths_are_errors() {
    let error = kernels::gelu_backward(Level::best(), &[0.0; 3], &[0.0; 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`grad` holds 2 values, its shape needs 3"
    );
}
