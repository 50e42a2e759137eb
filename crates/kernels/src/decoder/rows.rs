//! Operations on single rows.

use crate::activation::{Activation, gelu_erf_of, gelu_of, silu_of};
use crate::level::{Level, leveled};
use crate::math::{mul_add, sum};
use crate::softmax::dot;

leveled! {
    /// `out = (weight + plus) · x / √(mean(x²) + eps)`. Equal lengths; what is longer is not read.
    pub fn rms_norm_row(x: &[f32], weight: &[f32], plus: f32, eps: f32, out: &mut [f32]) {
        let scale = 1.0 / (dot::<FMA>(x, x) / x.len() as f32 + eps).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * (weight + plus);
        }
    }
}

leveled! {
    /// `out = weight · (x − mean) / √(var + eps)`, biased variance. Equal lengths; what is longer is not read.
    pub fn layer_norm_row(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let count = x.len() as f32;
        let mean = sum(x) / count;
        for (out, x) in out.iter_mut().zip(x) {
            *out = x - mean;
        }
        let scale = 1.0 / (dot::<FMA>(out, out) / count + eps).sqrt();
        for (out, weight) in out.iter_mut().zip(weight) {
            *out = *out * scale * weight;
        }
    }
}

leveled! {
    /// `x += factor · y`.
    pub fn add_row(x: &mut [f32], y: &[f32], factor: f32) {
        for (x, y) in x.iter_mut().zip(y) {
            *x = mul_add::<FMA>(factor, *y, *x);
        }
    }
}

leveled! {
    /// `gate = activation(gate) · up`.
    pub fn gate_row(activation: Activation, gate: &mut [f32], up: &[f32]) {
        match activation {
            Activation::Silu => gated(gate, up, silu_of::<FMA>),
            Activation::GeluTanh => gated(gate, up, gelu_of::<FMA>),
            Activation::Gelu => gated(gate, up, gelu_erf_of::<FMA>),
        }
    }
}

#[inline(always)]
fn gated(gate: &mut [f32], up: &[f32], of: impl Fn(f32) -> f32) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = of(*gate) * up;
    }
}

/// Turns the first `2 · cos.len()` values of a head: value `i` with value `i + cos.len()`, or with its neighbour
/// where `interleaved`. `sin` is as long as `cos`.
pub fn rotate_row(level: Level, x: &mut [f32], cos: &[f32], sin: &[f32], interleaved: bool) {
    let half = cos.len();
    if interleaved {
        for ((pair, cos), sin) in x.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
            let [a, b] = *pair;
            *pair = [a * cos - b * sin, b * cos + a * sin];
        }
    } else if x.len() >= 2 * half {
        let (first, second) = x.split_at_mut(half);
        rotate_halves(level, first, &mut second[..half], cos, sin);
    }
}

leveled! {
    fn rotate_halves(first: &mut [f32], second: &mut [f32], cos: &[f32], sin: &[f32]) {
        let values = first.iter_mut().zip(second.iter_mut());
        for ((a, b), (cos, sin)) in values.zip(cos.iter().zip(sin)) {
            let (x, y) = (*a, *b);
            *a = x * cos - y * sin;
            *b = y * cos + x * sin;
        }
    }
}
