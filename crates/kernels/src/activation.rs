//! Activations, element by element.

use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};
use crate::math::{mul_add, sigmoid};
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
            let inner = x * mul_add::<FMA>(GELU_CUBIC * x, x, 1.0);
            out.write(x * sigmoid::<FMA>(GELU_SCALE * inner));
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
            out.write(x * sigmoid::<FMA>(x));
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
