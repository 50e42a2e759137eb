//! The toy world: three models with one budget, that differ in their training inputs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base::rng::Rng;
use burn::tensor::Device;
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Progress, Run, Schedule, TrainConfig, TrainError, steps_done, train};

use super::toy_world::{MovingShapes, ToyTower};
use crate::stiv::config::StivConfig;
use crate::stiv::model::Stiv;
use crate::stiv::text::TextTower;
use crate::stiv::train::{GivenPattern, Recipe, StivTask};

/// Share of the clips whose first frame is hidden from STIV in training. The paper hides 8 % of far more clips.
const IMAGE_DROPOUT: f32 = 0.2;

/// How long the toy models train, all three alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Steps.
    pub steps: u64,
    /// Clips a step.
    pub batch: usize,
    /// Peak learning rate.
    pub rate: f64,
}

/// What each toy model gets.
pub const BUDGET: Budget = Budget {
    steps: 5000,
    batch: 16,
    rate: 1.5e-3,
};

/// The models that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToyArm {
    /// Never given a frame.
    TextOnly,
    /// Always given the first frame.
    ImageAlways,
    /// Given the first frame, except where image-condition dropout hides it.
    Stiv,
}

impl ToyArm {
    /// All three.
    pub const ALL: [ToyArm; 3] = [ToyArm::TextOnly, ToyArm::ImageAlways, ToyArm::Stiv];

    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextOnly => "T2V only",
            Self::ImageAlways => "TI2V without image dropout",
            Self::Stiv => "STIV",
        }
    }

    /// What is special about it.
    pub fn about(self) -> &'static str {
        match self {
            Self::TextOnly => "toy world, never given a frame",
            Self::ImageAlways => "toy world, always given the first frame",
            Self::Stiv => {
                "toy world, given the first frame in 4 of 5 clips (image-condition dropout 20 %)"
            }
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::TextOnly => "t2v",
            Self::ImageAlways => "ti2v",
            Self::Stiv => "stiv",
        }
    }

    fn recipe(self, batch: usize) -> Recipe {
        Recipe {
            batch,
            given: vec![match self {
                Self::TextOnly => GivenPattern::None,
                _ => GivenPattern::First,
            }],
            image_dropout: match self {
                Self::Stiv => IMAGE_DROPOUT,
                _ => 0.0,
            },
            ..Recipe::default()
        }
    }
}

/// Shape of the toy models: 0.8 million weights on patches of 2×2 pixels in two frames.
pub fn shape() -> StivConfig {
    StivConfig {
        channels: 3,
        width: 96,
        heads: 3,
        depth: 4,
        context: ToyTower.width(),
        temporal_patch: 2,
        spatial_patch: 2,
        mlp_ratio: 4.0,
        frequencies: 64,
        extra_blocks: 0,
    }
}

/// Learning rate, schedule and checkpoint interval of a toy run.
fn config(budget: Budget, seed: u64) -> TrainConfig {
    TrainConfig {
        steps: budget.steps,
        learning_rate: budget.rate,
        warmup: 100,
        schedule: Schedule::Cosine { floor: 0.05 },
        optimizer: OptimizerConfig::AdamW(AdamWConfig {
            beta2: 0.99,
            ..AdamWConfig::default()
        }),
        ema: Some(0.995),
        bf16: true,
        seed,
        log_every: 50,
        checkpoint_every: 250,
        ..TrainConfig::default()
    }
}

/// Where an arm trains.
fn run_folder(arm: ToyArm, budget: Budget, seed: u64, runs: &Path) -> PathBuf {
    let Budget { steps, batch, .. } = budget;
    runs.join(format!("toy-{}-{steps}x{batch}-seed{seed}", arm.folder()))
}

/// Whether all arms of a seed have been trained to the end.
pub fn trained(budget: Budget, seed: u64, runs: &Path) -> bool {
    let done = |arm| steps_done(&run_folder(arm, budget, seed, runs)) == Some(budget.steps);
    ToyArm::ALL.into_iter().all(done)
}

/// Trains one model, or goes on where an earlier call was stopped; `None` when `stop` ended it. A finished
/// training is only read.
///
/// # Errors
/// As [`train`].
pub fn train_arm(
    arm: ToyArm,
    budget: Budget,
    seed: u64,
    runs: &Path,
    device: &Device,
    stop: &AtomicBool,
    progress: &mut Progress,
) -> Result<Option<Stiv>, TrainError> {
    let device = device.clone().autodiff();
    let shape = shape();
    let task = StivTask {
        examples: Arc::new(MovingShapes),
        tower: Arc::new(ToyTower),
        recipe: arm.recipe(budget.batch),
        spatial_patch: shape.spatial_patch,
        device: device.clone(),
    };
    let model = shape.init(&mut Rng::new(seed).child("init"), &device);
    let folder = run_folder(arm, budget, seed, runs);
    let trained = train(
        &task,
        model,
        &config(budget, seed),
        Run {
            folder: &folder,
            resume: true,
            stop,
            progress,
        },
    )?;
    Ok((!trained.interrupted).then_some(trained.ema))
}
