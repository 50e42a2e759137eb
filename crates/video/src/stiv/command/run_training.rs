//! Runs a training as its config says.

use std::path::Path;
use std::sync::Arc;

use base::command::Failure;
use burn::tensor::Device;
use engine::data::pack::EmojiPack;
use engine::train::{Run, TrainConfig, Trained};
use engine::weights::{Precision, TensorFile};

use super::run_config::{MODEL, RunConfig, Stage};
use crate::stiv::config::StivConfig;
use crate::stiv::judge::{Judge, judge_config, train_judge};
use crate::stiv::model::Stiv;
use crate::stiv::pipeline::StivPipeline;
use crate::stiv::stages::{self, StageError};
use crate::stiv::text::WordTower;
use crate::stiv::tower;
use crate::stiv::train::Recipe;

/// What a run gave.
pub struct Outcome {
    /// Steps done.
    pub step: u64,
    /// Mean loss at the end; NaN where it is not known.
    pub loss: f64,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

impl<M> From<&Trained<M>> for Outcome {
    fn from(trained: &Trained<M>) -> Self {
        Self {
            step: trained.step,
            loss: trained.loss,
            interrupted: trained.interrupted,
        }
    }
}

/// What a run begins with.
pub struct Start {
    /// The text tower; none for the stage that makes one.
    pub tower: Option<WordTower>,
    /// The image model that the run starts from.
    pub picture: Option<Stiv>,
    /// The image model's shape.
    pub shape: StivConfig,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            tower: None,
            picture: None,
            shape: StivConfig::emoji_images(),
        }
    }
}

/// Trains on `device`, one with autodiff, and writes the model when the run came to its end.
///
/// # Errors
/// When the run fails or cannot be written.
pub fn run_training(
    config: &RunConfig,
    start: Start,
    run: Run,
    folder: &Path,
    device: &Device,
) -> Result<Outcome, Failure> {
    let file = folder.join(MODEL);
    let notes = config.notes();
    let notes: Vec<(&str, &str)> = notes.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let (steps, seed) = (config.steps, config.seed);
    let with = |usual: TrainConfig| TrainConfig {
        learning_rate: config.learning_rate,
        bf16: config.bf16,
        ..usual
    };
    let images = |usual: TrainConfig| TrainConfig {
        optimizer: config.optimizer.config(),
        ..with(usual)
    };
    let recipe = |usual: Recipe| Recipe {
        batch: config.batch,
        mask_ratio: config.mask,
        time: config.times,
        ..usual
    };
    let tower = match (config.stage, start.tower) {
        (Stage::Words, known) => {
            let training = TrainConfig {
                steps,
                ..with(stages::word_config(seed))
            };
            let known = known.as_ref();
            let trained = stages::train_words(config.subjects, known, &training, run, device)?;
            if !trained.interrupted {
                write_tower(&trained.model, config, Precision::F32, &file)?;
            }
            return Ok(Outcome::from(&trained));
        }
        (Stage::Judge, _) => {
            let training = with(judge_config(steps, seed, config.optimizer));
            let codes = config.subjects.codes(EmojiPack::embedded()?);
            let trained = train_judge(&codes, &training, run, device)?;
            let outcome = Outcome::from(&trained);
            if !outcome.interrupted {
                let device = device.clone().without_autodiff();
                Judge::new(trained.ema, codes, &device).save(&notes, &file)?;
            }
            return Ok(outcome);
        }
        (_, Some(tower)) => Arc::new(tower),
        (_, None) => {
            return Err(Failure::failed(
                "the run has no text tower: start a new one",
            ));
        }
    };
    let (shape, text) = (&config.shape, tower.clone());
    let trained = match (config.stage, start.picture) {
        (Stage::Stiv, Some(picture)) => {
            let training = images(stages::clip_config(steps, seed));
            let recipe = recipe(stages::clip_recipe());
            stages::train_clips(picture, shape, text, recipe, &training, run, device)?
        }
        (_, start) => {
            let training = images(stages::image_config(steps, seed));
            let recipe = recipe(Recipe::default());
            stages::train_images(start, shape, text, recipe, &training, run, device)?
        }
    };
    if !trained.interrupted {
        let shape = config.trained_shape();
        StivPipeline::save(&trained.ema, &shape, &tower, &notes, Precision::F16, &file)?;
    }
    Ok(Outcome::from(&trained))
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Pack(error) => error.into(),
            StageError::Train(error) => error.into(),
        }
    }
}

/// Writes a tower with the notes of `config`.
///
/// # Errors
/// When it cannot be written.
pub fn write_tower(
    tower: &WordTower,
    config: &RunConfig,
    precision: Precision,
    path: &Path,
) -> Result<(), Failure> {
    let mut file = TensorFile::new();
    for (key, value) in config.notes() {
        file.note(key, value);
    }
    tower::write(tower, &mut file, precision)?;
    Ok(file.write(path)?)
}
