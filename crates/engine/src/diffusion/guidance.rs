use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Classifier-free guidance on all conditions at once: `null + s · (full − null)`.
///
/// With text and image dropped together this is STIV's joint image-text guidance (JIT).
pub fn combine_joint<const D: usize>(null: Tensor<D>, full: Tensor<D>, scale: f32) -> Tensor<D> {
    null.clone() + (full - null) * scale
}

/// Guidance with a scale for each condition, in order:
/// `null + s₁ · (first − null) + s₂ · (full − first)` (STIV's separate image-text guidance, SIT).
pub fn combine_separate<const D: usize>(
    null: Tensor<D>,
    first: Tensor<D>,
    full: Tensor<D>,
    first_scale: f32,
    full_scale: f32,
) -> Tensor<D> {
    null.clone() + (first.clone() - null) * first_scale + (full - first) * full_scale
}

/// Over what CFG-renorm takes its norms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Renorm {
    /// The whole sample: channels, frames and places (the paper's).
    #[default]
    Sample,
    /// Each frame by itself.
    Frame,
    /// Each place of each frame by itself.
    Place,
}

/// CFG-renorm: scales `guided` to the norm of `conditional`.
///
/// Tensors are `[batch, channels, frames, height, width]`. `strength` in `[0, 1]` goes from `guided` (0) to the
/// fully renormalised one (1).
pub fn renorm(guided: Tensor<5>, conditional: Tensor<5>, over: Renorm, strength: f32) -> Tensor<5> {
    let dims: &[usize] = match over {
        Renorm::Sample => &[1, 2, 3, 4],
        Renorm::Frame => &[1, 3, 4],
        Renorm::Place => &[1],
    };
    let norm = |x: Tensor<5>| {
        dims.iter()
            .fold(x.square(), |sum, &dim| sum.sum_dim(dim))
            .sqrt()
    };
    let ratio = norm(conditional) / norm(guided.clone()).clamp_min(1e-12);
    guided * (ratio * strength + (1.0 - strength))
}
