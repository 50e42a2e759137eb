//! Layer norm with one factor and shift for all rows.

use kernels::{LayerNorm, Level, layer_norm, layer_norm_backward};

use crate::error::Result;

/// `[rows, width]` → the same, and what the backward pass needs.
pub(super) fn norm(
    x: &[f32],
    factor: &[f32],
    shift: &[f32],
    eps: f32,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let width = factor.len();
    let norm = LayerNorm {
        dims: [1, x.len() / width, width],
        eps,
        factor: Some(factor),
        shift: Some(shift),
        residual: None,
    };
    Ok(layer_norm(Level::best(), x, &norm)?)
}

/// Gradients of the rows, the factor and the shift.
pub(super) fn norm_backward(
    x: &[f32],
    stats: &[f32],
    factor: &[f32],
    grad: &[f32],
) -> Result<(Vec<f32>, Vec<f32>, Vec<f32>)> {
    let dims = [1, x.len() / factor.len(), factor.len()];
    let grads = layer_norm_backward(Level::best(), x, stats, Some(factor), grad, dims, true)?;
    let (of_factor, of_shift) = grads.affine.unwrap_or_default();
    Ok((grads.x, of_factor, of_shift))
}
