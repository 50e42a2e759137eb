//! The noise schedule and spacing of timesteps, as a diffusers `scheduler_config.json` says them.

use serde::{Deserialize, Serialize};

/// How betas rise from `beta_start` to `beta_end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Evenly.
    #[default]
    Linear,
    /// Evenly in their square roots (Stable Diffusion).
    ScaledLinear,
    /// By a squared cosine of ᾱ, capped at 0.999 (improved DDPM).
    SquaredcosCapV2,
}

/// What the network predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise ε.
    #[default]
    Epsilon,
    /// `v = α·ε − σ·x₀`.
    VPrediction,
    /// The clean sample x₀.
    Sample,
}

/// How sampling timesteps are chosen among the training timesteps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// From the first to the last, both ends included.
    #[default]
    Linspace,
    /// Multiples of a whole stride, from the first.
    Leading,
    /// Strides back from the last.
    Trailing,
}

/// A scheduler's configuration; fields that a file does not have are diffusers' defaults.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct SchedulerConfig {
    /// Training timesteps.
    pub num_train_timesteps: usize,
    /// First beta.
    pub beta_start: f64,
    /// Last beta.
    pub beta_end: f64,
    /// How betas rise.
    pub beta_schedule: BetaSchedule,
    /// What the network predicts.
    pub prediction_type: Prediction,
    /// How timesteps are chosen.
    pub timestep_spacing: Spacing,
    /// Added to timesteps of [`Spacing::Leading`].
    pub steps_offset: usize,
    /// DDIM: whether ᾱ beyond the last timestep is 1 (else that of timestep 0).
    pub set_alpha_to_one: bool,
    /// Betas are rescaled so that the last timestep is pure noise.
    pub rescale_betas_zero_snr: bool,
    /// Factor on `(1 − ᾱ)/ᾱ` (CogVideoX).
    pub snr_shift_scale: f64,
    /// DPM-Solver++: 1 or 2.
    pub solver_order: usize,
    /// Sigmas are spaced by Karras et al. (2022), ρ = 7.
    pub use_karras_sigmas: bool,
    /// LCM: steps of the distillation, among which a few are taken.
    pub original_inference_steps: usize,
    /// LCM: factor on timesteps in the boundary condition.
    pub timestep_scaling: f64,
    /// EDM: the last σ but 0.
    pub sigma_min: Option<f64>,
    /// EDM: the first σ.
    pub sigma_max: Option<f64>,
    /// EDM: standard deviation of the data.
    pub sigma_data: f64,
    /// EDM: σ is spaced evenly in its root of this order.
    pub rho: f64,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            prediction_type: Prediction::Epsilon,
            timestep_spacing: Spacing::Linspace,
            steps_offset: 0,
            set_alpha_to_one: true,
            rescale_betas_zero_snr: false,
            snr_shift_scale: 1.0,
            solver_order: 2,
            use_karras_sigmas: false,
            original_inference_steps: 50,
            timestep_scaling: 10.0,
            sigma_min: None,
            sigma_max: None,
            sigma_data: 0.5,
            rho: 7.0,
        }
    }
}

impl SchedulerConfig {
    /// ᾱ of every training timestep.
    pub fn alphas_cumprod(&self) -> Vec<f64> {
        let n = self.num_train_timesteps;
        let between =
            |from: f64, to: f64, i: usize| from + (to - from) * i as f64 / (n.max(2) - 1) as f64;
        let beta = |i: usize| match self.beta_schedule {
            BetaSchedule::Linear => between(self.beta_start, self.beta_end, i),
            BetaSchedule::ScaledLinear => {
                let root = between(self.beta_start.sqrt(), self.beta_end.sqrt(), i);
                root * root
            }
            BetaSchedule::SquaredcosCapV2 => {
                let bar = |t: f64| {
                    let angle = (t / n as f64 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2;
                    libm::cos(angle).powi(2)
                };
                (1.0 - bar(i as f64 + 1.0) / bar(i as f64)).min(0.999)
            }
        };
        let mut product = 1.0;
        let mut bars: Vec<f64> = (0..n)
            .map(|i| {
                product *= 1.0 - beta(i);
                product
            })
            .collect();
        let shift = self.snr_shift_scale;
        for bar in &mut bars {
            *bar /= shift + (1.0 - shift) * *bar;
        }
        if self.rescale_betas_zero_snr {
            zero_snr(&mut bars);
        }
        bars
    }

    /// `steps` timesteps in sampling order, the noisiest first. `intervals` is the number of strides that `Linspace` and
    /// `Leading` cut the training timesteps into: `steps`, or one more where the last is left out (DPM-Solver).
    pub(super) fn spaced(&self, steps: usize, intervals: usize) -> Vec<f64> {
        let n = self.num_train_timesteps as f64;
        let (steps, intervals) = (steps.max(1), intervals.max(1));
        let from_first: Vec<f64> = match self.timestep_spacing {
            Spacing::Linspace => {
                let stride = (n - 1.0) / (intervals.max(2) - 1) as f64;
                (0..intervals).map(|i| i as f64 * stride).collect()
            }
            Spacing::Leading => {
                let stride = self.num_train_timesteps / intervals;
                let offset = self.steps_offset;
                (0..intervals)
                    .map(|i| (i * stride + offset) as f64)
                    .collect()
            }
            Spacing::Trailing => {
                let stride = n / steps as f64;
                let mut all: Vec<f64> = (0..steps)
                    .map(|i| (n - i as f64 * stride).round_ties_even() - 1.0)
                    .collect();
                all.reverse();
                all
            }
        };
        from_first.into_iter().rev().take(steps).collect()
    }
}

/// Rescales √ᾱ so that the last is 0 and the first stays (Lin et al. 2023, algorithm 1).
fn zero_snr(bars: &mut [f64]) {
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        return;
    };
    let (first, last) = (first.sqrt(), last.sqrt());
    for bar in bars {
        *bar = ((bar.sqrt() - last) * first / (first - last)).powi(2);
    }
}
