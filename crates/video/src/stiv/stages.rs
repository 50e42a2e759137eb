//! The stages that make the embedded models: words, then pictures, then clips out of pictures.

use std::sync::Arc;

use base::rng::Rng;
use burn::tensor::Device;
use clap::ValueEnum;
use engine::data::pack::{ClipPack, EmojiPack, PackError};
use engine::train::optim::{AdamWConfig, MuonConfig, OptimizerConfig};
use engine::train::{Run, Schedule, TrainConfig, TrainError, Trained, train};
use serde::{Deserialize, Serialize};

use super::clips::Clips;
use super::config::StivConfig;
use super::data::{EmojiGrid, Pictures};
use super::inflate::inflate;
use super::model::Stiv;
use super::subjects::SubjectSet;
use super::text::WordTower;
use super::tower::{self, WordModel, WordTask};
use super::train::{GivenPattern, Recipe, StivTask};

/// Why a stage could not run.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A pack cannot be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The run failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// Learning rate, schedule and checkpoint interval of the word tower: under a minute.
pub fn word_config(seed: u64) -> TrainConfig {
    TrainConfig {
        steps: 1500,
        learning_rate: 2e-2,
        warmup: 50,
        schedule: Schedule::Cosine { floor: 0.01 },
        ema: None,
        seed,
        log_every: 100,
        checkpoint_every: 0,
        ..TrainConfig::default()
    }
}

/// Trains the word tower on a choice of subjects, of which those that `known` knows keep about their vectors. `device` is
/// one with autodiff, here as for the other stages.
///
/// # Errors
/// When the pack cannot be read or the run fails.
pub fn train_words(
    subjects: SubjectSet,
    known: Option<&WordTower>,
    config: &TrainConfig,
    run: Run,
    device: &Device,
) -> Result<Trained<WordTower>, StageError> {
    let pack = EmojiPack::embedded()?;
    let grid = EmojiGrid::new(pack, &subjects.codes(pack))?;
    let task = WordTask::new(grid.subjects, 256, device.clone());
    let mut rng = Rng::new(config.seed).child("init");
    let model = WordModel::new(
        task.vocabulary.len(),
        task.subjects(),
        known,
        &mut rng,
        device,
    );
    let trained = train(&task, model, config, run)?;
    let tower = tower::tower(&trained.ema, task);
    Ok(Trained {
        model: tower.clone(),
        ema: tower,
        step: trained.step,
        loss: trained.loss,
        skipped: trained.skipped,
        elapsed: trained.elapsed,
        interrupted: trained.interrupted,
    })
}

/// Optimizer of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOptimizer {
    /// AdamW.
    #[default]
    Adamw,
    /// Muon for the matrices of the blocks, AdamW for the rest.
    Muon,
}

impl StageOptimizer {
    /// The optimizer with the constants of the picture and clip stages.
    pub fn config(self) -> OptimizerConfig {
        let adamw = AdamWConfig {
            beta2: 0.99,
            weight_decay: 0.01,
            ..AdamWConfig::default()
        };
        self.with(adamw, &["cubify", "head", "scale_shift_table"])
    }

    /// The optimizer with these constants; Muon leaves the matrices of the fields `adamw_params` to AdamW.
    pub fn with(self, adamw: AdamWConfig, adamw_params: &[&str]) -> OptimizerConfig {
        match self {
            Self::Adamw => OptimizerConfig::AdamW(adamw),
            Self::Muon => OptimizerConfig::Muon(MuonConfig {
                weight_decay: adamw.weight_decay,
                adamw,
                adamw_params: adamw_params.iter().map(|&name| name.to_owned()).collect(),
                ..MuonConfig::default()
            }),
        }
    }
}

/// Learning rate, schedule and checkpoint interval of the image stage.
pub fn image_config(steps: u64, seed: u64) -> TrainConfig {
    TrainConfig {
        steps,
        learning_rate: 1e-3,
        warmup: 200,
        schedule: Schedule::Cosine { floor: 0.05 },
        optimizer: StageOptimizer::default().config(),
        ema: Some(0.999),
        seed,
        log_every: 20,
        checkpoint_every: 200,
        ..TrainConfig::default()
    }
}

/// Trains the picture model (T2I stage) with a frozen tower, from a start or from scratch.
///
/// # Errors
/// When the pack cannot be read or the run fails.
pub fn train_images(
    start: Option<Stiv>,
    shape: &StivConfig,
    tower: Arc<WordTower>,
    recipe: Recipe,
    config: &TrainConfig,
    run: Run,
    device: &Device,
) -> Result<Trained<Stiv>, StageError> {
    let grid = EmojiGrid::new(EmojiPack::embedded()?, &tower.codes)?;
    let task = StivTask {
        examples: Arc::new(Pictures { grid }),
        tower,
        recipe,
        spatial_patch: shape.spatial_patch,
        device: device.clone(),
    };
    let model =
        start.unwrap_or_else(|| shape.init(&mut Rng::new(config.seed).child("init"), device));
    Ok(train(&task, model, config, run)?)
}

/// What the clip stage does: frames given at the start, at both ends, first four or every second, so that one model
/// serves TI2V, interpolation, prediction and upsampling; image dropout keeps T2V alive.
pub fn clip_recipe() -> Recipe {
    Recipe {
        batch: 8,
        given: vec![
            GivenPattern::First,
            GivenPattern::First,
            GivenPattern::First,
            GivenPattern::Ends,
            GivenPattern::Leading(4),
            GivenPattern::Alternate,
        ],
        image_dropout: 0.25,
        ..Recipe::default()
    }
}

/// Learning rate, schedule and checkpoint interval of the clip stage.
pub fn clip_config(steps: u64, seed: u64) -> TrainConfig {
    TrainConfig {
        learning_rate: 6e-4,
        ..image_config(steps, seed)
    }
}

/// Trains the clip model (T2V and TI2V stage) from a picture model, whose patch layers are inflated in time.
///
/// # Errors
/// When a pack cannot be read or the run fails.
pub fn train_clips(
    picture: Stiv,
    shape: &StivConfig,
    tower: Arc<WordTower>,
    recipe: Recipe,
    config: &TrainConfig,
    run: Run,
    device: &Device,
) -> Result<Trained<Stiv>, StageError> {
    let clips = Clips::new(EmojiPack::embedded()?, ClipPack::embedded()?, &tower.codes)?;
    let task = StivTask {
        examples: Arc::new(clips),
        tower,
        recipe,
        spatial_patch: shape.spatial_patch,
        device: device.clone(),
    };
    let mut rng = Rng::new(config.seed).child("inflate");
    let model = inflate(picture, shape, 2, &mut rng);
    Ok(train(&task, model, config, run)?)
}
