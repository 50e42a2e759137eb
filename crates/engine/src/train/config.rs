//! Settings of a run: steps, learning rate, schedule, optimiser, checkpoint interval.

use serde::{Deserialize, Serialize};

use super::Schedule;
use super::optim::OptimizerConfig;

/// Everything a training run depends on besides its task and model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Number of optimisation steps.
    pub steps: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps over which the rate rises linearly to its peak.
    pub warmup: u64,
    /// What the rate does after that.
    pub schedule: Schedule,
    /// The update rule.
    pub optimizer: OptimizerConfig,
    /// Largest global gradient norm; none when absent.
    pub clip: Option<f64>,
    /// Decay of the average of the weights; none is kept when absent.
    pub ema: Option<f64>,
    /// Mixed precision: linear layers, attention and convolutions multiply bf16 values, where the CPU has such products. Weights, sums, gradients
    /// and everything else stay f32.
    pub bf16: bool,
    /// Seed of every batch.
    pub seed: u64,
    /// Steps between log lines.
    pub log_every: u64,
    /// Steps between checkpoints; 0 writes one at the end only.
    pub checkpoint_every: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 10_000,
            learning_rate: 2e-4,
            warmup: 1000,
            schedule: Schedule::Constant,
            optimizer: OptimizerConfig::default(),
            clip: Some(1.0),
            ema: Some(0.9999),
            bf16: false,
            seed: 0,
            log_every: 50,
            checkpoint_every: 1000,
        }
    }
}

impl TrainConfig {
    /// The learning rate of step `step`, from 0.
    pub fn rate(&self, step: u64) -> f64 {
        self.learning_rate * self.schedule.factor(step, self.warmup, self.steps)
    }
}
