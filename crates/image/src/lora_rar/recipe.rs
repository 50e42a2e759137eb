//! Training of a hypernetwork on a Stable Diffusion model: what `orrery lora-rar train` does.

use std::path::{Path, PathBuf};

use base::command::Failure;
use base::rng::Rng;
use engine::models::stable_diffusion::StableDiffusion;
use engine::train::{Run, TrainConfig, train};
use serde::{Deserialize, Serialize};

use super::captions::{self, Named};
use super::pipeline::SEES;
use super::train::{HypernetTask, config};
use super::unet::{Member, UnetPairs, updates, widths};
use super::{HIDDEN, Hypernet, SystemError};
use crate::training::{read_recipe, write_recipe};
use crate::tuning::{FrozenBase, Instances, pictures};

/// The trained network in a run's folder.
pub const FILE: &str = "hypernet.safetensors";

/// Everything that a run depends on besides the bytes of its model, LoRAs and pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HypernetRecipe {
    /// The base model, as `--model` takes it.
    pub model: String,
    /// The folder of the tokenizer of a single file.
    pub tokenizer: Option<PathBuf>,
    /// The caption file.
    pub captions: PathBuf,
    /// The folder of LoRAs.
    pub loras: PathBuf,
    /// The folder with `subjects` and `styles`.
    pub data: PathBuf,
    /// Height and width of pictures; none for the model's own.
    pub side: Option<usize>,
    /// Optimisation steps.
    pub steps: u64,
    /// Pictures of the subject, and of the style, a step.
    pub batch: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight of the similarity term.
    pub similarity: f64,
    /// Decay of the averaged weights; 0 for none.
    pub ema: f64,
    /// Whether products are of bf16 values.
    pub bf16: bool,
    /// Seed of weights and batches.
    pub seed: u64,
}

/// How a run ended.
#[derive(Debug)]
pub struct HypernetDone {
    /// Steps done.
    pub step: u64,
    /// Mean loss since the last line of the log.
    pub loss: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// Whether it was stopped before its end; nothing is written then.
    pub interrupted: bool,
    /// Number of subjects and of styles.
    pub members: [usize; 2],
    /// Widths that the network has a layer for.
    pub widths: Vec<usize>,
}

impl HypernetRecipe {
    /// The recipe of the run in `folder`.
    ///
    /// # Errors
    /// Where it is not there or damaged.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        read_recipe(folder, "lora-rar train", |recipe: &Self| {
            let zero = recipe.batch == 0 || recipe.steps == 0;
            zero.then(|| "it asks for no steps, or for none in a batch".into())
        })
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        write_recipe(folder, self)
    }

    /// Subjects and styles.
    ///
    /// # Errors
    /// As [`captions::read`].
    pub fn members(&self) -> Result<[Vec<Named>; 2], SystemError> {
        captions::read(&self.captions, &self.loras, &self.data)
    }

    fn config(&self) -> TrainConfig {
        TrainConfig {
            ema: (self.ema > 0.0).then_some(self.ema),
            bf16: self.bf16,
            log_every: (self.steps / 100).clamp(1, 10),
            checkpoint_every: (self.steps / 10).clamp(1, 500),
            ..config(self.steps, self.learning_rate, self.seed)
        }
    }
}

/// Trains a network for `model` in the folder of `run` and writes its [`FILE`]. `watch` hears of pictures read, done and in all of one
/// subject or style, and may stop it.
///
/// # Errors
/// When LoRAs or pictures cannot be read or are for another base, the model cannot be trained this way, or the run fails.
pub fn run(
    recipe: &HypernetRecipe,
    model: &StableDiffusion,
    run: Run,
    watch: &mut dyn FnMut(usize, usize) -> Result<(), SystemError>,
) -> Result<HypernetDone, Failure> {
    let file = run.folder.join(FILE);
    let side = recipe.side.unwrap_or(model.request().width);
    let base = FrozenBase::new(model, side)?;
    let mut member = |named: &Named| -> Result<Member, SystemError> {
        let found = pictures(&named.pictures, Some(&named.prompt))?;
        Ok(Member {
            updates: updates(&named.lora, &base)?,
            instances: Instances::read(model, side, &found, watch)?,
        })
    };
    let [subjects, styles] = recipe.members()?;
    let subjects = subjects
        .iter()
        .map(&mut member)
        .collect::<Result<Vec<_>, _>>()?;
    let styles = styles
        .iter()
        .map(&mut member)
        .collect::<Result<Vec<_>, _>>()?;
    let widths = widths(&base);
    let mut rng = Rng::new(recipe.seed).child("hypernetwork");
    let fresh = Hypernet::new(&widths, HIDDEN, &mut rng, &base.device);
    let task = HypernetTask {
        pairs: UnetPairs::new(&base, &subjects, &styles, recipe.batch),
        lambda: recipe.similarity,
    };
    let trained = train(&task, fresh, &recipe.config(), run)?;
    if !trained.interrupted {
        trained.ema.file(&[SEES])?.write(file)?;
    }
    Ok(HypernetDone {
        step: trained.step,
        loss: trained.loss,
        seconds: trained.elapsed,
        interrupted: trained.interrupted,
        members: [subjects.len(), styles.len()],
        widths,
    })
}
