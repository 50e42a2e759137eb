//! Euler's method on the preconditioned networks of Karras et al. (2022, "EDM", table 1), as Playground 2.5 and Stable Video
//! Diffusion sample.

use burn::tensor::Tensor;

use super::{Noise, Prediction, Scheduler, SchedulerConfig};

/// The range of σ where a file gives none.
const SIGMAS: [f64; 2] = [0.002, 80.0];

/// Euler steps in σ with continuous times `¼·ln σ`.
#[derive(Clone, Debug)]
pub struct EdmEuler {
    prediction: Prediction,
    /// Standard deviation of the data.
    data: f64,
    timesteps: Vec<f64>,
    /// σ of each step, and 0 at the end.
    sigmas: Vec<f64>,
}

impl EdmEuler {
    /// `steps` steps from `sigma_max` to `sigma_min`, spaced evenly in their roots of order `rho`.
    ///
    /// Stable Video Diffusion is `sigma_data` 1 and the prediction of v.
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let least = config.sigma_min.unwrap_or(SIGMAS[0]);
        let most = config.sigma_max.unwrap_or(SIGMAS[1]);
        let [low, high] = [least, most].map(|sigma| libm::pow(sigma, 1.0 / config.rho));
        let mut sigmas: Vec<f64> = (0..steps.max(1))
            .map(|i| i as f64 / (steps.max(2) - 1) as f64)
            .map(|share| libm::pow(high + share * (low - high), config.rho))
            .collect();
        let timesteps = sigmas
            .iter()
            .map(|&sigma| 0.25 * libm::log(sigma))
            .collect();
        sigmas.push(0.0);
        Self {
            prediction: config.prediction_type,
            data: config.sigma_data,
            timesteps,
            sigmas,
        }
    }

    /// σ of each step, and 0 at the end.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// The clean sample that the network's `output` at `x` in step `i` stands for.
    pub fn denoised<const D: usize>(&self, output: Tensor<D>, i: usize, x: Tensor<D>) -> Tensor<D> {
        let sigma = self.sigmas[i];
        let length = sigma * sigma + self.data * self.data;
        let scale = sigma * self.data / length.sqrt();
        let output = match self.prediction {
            Prediction::Epsilon => output * scale,
            Prediction::VPrediction => output * -scale,
            Prediction::Sample => return output,
        };
        x * (self.data * self.data / length) + output
    }
}

impl<const D: usize> Scheduler<D> for EdmEuler {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn init_noise_sigma(&self) -> f64 {
        let most = self.sigmas[0];
        (most * most + 1.0).sqrt()
    }

    fn scale_model_input(&self, x: Tensor<D>, i: usize) -> Tensor<D> {
        let sigma = self.sigmas[i];
        x / (sigma * sigma + self.data * self.data).sqrt()
    }

    fn step(&mut self, output: Tensor<D>, i: usize, x: Tensor<D>, _: Noise<'_, D>) -> Tensor<D> {
        let [from, to] = [self.sigmas[i], self.sigmas[i + 1]];
        let x0 = self.denoised(output, i, x.clone());
        x.clone() + (x - x0) * ((to - from) / from)
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        x0 + noise * self.sigmas[i]
    }
}
