//! Heun's method in σ (Karras et al. 2022, algorithm 1 without churn): every step but the last asks the network twice.

use burn::tensor::Tensor;

use super::euler::{Euler, clean, start_sigma};
use super::{Noise, Scheduler, SchedulerConfig};

/// Heun steps on `x = x₀ + σ·ε`.
#[derive(Clone, Debug)]
pub struct Heun<const D: usize> {
    config: SchedulerConfig,
    /// The time passed to the network at each call: two a step, one in the last.
    timesteps: Vec<f64>,
    /// σ of each step, and 0 at the end.
    sigmas: Vec<f64>,
    /// Where the present step began, and its first slope.
    begun: Option<[Tensor<D>; 2]>,
}

impl<const D: usize> Heun<D> {
    /// `steps` steps, which call the network `2 · steps − 1` times.
    pub fn new(config: SchedulerConfig, steps: usize) -> Self {
        let euler = Euler::new(config.clone(), false, steps);
        let once = Scheduler::<D>::timesteps(&euler);
        let again = once.iter().enumerate();
        let timesteps =
            again.flat_map(|(at, &t)| std::iter::repeat_n(t, if at == 0 { 1 } else { 2 }));
        Self {
            timesteps: timesteps.collect(),
            sigmas: euler.sigmas().to_vec(),
            config,
            begun: None,
        }
    }

    /// σ of call `i` of the network.
    fn sigma(&self, i: usize) -> f64 {
        self.sigmas[i.div_ceil(2)]
    }
}

impl<const D: usize> Scheduler<D> for Heun<D> {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn order(&self) -> usize {
        2
    }

    fn init_noise_sigma(&self) -> f64 {
        start_sigma(&self.config, &self.sigmas)
    }

    fn scale_model_input(&self, x: Tensor<D>, i: usize) -> Tensor<D> {
        let sigma = self.sigma(i);
        x / (sigma * sigma + 1.0).sqrt()
    }

    fn step(&mut self, output: Tensor<D>, i: usize, x: Tensor<D>, _: Noise<'_, D>) -> Tensor<D> {
        let sigma = self.sigma(i);
        let x0 = clean(self.config.prediction_type, output, x.clone(), sigma);
        let slope = (x.clone() - x0) / sigma;
        let step = i / 2;
        match self.begun.take().filter(|_| i % 2 == 1) {
            Some([from, first]) => {
                let both = (first + slope) * 0.5;
                from + both * (self.sigmas[step + 1] - self.sigmas[step])
            }
            None => {
                let next = x.clone() + slope.clone() * (self.sigmas[step + 1] - self.sigmas[step]);
                self.begun = Some([x, slope]);
                next
            }
        }
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        x0 + noise * self.sigma(i)
    }
}
