//! Schedulers: of diffusion models with a discrete noise schedule, configured as diffusers' `scheduler_config.json`, and of
//! flow matching.

mod config;
mod ddim;
mod dpm;
mod edm;
mod euler;
mod flow;
mod heun;
mod lcm;
mod plms;

use burn::tensor::Tensor;

pub use config::{BetaSchedule, Prediction, SchedulerConfig, Spacing};
pub use ddim::{Ddim, DdimInverse};
pub use dpm::DpmSolver;
pub use edm::EdmEuler;
pub use euler::Euler;
pub use flow::Flow;
pub use heun::Heun;
pub use lcm::Lcm;
pub use plms::Plms;

/// Draws standard normal values of the shape of `x`.
pub type Noise<'a, const D: usize> = &'a mut dyn FnMut() -> Tensor<D>;

/// A sampler: from noise to data in discrete steps. Step `i` runs from 0; `x` and what the network says of it are of any shape.
pub trait Scheduler<const D: usize> {
    /// The time passed to the network in each step, the noisiest first.
    fn timesteps(&self) -> &[f64];

    /// How often each step but the last calls the network: sampling begins at multiples of it.
    fn order(&self) -> usize {
        1
    }

    /// The standard deviation of the noise that sampling starts from.
    fn init_noise_sigma(&self) -> f64 {
        1.0
    }

    /// The input of the network in step `i`.
    fn scale_model_input(&self, x: Tensor<D>, i: usize) -> Tensor<D> {
        let _ = i;
        x
    }

    /// `x` after step `i`, given the network's output; only ancestral samplers draw `noise`.
    fn step(&mut self, output: Tensor<D>, i: usize, x: Tensor<D>, noise: Noise<'_, D>)
    -> Tensor<D>;

    /// `x0` with the noise of step `i`.
    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D>;
}

/// Runs the sampler from `x`, which has the scheduler's [`Scheduler::init_noise_sigma`]. `network` gets the scaled input
/// and the timestep.
pub fn sample<const D: usize, E>(
    scheduler: &mut dyn Scheduler<D>,
    mut x: Tensor<D>,
    mut network: impl FnMut(Tensor<D>, f64) -> Result<Tensor<D>, E>,
    noise: Noise<'_, D>,
) -> Result<Tensor<D>, E> {
    for i in 0..scheduler.timesteps().len() {
        let t = scheduler.timesteps()[i];
        let output = network(scheduler.scale_model_input(x.clone(), i), t)?;
        x = scheduler.step(output, i, x, noise);
    }
    Ok(x)
}

/// `(x₀, ε)` out of a prediction at `x = α·x₀ + σ·ε`.
pub(crate) fn split<const D: usize>(
    kind: Prediction,
    output: Tensor<D>,
    x: Tensor<D>,
    [alpha, sigma]: [f64; 2],
) -> [Tensor<D>; 2] {
    match kind {
        Prediction::Epsilon => {
            let x0 = (x - output.clone() * sigma) / alpha;
            [x0, output]
        }
        Prediction::Sample => {
            let noise = (x - output.clone() * alpha) / sigma;
            [output, noise]
        }
        Prediction::VPrediction => [
            x.clone() * alpha - output.clone() * sigma,
            output * alpha + x * sigma,
        ],
    }
}
