//! GELU in its exact form, `x · Φ(x)`; the kernels have the tanh form.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use rayon::prelude::*;

fn normal_share(x: f32) -> f32 {
    0.5 * (1.0 + libm::erff(x * FRAC_1_SQRT_2))
}

/// Element by element.
pub(super) fn gelu(x: &[f32]) -> Vec<f32> {
    let each = x.par_iter().with_min_len(4096);
    each.map(|&x| x * normal_share(x)).collect()
}

/// The gradient of `x` from that of its GELU.
pub(super) fn gelu_backward(x: &[f32], grad: &[f32]) -> Vec<f32> {
    let each = x.par_iter().zip(grad).with_min_len(4096);
    each.map(|(&x, grad)| {
        let density = libm::expf(-0.5 * x * x) / (2.0 * PI).sqrt();
        grad * (normal_share(x) + x * density)
    })
    .collect()
}
