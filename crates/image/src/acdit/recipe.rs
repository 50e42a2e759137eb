//! How a model is trained, and a run's `run.json`.

use std::path::{Path, PathBuf};

use base::command::Failure;
use engine::train::{Schedule, TrainConfig};
use serde::{Deserialize, Serialize};

use super::config::AcditConfig;
use super::pipeline::About;
use crate::training::{read_recipe, write_recipe};

pub use crate::training::Optimizer;

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

impl Recipe {
    /// The recipe of the run in `folder`.
    ///
    /// # Errors
    /// Where it is not there or damaged.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        read_recipe(folder, "acdit train", |recipe: &Self| {
            let problem = recipe.config.problem();
            problem.or_else(|| recipe.about.problem(&recipe.config))
        })
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        write_recipe(folder, self)
    }

    /// The loop's settings: warm-up, a constant rate, and over the last 15 % a decay in which the rate halves six times
    /// (paper section 4.1).
    pub fn train_config(&self) -> TrainConfig {
        let adamw_params = ["labels", "x_embedder", "final_layer", "time"];
        TrainConfig {
            steps: self.steps,
            learning_rate: self.learning_rate,
            warmup: (self.steps / 20).min(1000),
            schedule: Schedule::Wsd { decay_start: 0.85 },
            optimizer: self.optimizer.config(0.95, &adamw_params, false),
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
