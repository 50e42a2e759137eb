//! Pseudo linear multistep sampling (PLMS; Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds"): the
//! noise predictions of up to four steps are joined as Adams and Bashforth do. Stable Diffusion 1 names it in its files.

use burn::tensor::Tensor;

use super::ddim::bar_at;
use super::{Noise, Scheduler, SchedulerConfig, split};

/// Weights of the latest predictions, the newest first.
const WEIGHTS: [&[f64]; 4] = [
    &[1.0],
    &[3.0 / 2.0, -1.0 / 2.0],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// PLMS without Runge–Kutta steps. The second call of the network corrects the first step.
#[derive(Clone, Debug)]
pub struct Plms<const D: usize> {
    config: SchedulerConfig,
    bars: Vec<f64>,
    timesteps: Vec<f64>,
    stride: f64,
    /// What the network said in earlier calls, the newest first.
    outputs: Vec<Tensor<D>>,
    /// Where the first step began.
    begun: Option<Tensor<D>>,
}

impl<const D: usize> Plms<D> {
    /// `steps` steps, which call the network once more than that.
    pub fn new(config: SchedulerConfig, steps: usize) -> Self {
        let mut timesteps = config.spaced(steps, steps);
        timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
        if let Some(&second) = timesteps.get(1) {
            timesteps.insert(1, second);
        }
        Self {
            bars: config.alphas_cumprod(),
            stride: (config.num_train_timesteps / steps.max(1)) as f64,
            config,
            timesteps,
            outputs: Vec::new(),
            begun: None,
        }
    }

    fn bar(&self, t: f64) -> f64 {
        bar_at(&self.config, &self.bars, t)
    }
}

impl<const D: usize> Scheduler<D> for Plms<D> {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn step(&mut self, output: Tensor<D>, i: usize, x: Tensor<D>, _: Noise<'_, D>) -> Tensor<D> {
        let t = self.timesteps[i];
        // The correction walks the first step again, with the mean of what the network says at its two ends.
        let (from, to, x, output) = match self.begun.take().filter(|_| i == 1) {
            Some(begun) => {
                let first = self.outputs[0].clone();
                (t + self.stride, t, begun, (output + first) * 0.5)
            }
            None => {
                if i == 0 && self.timesteps.len() > 1 {
                    self.begun = Some(x.clone());
                }
                self.outputs.insert(0, output.clone());
                self.outputs.truncate(WEIGHTS.len());
                let weights = WEIGHTS[self.outputs.len() - 1];
                let joined = self
                    .outputs
                    .iter()
                    .zip(weights)
                    .map(|(output, &weight)| output.clone() * weight)
                    .reduce(|sum, part| sum + part);
                (t, t - self.stride, x, joined.unwrap_or(output))
            }
        };
        let [from, to] = [self.bar(from), self.bar(to)];
        let at = [from.sqrt(), (1.0 - from).sqrt()];
        let [_, noise] = split(self.config.prediction_type, output, x.clone(), at);
        let spread = from * (1.0 - to).sqrt() + (from * (1.0 - from) * to).sqrt();
        x * (to / from).sqrt() - noise * ((to - from) / spread)
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        let bar = self.bar(self.timesteps[i]);
        x0 * bar.sqrt() + noise * (1.0 - bar).sqrt()
    }
}
