//! Activations, element by element.

use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};
use crate::math::{exp, mul_add, sigmoid};
use crate::parallel::{Fresh, collect, map, map2};

/// `2·√(2/π)`: GELU in its tanh form is `x · σ(2u)` with `u = √(2/π)·(x + 0.044715·x³)`.
const GELU_SCALE: f32 = 1.595_769;
const GELU_CUBIC: f32 = 0.044_715;

/// GELU in its tanh form, `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`. Any length.
pub fn gelu(level: Level, x: &[f32]) -> Vec<f32> {
    // SAFETY: `gelu_block` writes a value for each one it reads, and `map` covers the whole length.
    unsafe {
        collect(x.len(), |out| {
            map(x, out, |x, out| gelu_block(level, x, out))
        })
    }
}

/// Gradient of [`gelu`]: from its input `x` and the gradient `grad` of its output, that of `x`. Equal lengths.
pub fn gelu_backward(level: Level, x: &[f32], grad: &[f32]) -> Result<Vec<f32>, ShapeError> {
    expect("grad", grad.len(), x.len())?;
    // SAFETY: as in `gelu`; the two inputs have the length of the output.
    Ok(unsafe {
        collect(x.len(), |out| {
            map2(x, grad, out, |x, grad, out| {
                gelu_backward_block(level, x, grad, out)
            });
        })
    })
}

/// GELU in its exact form, `x · Φ(x)` with the normal distribution's Φ, which is right within 3·10⁻⁷. Any length.
pub fn gelu_erf(level: Level, x: &[f32]) -> Vec<f32> {
    // SAFETY: as in `gelu`.
    unsafe {
        collect(x.len(), |out| {
            map(x, out, |x, out| gelu_erf_block(level, x, out))
        })
    }
}

/// Gradient of [`gelu_erf`]: from its input `x` and the gradient `grad` of its output, that of `x`. Equal lengths.
pub fn gelu_erf_backward(level: Level, x: &[f32], grad: &[f32]) -> Result<Vec<f32>, ShapeError> {
    expect("grad", grad.len(), x.len())?;
    // SAFETY: as in `gelu_backward`.
    Ok(unsafe {
        collect(x.len(), |out| {
            map2(x, grad, out, |x, grad, out| {
                gelu_erf_backward_block(level, x, grad, out);
            });
        })
    })
}

/// An activation that other kernels apply to their own results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// As [`silu`].
    Silu,
    /// As [`gelu`], in its tanh form.
    GeluTanh,
    /// As [`gelu_erf`].
    Gelu,
}

leveled! {
    /// Replaces each value; the bits are those of the function that the activation is named after.
    pub(crate) fn activate(activation: Activation, values: &mut [f32]) {
        match activation {
            Activation::Silu => each(values, silu_of::<FMA>),
            Activation::GeluTanh => each(values, gelu_of::<FMA>),
            Activation::Gelu => each(values, gelu_erf_of::<FMA>),
        }
    }
}

#[inline(always)]
fn each(values: &mut [f32], of: impl Fn(f32) -> f32) {
    for value in values {
        *value = of(*value);
    }
}

#[inline(always)]
pub(crate) fn silu_of<const FMA: bool>(x: f32) -> f32 {
    x * sigmoid::<FMA>(x)
}

#[inline(always)]
pub(crate) fn gelu_of<const FMA: bool>(x: f32) -> f32 {
    let inner = x * mul_add::<FMA>(GELU_CUBIC * x, x, 1.0);
    x * sigmoid::<FMA>(GELU_SCALE * inner)
}

