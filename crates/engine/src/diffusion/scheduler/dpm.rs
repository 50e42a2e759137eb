//! DPM-Solver++ (Lu et al. 2022), multistep, midpoint form, orders 1 and 2.

use burn::tensor::Tensor;

use super::euler::{karras, sigma_at};
use super::{Noise, Scheduler, SchedulerConfig, split};

/// Multistep DPM-Solver++. Call [`DpmSolver::reset`] before another sample.
#[derive(Clone, Debug)]
pub struct DpmSolver<const D: usize> {
    config: SchedulerConfig,
    timesteps: Vec<f64>,
    /// σ/α of each step, and where the last one ends: 0, but for [`DpmSolver::continuous`].
    sigmas: Vec<f64>,
    /// x₀ as it was predicted one step before.
    previous: Option<Tensor<D>>,
    clip: Option<f32>,
}

/// `(α, σ)` of a variance-preserving process at a ratio σ/α.
fn parts(ratio: f64) -> [f64; 2] {
    let alpha = 1.0 / (ratio * ratio + 1.0).sqrt();
    [alpha, ratio * alpha]
}

impl<const D: usize> DpmSolver<D> {
    /// `steps` steps; the last ends at σ = 0 and is of first order.
    pub fn new(config: SchedulerConfig, steps: usize) -> Self {
        let bars = config.alphas_cumprod();
        let mut timesteps = config.spaced(steps, steps + 1);
        timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
        let mut sigmas: Vec<f64> = timesteps.iter().map(|&t| sigma_at(&bars, t)).collect();
        if config.use_karras_sigmas {
            let all = [
                sigma_at(&bars, 0.0),
                sigma_at(&bars, bars.len() as f64 - 1.0),
            ];
            (sigmas, timesteps) = karras(&bars, all, steps);
            timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
        }
        sigmas.push(0.0);
        Self {
            config,
            timesteps,
            sigmas,
            previous: None,
            clip: None,
        }
    }

    /// `steps` steps as the authors' own solver takes them (Lu et al.'s `time_uniform`): evenly in continuous time from 1 to the first
    /// training timestep, where it ends, and the logarithm of α evenly between training timesteps. The network is given fractional
    /// timesteps; the first and the last step are of first order.
    pub fn continuous(config: SchedulerConfig, steps: usize) -> Self {
        let steps = steps.max(1);
        let logs: Vec<f64> = config
            .alphas_cumprod()
            .iter()
            .map(|bar| 0.5 * libm::log(*bar))
            .collect();
        let last = logs.len().saturating_sub(1);
        let ratio = |t: f64| {
            let below = (t as usize).min(last);
            let above = (below + 1).min(last);
            let [below_log, above_log] =
                [below, above].map(|i| logs.get(i).copied().unwrap_or_default());
            let log = below_log + (above_log - below_log) * (t - below as f64);
            (libm::exp(-2.0 * log) - 1.0).sqrt()
        };
        let at = |i: usize| last as f64 * (1.0 - i as f64 / steps as f64);
        Self {
            timesteps: (0..steps).map(at).collect(),
            sigmas: (0..=steps).map(|i| ratio(at(i))).collect(),
            config,
            previous: None,
            clip: None,
        }
    }

    /// The same with every predicted x₀ kept within `±bound`.
    pub fn with_clip(mut self, bound: Option<f32>) -> Self {
        self.clip = bound;
        self
    }

    /// σ/α of each step, and where the last one ends.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// Forgets the sample before.
    pub fn reset(&mut self) {
        self.previous = None;
    }
}

impl<const D: usize> Scheduler<D> for DpmSolver<D> {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn step(&mut self, output: Tensor<D>, i: usize, x: Tensor<D>, _: Noise<'_, D>) -> Tensor<D> {
        let [from, to] = [self.sigmas[i], self.sigmas[i + 1]];
        let [alpha, sigma] = parts(from);
        let [x0, _] = split(
            self.config.prediction_type,
            output,
            x.clone(),
            [alpha, sigma],
        );
        let x0 = match self.clip {
            Some(bound) => x0.clamp(-bound, bound),
            None => x0,
        };
        let [alpha_to, sigma_to] = parts(to);
        // λ = ln(α/σ) = −ln(ratio), so e^{−h} is the ratio of ratios.
        let shrink = to / from;
        let pull = alpha_to * (1.0 - shrink);
        let next = x * (sigma_to / sigma) + x0.clone() * pull;
        let second = match &self.previous {
            Some(before) if self.config.solver_order >= 2 && i + 1 < self.timesteps.len() => {
                let [h, h0] = [-libm::log(shrink), libm::log(self.sigmas[i - 1] / from)];
                Some((x0.clone() - before.clone()) * (0.5 * pull * h / h0))
            }
            _ => None,
        };
        self.previous = Some(x0);
        match second {
            Some(correction) => next + correction,
            None => next,
        }
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        let [alpha, sigma] = parts(self.sigmas[i]);
        x0 * alpha + noise * sigma
    }
}
