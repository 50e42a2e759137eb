use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Solver of the flow ODE or SDE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// The probability-flow ODE by Euler steps: deterministic.
    #[default]
    Euler,
    /// The reverse-time SDE by Euler–Maruyama steps, diffusion `w(t) = 1 − t`; the last step is deterministic.
    Sde,
}

/// The score that belongs to a velocity on straight paths: `(t·v − x) / (1 − t)`, `t < 1`.
pub fn score_from_velocity<const D: usize>(v: Tensor<D>, x: Tensor<D>, t: f32) -> Tensor<D> {
    (v * t - x) / (1.0 - t)
}

/// One step of the reverse-time SDE from `t` to `t + dt` with diffusion `w(t) = 1 − t`:
/// `x + (v + w/2 · score)·dt + √(w·dt)·z`, `z` standard normal of the shape of `x`.
pub fn sde_step<const D: usize>(
    x: Tensor<D>,
    v: Tensor<D>,
    z: Tensor<D>,
    t: f32,
    dt: f32,
) -> Tensor<D> {
    let w = 1.0 - t;
    let score = score_from_velocity(v.clone(), x.clone(), t);
    x + (v + score * (w / 2.0)) * dt + z * libm::sqrtf(w * dt)
}
