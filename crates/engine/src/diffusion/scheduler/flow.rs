//! Flow matching in even steps: the network says velocities on straight paths, time runs from noise (0) to data (1).

use burn::tensor::Tensor;

use super::{Noise, Scheduler};
use crate::diffusion::{Solver, sde_step};

/// The flow from noise to data.
#[derive(Clone, Debug)]
pub struct Flow {
    timesteps: Vec<f64>,
    dt: f32,
    solver: Solver,
}

impl Flow {
    /// `steps` steps, at least one.
    pub fn new(steps: usize, solver: Solver) -> Self {
        let steps = steps.max(1);
        let dt = 1.0 / steps as f32;
        Self {
            timesteps: (0..steps).map(|i| f64::from(i as f32 * dt)).collect(),
            dt,
            solver,
        }
    }
}

impl<const D: usize> Scheduler<D> for Flow {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn step(
        &mut self,
        velocity: Tensor<D>,
        i: usize,
        x: Tensor<D>,
        noise: Noise<'_, D>,
    ) -> Tensor<D> {
        match self.solver {
            Solver::Sde if i + 1 < self.timesteps.len() => {
                sde_step(x, velocity, noise(), self.timesteps[i] as f32, self.dt)
            }
            _ => x + velocity * self.dt,
        }
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        let t = self.timesteps[i] as f32;
        x0 * t + noise * (1.0 - t)
    }
}
