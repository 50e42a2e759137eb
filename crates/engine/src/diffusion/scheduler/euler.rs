//! Euler's method in σ (Karras et al. 2022), plain and ancestral.

use burn::tensor::Tensor;

use super::{Noise, Prediction, Scheduler, SchedulerConfig, Spacing};

/// Euler steps on `x = x₀ + σ·ε`; ancestral ones add part of the noise anew.
#[derive(Clone, Debug)]
pub struct Euler {
    config: SchedulerConfig,
    ancestral: bool,
    timesteps: Vec<f64>,
    /// σ of each step, and 0 at the end.
    sigmas: Vec<f64>,
}

/// What stands for an ᾱ of 0, where there is nothing but noise, so that σ stays finite; that of diffusers.
const LEAST_BAR: f64 = 1.0 / (1 << 24) as f64;

/// `√((1 − ᾱ)/ᾱ)` at `t`, interpolated between whole timesteps.
pub(super) fn sigma_at(bars: &[f64], t: f64) -> f64 {
    let last = bars.len().saturating_sub(1);
    let low = (t.max(0.0) as usize).min(last);
    let ratio = |i: usize| {
        let bar = if bars[i] > 0.0 { bars[i] } else { LEAST_BAR };
        ((1.0 - bar) / bar).sqrt()
    };
    let [a, b] = [ratio(low), ratio((low + 1).min(last))];
    a + (b - a) * (t - low as f64)
}

/// `steps` sigmas spaced by Karras et al. with ρ = 7 between `[least, most]`, and the timesteps they fall on.
pub(super) fn karras(bars: &[f64], [least, most]: [f64; 2], steps: usize) -> (Vec<f64>, Vec<f64>) {
    let [low, high] = [least, most].map(|sigma| sigma.powf(1.0 / 7.0));
    let sigmas: Vec<f64> = (0..steps)
        .map(|i| (high + i as f64 / (steps.max(2) - 1) as f64 * (low - high)).powi(7))
        .collect();
    let logs: Vec<f64> = (0..bars.len())
        .map(|i| libm::log(sigma_at(bars, i as f64)))
        .collect();
    let time = |sigma: &f64| {
        let log = libm::log(*sigma);
        let low = logs
            .partition_point(|l| *l <= log)
            .saturating_sub(1)
            .min(logs.len() - 2);
        let weight = (logs[low] - log) / (logs[low] - logs[low + 1]);
        low as f64 + weight.clamp(0.0, 1.0)
    };
    let times = sigmas.iter().map(time).collect();
    (sigmas, times)
}

/// The σ that sampling starts from.
pub(super) fn start_sigma(config: &SchedulerConfig, sigmas: &[f64]) -> f64 {
    let most = sigmas.iter().copied().fold(0.0, f64::max);
    match config.timestep_spacing {
        Spacing::Leading => (most * most + 1.0).sqrt(),
        Spacing::Linspace | Spacing::Trailing => most,
    }
}

/// x₀ out of a prediction at `x = x₀ + σ·ε`.
pub(super) fn clean<const D: usize>(
    kind: Prediction,
    output: Tensor<D>,
    x: Tensor<D>,
    sigma: f64,
) -> Tensor<D> {
    match kind {
        Prediction::Epsilon => x - output * sigma,
        Prediction::Sample => output,
        Prediction::VPrediction => {
            let scale = sigma * sigma + 1.0;
            output * (-sigma / scale.sqrt()) + x / scale
        }
    }
}

impl Euler {
    /// `steps` steps.
    pub fn new(config: SchedulerConfig, ancestral: bool, steps: usize) -> Self {
        let bars = config.alphas_cumprod();
        let mut timesteps = config.spaced(steps, steps);
        let mut sigmas: Vec<f64> = timesteps.iter().map(|&t| sigma_at(&bars, t)).collect();
        if let (true, Some(most), Some(least)) =
            (config.use_karras_sigmas, sigmas.first(), sigmas.last())
        {
            (sigmas, timesteps) = karras(&bars, [*least, *most], steps);
        }
        sigmas.push(0.0);
        Self {
            config,
            ancestral,
            timesteps,
            sigmas,
        }
    }

    /// σ of each step, and 0 at the end.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }
}

impl<const D: usize> Scheduler<D> for Euler {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn init_noise_sigma(&self) -> f64 {
        start_sigma(&self.config, &self.sigmas)
    }

    fn scale_model_input(&self, x: Tensor<D>, i: usize) -> Tensor<D> {
        let sigma = self.sigmas[i];
        x / (sigma * sigma + 1.0).sqrt()
    }

    fn step(
        &mut self,
        output: Tensor<D>,
        i: usize,
        x: Tensor<D>,
        noise: Noise<'_, D>,
    ) -> Tensor<D> {
        let [from, to] = [self.sigmas[i], self.sigmas[i + 1]];
        let x0 = clean(self.config.prediction_type, output, x.clone(), from);
        let slope = (x.clone() - x0) / from;
        if !self.ancestral {
            return x + slope * (to - from);
        }
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
        let down = (to * to - up * up).max(0.0).sqrt();
        x + slope * (down - from) + noise() * up
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        x0 + noise * self.sigmas[i]
    }
}
