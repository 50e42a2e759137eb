//! SwiGLU, the gate of a feed-forward layer.

use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};
use crate::math::{mul_add, sigmoid};
use crate::parallel::{Fresh, collect, map2, rows_per_task};

/// `silu(gate) · up` with `silu(x) = x · σ(x)`. Equal lengths.
pub fn swiglu(level: Level, gate: &[f32], up: &[f32]) -> Result<Vec<f32>, ShapeError> {
    expect("up", up.len(), gate.len())?;
    // SAFETY: `forward_block` writes a value for each one it reads, and `map2` covers the whole length.
    Ok(unsafe {
        collect(gate.len(), |out| {
            map2(gate, up, out, |gate, up, out| {
                forward_block(level, gate, up, out)
            });
        })
    })
}

/// Gradients of the gate and of `up` in [`swiglu`], from the gradient `grad` of its result. Equal lengths.
pub fn swiglu_backward(
    level: Level,
    gate: &[f32],
    up: &[f32],
    grad: &[f32],
) -> Result<(Vec<f32>, Vec<f32>), ShapeError> {
    expect("up", up.len(), gate.len())?;
    expect("grad", grad.len(), gate.len())?;
    let task = rows_per_task(1);
    let mut d_up = Vec::new();
    // SAFETY: `backward_block` writes a value of both for each one it reads; the chunks cover the whole length.
    let d_gate = unsafe {
        collect(gate.len(), |d_gate| {
            d_up = collect(gate.len(), |d_up| {
                let inputs = gate.par_chunks(task).zip(up.par_chunks(task));
                d_gate
                    .par_chunks_mut(task)
                    .zip(d_up.par_chunks_mut(task))
                    .zip(inputs.zip(grad.par_chunks(task)))
                    .for_each(|((d_gate, d_up), ((gate, up), grad))| {
                        backward_block(level, gate, up, grad, d_gate, d_up);
                    });
            });
        })
    };
    Ok((d_gate, d_up))
}

leveled! {
    fn forward_block(gate: &[f32], up: &[f32], out: &mut Fresh) {
        for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
            out.write(gate * sigmoid::<FMA>(gate) * up);
        }
    }
}

leveled! {
    fn backward_block(
        gate: &[f32],
        up: &[f32],
        grad: &[f32],
        d_gate: &mut Fresh,
        d_up: &mut Fresh,
    ) {
        let inputs = gate.iter().zip(up).zip(grad);
        for ((d_gate, d_up), ((gate, up), grad)) in d_gate.iter_mut().zip(d_up).zip(inputs) {
            let s = sigmoid::<FMA>(*gate);
            d_gate.write(grad * up * mul_add::<FMA>(*gate, s * (1.0 - s), s));
            d_up.write(grad * (gate * s));
        }
    }
}