/// The normal distribution's Φ(x), and e^(−x²/2): formula 7.1.26 of Abramowitz and Stegun, whose error is below 1.5·10⁻⁷.
#[inline(always)]
fn normal<const FMA: bool>(x: f32) -> [f32; 2] {
    // Nearer to 0 nothing changes, and farther away than 12.6 nothing is left, but squares and tails would be denormal.
    let distance = if x.abs() < 1e-15 { 1e-15 } else { x.abs() };
    let square = 0.5 * distance * distance;
    let bell = if square > 80.0 {
        0.0
    } else {
        exp::<FMA>(-square)
    };
    let t = 1.0 / mul_add::<FMA>(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2, distance, 1.0);
    let p = mul_add::<FMA>(t, 1.061_405_4, -1.453_152);
    let p = mul_add::<FMA>(t, p, 1.421_413_8);
    let p = mul_add::<FMA>(t, p, -0.284_496_72);
    let p = mul_add::<FMA>(t, p, 0.254_829_6);
    let tail = 0.5 * t * p * bell;
    [if x > 0.0 { 1.0 - tail } else { tail }, bell]
}

#[inline(always)]
pub(crate) fn gelu_erf_of<const FMA: bool>(x: f32) -> f32 {
    x * normal::<FMA>(x)[0]
}

leveled! {
    fn gelu_erf_block(x: &[f32], out: &mut Fresh) {
        for (out, &x) in out.iter_mut().zip(x) {
            out.write(gelu_erf_of::<FMA>(x));
        }
    }
}

leveled! {
    fn gelu_erf_backward_block(x: &[f32], grad: &[f32], out: &mut Fresh) {
        /// 1/√(2π).
        const DENSITY: f32 = 0.398_942_3;
        for ((out, &x), &grad) in out.iter_mut().zip(x).zip(grad) {
            let [below, bell] = normal::<FMA>(x);
            out.write(grad * mul_add::<FMA>(DENSITY * x, bell, below));
        }
    }
}

/// SiLU, `x · σ(x)`. Any length.
pub fn silu(level: Level, x: &[f32]) -> Vec<f32> {
    // SAFETY: as in `gelu`.
    unsafe {
        collect(x.len(), |out| {
            map(x, out, |x, out| silu_block(level, x, out))
        })
    }
}

/// Gradient of [`silu`]: from its input `x` and the gradient `grad` of its output, that of `x`. Equal lengths.
pub fn silu_backward(level: Level, x: &[f32], grad: &[f32]) -> Result<Vec<f32>, ShapeError> {
    expect("grad", grad.len(), x.len())?;
    // SAFETY: as in `gelu_backward`.
    Ok(unsafe {
        collect(x.len(), |out| {
            map2(x, grad, out, |x, grad, out| {
                silu_backward_block(level, x, grad, out)
            });
        })
    })
}

leveled! {
    fn gelu_block(x: &[f32], out: &mut Fresh) {
        for (out, &x) in out.iter_mut().zip(x) {
            out.write(gelu_of::<FMA>(x));
        }
    }
}

leveled! {
    fn gelu_backward_block(x: &[f32], grad: &[f32], out: &mut Fresh) {
        for ((out, &x), &grad) in out.iter_mut().zip(x).zip(grad) {
            let inner = x * mul_add::<FMA>(GELU_CUBIC * x, x, 1.0);
            let s = sigmoid::<FMA>(GELU_SCALE * inner);
            let slope = GELU_SCALE * mul_add::<FMA>(3.0 * GELU_CUBIC * x, x, 1.0);
            // d/dx x·σ(v) = σ(v) + x·σ(v)·(1 − σ(v))·v′
            let derivative = mul_add::<FMA>(x * slope, s * (1.0 - s), s);
            out.write(grad * derivative);
        }
    }
}

leveled! {
    fn silu_block(x: &[f32], out: &mut Fresh) {
        for (out, &x) in out.iter_mut().zip(x) {
            out.write(silu_of::<FMA>(x));
        }
    }
}

leveled! {
    fn silu_backward_block(x: &[f32], grad: &[f32], out: &mut Fresh) {
        for ((out, &x), &grad) in out.iter_mut().zip(x).zip(grad) {
            let s = sigmoid::<FMA>(x);
            out.write(grad * mul_add::<FMA>(x, s * (1.0 - s), s));
        }
    }
}
