//! How a part is trained, and a run's `run.json`.

use std::path::{Path, PathBuf};

use base::command::Failure;
use base::files::write_bytes;
use clap::ValueEnum;
use engine::models::autoencoder_kl::AutoencoderKlConfig;
use engine::models::clip_text::ClipTextConfig;
use engine::models::unet2d::Unet2dConfig;
use engine::train::optim::{AdamWConfig, MuonConfig, OptimizerConfig};
use engine::train::{Schedule, TrainConfig};
use serde::{Deserialize, Serialize};

use super::unet::TimeDraw;

/// The recipe's file in a run's folder.
const FILE: &str = "run.json";

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

/// Optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Orthogonalised momentum for matrices and convolutions, AdamW for the rest: more learnt from a sample, a longer step
    #[default]
    Muon,
    /// Adam with decoupled weight decay
    Adamw,
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
        let path = folder.join(FILE);
        let damaged = |cause: String| {
            Failure::input(format!(
                "`{}` cannot be read ({cause}): give the folder of a run of `orrery sd train`, or start a new one",
                path.display()
            ))
        };
        let text = std::fs::read_to_string(&path).map_err(|cause| damaged(cause.to_string()))?;
        let recipe: Self =
            serde_json::from_str(&text).map_err(|cause| damaged(cause.to_string()))?;
        match recipe.batch == 0 || recipe.steps == 0 {
            true => Err(damaged(
                "it asks for no steps, or for none in a batch".into(),
            )),
            false => Ok(recipe),
        }
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let text = base::files::settings(self)?;
        Ok(write_bytes(folder.join(FILE), text.as_bytes())?)
    }

    /// The loop's settings: warm-up, a constant rate, and over the last part a decay in which the rate halves six times.
    pub fn train_config(&self) -> TrainConfig {
        let adamw = AdamWConfig {
            beta2: 0.99,
            weight_decay: 0.0,
            ..AdamWConfig::default()
        };
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
            optimizer: match self.optimizer {
                Optimizer::Adamw => OptimizerConfig::AdamW(adamw),
                Optimizer::Muon => OptimizerConfig::Muon(MuonConfig {
                    weight_decay: 0.0,
                    adamw,
                    adamw_params: adamw_params.map(str::to_owned).to_vec(),
                    convolutions: true,
                    ..MuonConfig::default()
                }),
            },
            ema: Some(self.ema),
            bf16: self.bf16,
            seed: self.seed,
            log_every: (self.steps / 100).clamp(1, 50),
            checkpoint_every: (self.steps / 20).clamp(1, 500),
            ..TrainConfig::default()
        }
    }
}
