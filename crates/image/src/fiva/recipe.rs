//! How the adapter is trained: batches and optimiser.

use base::rng::Rng;
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Schedule, TrainConfig};

/// Noise levels of the training schedule.
pub(super) const LEVELS: usize = 1000;

/// How batches are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Samples of a step.
    pub batch: usize,
    /// Height and width of targets in pixels.
    pub side: usize,
    /// Chances that text, references, or both are left out.
    pub dropout: [f32; 3],
    /// Whether tags are drawn among their synonyms.
    pub augment: bool,
    /// Whether references are brought to 512 × 512 first, as the published script does.
    pub through_512: bool,
    /// Half of the noise levels come from the noisiest quarter, where attributes are decided, in place of all as often.
    pub noisy: bool,
}

impl Default for Recipe {
    /// 512 pixels, and dropouts of 0.05 each, as IP-Adapter has them.
    fn default() -> Self {
        Self {
            batch: 16,
            side: 512,
            dropout: [0.05; 3],
            augment: true,
            through_512: true,
            noisy: false,
        }
    }
}

impl Recipe {
    /// A noise level, 0 the noisiest.
    pub(super) fn level(&self, rng: &mut Rng) -> usize {
        match self.noisy {
            true => {
                let share = rng.uniform();
                ((share * share * LEVELS as f32) as usize).min(LEVELS - 1)
            }
            false => rng.below(LEVELS),
        }
    }
}

/// The published optimiser settings for a run of `steps`: AdamW, rate 2e-5, weight decay 1e-3.
pub fn config(steps: u64, rate: f64, seed: u64) -> TrainConfig {
    TrainConfig {
        steps,
        learning_rate: rate,
        warmup: 0,
        schedule: Schedule::Constant,
        optimizer: OptimizerConfig::AdamW(AdamWConfig {
            weight_decay: 1e-3,
            ..AdamWConfig::default()
        }),
        clip: Some(1.0),
        ema: None,
        seed,
        log_every: 10,
        checkpoint_every: 500,
        ..TrainConfig::default()
    }
}
