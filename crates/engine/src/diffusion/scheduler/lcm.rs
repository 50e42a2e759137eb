//! Multistep consistency sampling (Luo et al. 2023, "Latent consistency models", algorithm 3): each step predicts the clean
//! sample and adds the noise of the next step anew.

use burn::tensor::Tensor;

use super::ddim::bar_at;
use super::{Noise, Scheduler, SchedulerConfig, split};

/// Standard deviation of the data in the boundary condition.
const DATA: f64 = 0.5;

/// Few steps of a model that was distilled for it.
#[derive(Clone, Debug)]
pub struct Lcm {
    config: SchedulerConfig,
    bars: Vec<f64>,
    timesteps: Vec<f64>,
}

impl Lcm {
    /// `steps` steps among the `original_inference_steps` of the distillation.
    pub fn new(config: SchedulerConfig, steps: usize) -> Self {
        let known = config
            .original_inference_steps
            .clamp(1, config.num_train_timesteps);
        let stride = config.num_train_timesteps / known;
        let steps = steps.clamp(1, known);
        let timesteps = (0..steps)
            .map(|i| ((known - i * known / steps) * stride) as f64 - 1.0)
            .collect();
        Self {
            bars: config.alphas_cumprod(),
            config,
            timesteps,
        }
    }

    /// The clean sample that the network's `output` at `x` in step `i` stands for.
    pub fn denoised<const D: usize>(&self, output: Tensor<D>, i: usize, x: Tensor<D>) -> Tensor<D> {
        let t = self.timesteps[i];
        let bar = bar_at(&self.config, &self.bars, t);
        let at = [bar.sqrt(), (1.0 - bar).sqrt()];
        let [x0, _] = split(self.config.prediction_type, output, x.clone(), at);
        let scaled = t * self.config.timestep_scaling;
        let length = scaled * scaled + DATA * DATA;
        x0 * (scaled / length.sqrt()) + x * (DATA * DATA / length)
    }
}

impl<const D: usize> Scheduler<D> for Lcm {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn step(
        &mut self,
        output: Tensor<D>,
        i: usize,
        x: Tensor<D>,
        noise: Noise<'_, D>,
    ) -> Tensor<D> {
        let x0 = self.denoised(output, i, x);
        match i + 1 < self.timesteps.len() {
            true => self.add_noise(x0, noise(), i + 1),
            false => x0,
        }
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        let bar = bar_at(&self.config, &self.bars, self.timesteps[i]);
        x0 * bar.sqrt() + noise * (1.0 - bar).sqrt()
    }
}
