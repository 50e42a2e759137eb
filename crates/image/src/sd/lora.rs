//! Training a LoRA on pictures: what `orrery sd train-lora` does.

use std::path::{Path, PathBuf};

use base::command::Failure;
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use engine::SystemError;
use engine::diffusion::scheduler::Prediction;
use engine::models::stable_diffusion::{OpenOptions, StableDiffusion};
use engine::models::unet2d::UnetLora;
use engine::train::{Run, TrainConfig, train};
use serde::{Deserialize, Serialize};

use crate::base_model::BaseModel;
use crate::training::{read_recipe, write_recipe};
use crate::tuning::{FrozenBase, Instances, LoraTask, config, lora_file, pictures};

/// The trained LoRA in a run's folder.
pub const FILE: &str = "lora.safetensors";
/// Draws on which the error without and with the LoRA is told.
const MEASURED: usize = 8;

/// Everything that a run depends on besides the bytes of its model and pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraRecipe {
    /// The base model, as `--model` takes it.
    pub model: String,
    /// Another autoencoder.
    pub vae: Option<PathBuf>,
    /// The folder of the tokenizer of a single file.
    pub tokenizer: Option<PathBuf>,
    /// What the U-Net predicts, where the files are wrong or say nothing.
    pub prediction: Option<Prediction>,
    /// LoRAs that the base is opened with.
    pub loras: Vec<(PathBuf, f32)>,
    /// The folder of pictures.
    pub data: PathBuf,
    /// The prompt of all pictures; none where `metadata.jsonl` has one for each.
    pub prompt: Option<String>,
    /// Height and width of pictures; none for the model's own.
    pub side: Option<usize>,
    /// Rank of each change.
    pub rank: usize,
    /// Changes are multiplied by alpha / rank.
    pub alpha: f64,
    /// Optimisation steps.
    pub steps: u64,
    /// Pictures a step.
    pub batch: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the averaged weights; 0 for none.
    pub ema: f64,
    /// Whether products are of bf16 values.
    pub bf16: bool,
    /// Seed of weights and batches.
    pub seed: u64,
}

/// How a run ended.
#[derive(Debug)]
pub struct LoraDone {
    /// Steps done.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Whether it was stopped before its end; nothing is written then.
    pub interrupted: bool,
    /// The mean squared error without and with the LoRA, on the same draws.
    pub errors: [f64; 2],
}

impl LoraRecipe {
    /// The recipe of the run in `folder`.
    ///
    /// # Errors
    /// Where it is not there or damaged.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        read_recipe(folder, "sd train-lora", Self::problem)
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        write_recipe(folder, self)
    }

    /// Why it cannot be followed.
    fn problem(&self) -> Option<String> {
        let zero = [self.rank, self.batch, self.steps as usize].contains(&0);
        (zero || !self.alpha.is_finite())
            .then(|| "it asks for a rank, steps or pictures of 0".into())
    }

    /// Opens the base on `device`, which is without gradients.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn open(&self, device: &Device) -> Result<StableDiffusion, Failure> {
        let options = OpenOptions {
            vae: self.vae.clone(),
            tokenizer: self.tokenizer.clone(),
            prediction: self.prediction,
            loras: self.loras.clone(),
            ..OpenOptions::default()
        };
        BaseModel::find(&self.model)?.open(&options, device)
    }

    /// The settings of the loop.
    fn config(&self) -> TrainConfig {
        TrainConfig {
            ema: (self.ema > 0.0).then_some(self.ema),
            bf16: self.bf16,
            ..config(self.steps, self.learning_rate, self.seed)
        }
    }
}

/// Trains a LoRA of `model` in the folder of `run` and writes its [`FILE`]. `watch` hears of pictures read, done and in all, and may
/// stop it.
///
/// # Errors
/// When pictures cannot be read, the model cannot be trained this way, or the run fails.
pub fn run(
    recipe: &LoraRecipe,
    model: &StableDiffusion,
    run: Run,
    watch: &mut dyn FnMut(usize, usize) -> Result<(), SystemError>,
) -> Result<LoraDone, Failure> {
    let file = run.folder.join(FILE);
    let side = recipe.side.unwrap_or(model.request().width);
    let base = FrozenBase::new(model, side)?;
    let found = pictures(&recipe.data, recipe.prompt.as_deref())?;
    let instances = Instances::read(model, side, &found, watch)?;
    let task = LoraTask {
        base: &base,
        instances: &instances,
        batch: recipe.batch,
    };
    let mut rng = Rng::new(recipe.seed).child("lora");
    let fresh = UnetLora::new(
        base.unet(),
        recipe.rank,
        recipe.alpha,
        &mut rng,
        &base.device,
    );
    let trained = train(&task, fresh, &recipe.config(), run)?;
    let mut done = LoraDone {
        step: trained.step,
        seconds: trained.elapsed,
        interrupted: trained.interrupted,
        errors: [f64::NAN; 2],
    };
    if !done.interrupted {
        let lora = trained.ema.train();
        done.errors = task.measure(&lora, MEASURED);
        let prompt = recipe.prompt.as_deref().unwrap_or(&found[0].prompt);
        lora_file(&lora, prompt)?.write(file)?;
    }
    Ok(done)
}
