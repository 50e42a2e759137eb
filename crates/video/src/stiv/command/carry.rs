//! A planned run, carried out.

use std::path::Path;
use std::sync::Arc;

use base::command::Failure;
use burn::tensor::Device;
use engine::data::pack::EmojiPack;
use engine::train::{Run, TrainConfig};
use engine::weights::{Precision, TensorFile};

use super::plan::{MODEL, Plan, Stage};
use crate::stiv::config::StivConfig;
use crate::stiv::judge::{Judge, judge_config, train_judge};
use crate::stiv::model::Stiv;
use crate::stiv::stages::{self, StageError};
use crate::stiv::studio::Studio;
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

/// What a run begins with.
pub struct Start {
    /// The text tower; none for the stage that makes one.
    pub tower: Option<WordTower>,
    /// The picture model that the run starts from.
    pub picture: Option<Stiv>,
    /// The picture model's shape.
    pub shape: StivConfig,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            tower: None,
            picture: None,
            shape: StivConfig::emoji_pictures(),
        }
    }
}

/// Trains on `device`, one with autodiff, and writes the model when the run came to its end.
///
/// # Errors
/// When the run fails or cannot be written.
pub fn carry_out(
    plan: &Plan,
    start: Start,
    run: Run,
    folder: &Path,
    device: &Device,
) -> Result<Outcome, Failure> {
    let file = folder.join(MODEL);
    let tower = match (plan.stage, start.tower) {
        (Stage::Words, known) => {
            let config = TrainConfig {
                steps: plan.steps,
                learning_rate: plan.learning_rate,
                bf16: plan.bf16,
                ..stages::word_config(plan.seed)
            };
            let trained = stages::train_words(plan.subjects, known.as_ref(), &config, run, device)
                .map_err(failed)?;
            if !trained.interrupted {
                write_tower(&trained.model, plan, Precision::F32, &file)?;
            }
            return Ok(Outcome {
                step: trained.step,
                loss: trained.loss,
                interrupted: trained.interrupted,
            });
        }
        (Stage::Judge, _) => {
            let config = TrainConfig {
                learning_rate: plan.learning_rate,
                bf16: plan.bf16,
                ..judge_config(plan.steps, plan.seed, plan.optimizer)
            };
            let codes = plan.subjects.codes(EmojiPack::embedded()?);
            let trained = train_judge(&codes, &config, run, device).map_err(failed)?;
            if !trained.interrupted {
                let notes = plan.notes();
                let notes: Vec<(&str, &str)> =
                    notes.iter().map(|(k, v)| (*k, v.as_str())).collect();
                let device = device.clone().without_autodiff();
                Judge::new(trained.ema, codes, &device).save(&notes, &file)?;
            }
            return Ok(Outcome {
                step: trained.step,
                loss: trained.loss,
                interrupted: trained.interrupted,
            });
        }
        (_, Some(tower)) => Arc::new(tower),
        (_, None) => {
            return Err(Failure::failed(
                "the run has no text tower: start a new one",
            ));
        }
    };
    let trained = match (plan.stage, start.picture) {
        (Stage::Stiv, Some(picture)) => {
            let config = TrainConfig {
                learning_rate: plan.learning_rate,
                bf16: plan.bf16,
                optimizer: plan.optimizer.config(),
                ..stages::clip_config(plan.steps, plan.seed)
            };
            let recipe = Recipe {
                batch: plan.batch,
                mask_ratio: plan.mask,
                time: plan.times,
                ..stages::clip_recipe()
            };
            stages::train_clips(
                picture,
                &plan.shape,
                tower.clone(),
                recipe,
                &config,
                run,
                device,
            )
        }
        (_, start) => {
            let config = TrainConfig {
                learning_rate: plan.learning_rate,
                bf16: plan.bf16,
                optimizer: plan.optimizer.config(),
                ..stages::picture_config(plan.steps, plan.seed)
            };
            let recipe = Recipe {
                batch: plan.batch,
                mask_ratio: plan.mask,
                time: plan.times,
                ..Recipe::default()
            };
            stages::train_pictures(
                start,
                &plan.shape,
                tower.clone(),
                recipe,
                &config,
                run,
                device,
            )
        }
    }
    .map_err(failed)?;
    if !trained.interrupted {
        let notes = plan.notes();
        let notes: Vec<(&str, &str)> = notes.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let shape = plan.trained_shape();
        Studio::save(&trained.ema, &shape, &tower, &notes, Precision::F16, &file)?;
    }
    Ok(Outcome {
        step: trained.step,
        loss: trained.loss,
        interrupted: trained.interrupted,
    })
}

fn failed(error: StageError) -> Failure {
    match error {
        StageError::Pack(error) => error.into(),
        StageError::Train(error) => error.into(),
    }
}

/// Writes a tower with the notes of `plan`.
///
/// # Errors
/// When it cannot be written.
pub fn write_tower(
    tower: &WordTower,
    plan: &Plan,
    precision: Precision,
    path: &Path,
) -> Result<(), Failure> {
    let mut file = TensorFile::new();
    for (key, value) in plan.notes() {
        file.note(key, value);
    }
    tower::write(tower, &mut file, precision)?;
    Ok(file.write(path)?)
}
