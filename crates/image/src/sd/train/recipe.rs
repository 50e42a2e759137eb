//! How a part is trained, and a run's `run.json`.

use std::path::{Path, PathBuf};

use base::command::Failure;
use clap::ValueEnum;
use engine::models::autoencoder_kl::AutoencoderKlConfig;
use engine::models::clip_text::ClipTextConfig;
use engine::models::unet2d::Unet2dConfig;
use engine::train::{Schedule, TrainConfig};
use serde::{Deserialize, Serialize};

use super::unet::TimeDraw;
use crate::training::{read_recipe, write_recipe};

pub use crate::training::Optimizer;

/// What is trained, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The autoencoder: pictures to latents and back
    Vae,
    /// The text encoder with its vocabulary, so that prompts tell how their pictures look
    Text,
    /// The U-Net, with the text encoder
    Unet,
}

/// Sizes and losses of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The autoencoder.
    Vae {
        /// Sizes.
        config: AutoencoderKlConfig,
        /// Weight of the divergence from a standard normal.
        kl: f32,
    },
    /// The text encoder.
    Text {
        /// Sizes.
        config: ClipTextConfig,
    },
    /// The U-Net.
    Unet {
        /// Sizes.
        config: Box<Unet2dConfig>,
        /// How timesteps are drawn.
        times: TimeDraw,
    },
}

/// Everything that a run depends on besides the bytes of its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is trained.
    pub part: Part,
    /// The folder of the pack.
    pub data: PathBuf,
    /// The model with the parts that are there already.
    pub base: Option<PathBuf>,
    /// Optimisation steps.
    pub steps: u64,
    /// Samples a step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Decay of the averaged weights.
    pub ema: f64,
    /// Whether products are of bf16 values.
    pub bf16: bool,
    /// Seed of weights and batches.
    pub seed: u64,
}

impl Recipe {
    /// The recipe of the run in `folder`.
    ///
    /// # Errors
    /// Where it is not there or damaged.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        read_recipe(folder, "sd train", |recipe: &Self| {
            (recipe.batch == 0 || recipe.steps == 0)
                .then(|| "it asks for no steps, or for none in a batch".into())
        })
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        write_recipe(folder, self)
    }

    /// The loop's settings: warm-up, a constant rate, and over the last part a decay in which the rate halves six times.
    pub fn train_config(&self) -> TrainConfig {
        let adamw_params = [
            "conv_in",
            "conv_out",
            "token_embedding",
            "position_embedding",
            "time_embedding",
            "quant_conv",
            "post_quant_conv",
            "head",
        ];
        TrainConfig {
            steps: self.steps,
            learning_rate: self.learning_rate,
            warmup: (self.steps / 20).min(500),
            schedule: Schedule::Wsd { decay_start: 0.8 },
            optimizer: self.optimizer.config(0.99, &adamw_params, true),
            ema: Some(self.ema),
            bf16: self.bf16,
            seed: self.seed,
            log_every: (self.steps / 100).clamp(1, 50),
            checkpoint_every: (self.steps / 20).clamp(1, 500),
            ..TrainConfig::default()
        }
    }
}
