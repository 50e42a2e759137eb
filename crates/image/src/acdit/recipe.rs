//! How a model is trained, and a run's `run.json`.

use std::path::{Path, PathBuf};

use base::command::Failure;
use base::files::write_bytes;
use engine::train::optim::{AdamWConfig, MuonConfig, OptimizerConfig};
use engine::train::{Schedule, TrainConfig};
use serde::{Deserialize, Serialize};

use super::config::AcditConfig;
use super::pipeline::About;

/// What a run teaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// To draw: the noise of noisy blocks, from scratch or from a model
    #[default]
    Draw,
    /// To classify: cross-entropy over the classes, all weights of a model and a new head
    Classify,
    /// The same, but the head alone: the model draws as before
    Head,
}

/// Optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// AdamW, as published
    #[default]
    Adamw,
    /// Muon for the matrices of the blocks, AdamW for the rest: more learnt from a sample, a longer step
    Muon,
}

/// Everything that a run depends on besides the bytes of its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is taught.
    pub goal: Goal,
    /// The folder with the data.
    pub data: PathBuf,
    /// The model that the run began with; none: drawn from the seed.
    pub init: Option<PathBuf>,
    /// The autoencoder's folder, for models of latents.
    pub vae: Option<PathBuf>,
    /// Sizes.
    pub config: AcditConfig,
    /// What the values are, names of classes.
    pub about: About,
    /// Whether half of the samples are mirrored.
    pub mirror: bool,
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

/// The recipe's file in a run's folder.
const FILE: &str = "run.json";

impl Recipe {
    /// The recipe of the run in `folder`.
    ///
    /// # Errors
    /// In words, where it is not there or damaged.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        let damaged = |cause: String| {
            format!(
                "`{}` cannot be read ({cause}): give the folder of a run of `orrery acdit train`, or start a new one",
                path.display()
            )
        };
        let text = std::fs::read_to_string(&path).map_err(|cause| damaged(cause.to_string()))?;
        let recipe: Self =
            serde_json::from_str(&text).map_err(|cause| damaged(cause.to_string()))?;
        let problem = recipe.config.problem();
        match problem.or_else(|| recipe.about.problem(&recipe.config)) {
            Some(problem) => Err(damaged(problem)),
            None => Ok(recipe),
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

    /// The loop's settings: warm-up, a constant rate, and over the last 15 % a decay in which the rate halves six times
    /// (paper section 4.1).
    pub fn train_config(&self) -> TrainConfig {
        let adamw = AdamWConfig {
            beta2: 0.95,
            weight_decay: 0.0,
            ..AdamWConfig::default()
        };
        TrainConfig {
            steps: self.steps,
            learning_rate: self.learning_rate,
            warmup: (self.steps / 20).min(1000),
            schedule: Schedule::Wsd { decay_start: 0.85 },
            optimizer: match self.optimizer {
                Optimizer::Adamw => OptimizerConfig::AdamW(adamw),
                Optimizer::Muon => OptimizerConfig::Muon(MuonConfig {
                    weight_decay: 0.0,
                    adamw,
                    adamw_params: ["labels", "x_embedder", "final_layer", "time"]
                        .map(str::to_owned)
                        .to_vec(),
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

    /// What a trained file says of its making.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        let data = self.data.file_name().unwrap_or_default().to_string_lossy();
        let recipe = Self {
            data: PathBuf::from(data.as_ref()),
            init: None,
            vae: None,
            ..self.clone()
        };
        let text = serde_json::to_string(&recipe).unwrap_or_default();
        vec![("acdit.recipe", text)]
    }
}
