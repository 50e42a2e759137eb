//! Training of a classifier (official recipe: spec of `configs/emo2`), with distillation.

use std::path::PathBuf;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Run, Schedule, Task, TaskError, TrainConfig, TrainError, Trained, train};
use serde::{Deserialize, Serialize};

use super::augment::{self, AugmentConfig};
use super::config::EmoConfig;
use super::data::{DataError, DataSet};
use super::losses;
use super::model::{DropPath, Emo};
use super::pipeline::Network;
use super::transform;

/// Batches that a finished average of weights sees once more, for the running statistics of its batch norms.
const RECALIBRATION: u64 = 60;

/// A training run; it is kept beside its checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainPlan {
    /// The data set.
    pub data: PathBuf,
    /// Names of the classes, for data sets that have none.
    pub class_names: Option<Vec<String>>,
    /// The network.
    pub config: EmoConfig,
    /// Side of the pictures.
    pub size: usize,
    /// The share of a picture that evaluation keeps.
    pub crop: f64,
    /// Passes over the data.
    pub epochs: u64,
    /// Pictures a step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Passes over which the rate rises.
    pub warmup_epochs: f64,
    /// Weight decay of matrices and kernels.
    pub weight_decay: f64,
    /// Largest norm of the gradient.
    pub clip: f64,
    /// Decay of the average of the weights.
    pub ema: f64,
    /// Part of the target that is spread over all classes.
    pub smoothing: f32,
    /// How pictures are changed.
    pub augment: AugmentConfig,
    /// Who is imitated.
    pub distill: Option<Distillation>,
    /// Weights to begin with.
    pub init: Option<PathBuf>,
    /// Products of bf16 values.
    pub bf16: bool,
    /// Seed.
    pub seed: u64,
}

/// Distillation from another classifier of the same classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distillation {
    /// Its file.
    pub teacher: PathBuf,
    /// Weight of the distillation loss.
    pub weight: f64,
    /// Temperature of soft distillation.
    pub tau: f64,
    /// Whether only the teacher's favourite counts.
    pub hard: bool,
}

impl TrainPlan {
    /// Steps of one pass over so many pictures.
    pub fn steps_per_epoch(&self, pictures: usize) -> u64 {
        (pictures / self.batch).max(1) as u64
    }

    /// Learning rate, schedule and checkpoint interval for so many pictures: AdamW, cosine to a hundredth after the warm-up.
    pub fn train_config(&self, pictures: usize) -> TrainConfig {
        let per_epoch = self.steps_per_epoch(pictures);
        let steps = self.epochs * per_epoch;
        let adamw = AdamWConfig {
            weight_decay: self.weight_decay,
            no_decay: vec!["gamma".into()],
            ..AdamWConfig::default()
        };
        TrainConfig {
            steps,
            learning_rate: self.learning_rate,
            warmup: ((self.warmup_epochs * per_epoch as f64) as u64).min(steps / 2),
            schedule: Schedule::Cosine { floor: 0.01 },
            optimizer: OptimizerConfig::AdamW(adamw),
            clip: Some(self.clip),
            ema: Some(self.ema),
            bf16: self.bf16,
            seed: self.seed,
            log_every: 50,
            checkpoint_every: per_epoch.clamp(50, 500),
        }
    }
}

/// A teacher, without gradient.
#[derive(Debug)]
pub struct Teacher {
    /// Its network.
    pub network: Network,
    /// How it is imitated.
    pub plan: Distillation,
}

/// Batches of augmented pictures and the loss.
#[derive(Debug)]
pub struct ClassifierTask {
    plan: TrainPlan,
    data: DataSet,
    teacher: Option<Teacher>,
    device: Device,
}

/// Pictures `[batch, 3, size, size]`, targets `[batch, classes]` and the blocks that are left out.
#[derive(Debug)]
pub struct Batch {
    pixels: Vec<f32>,
    targets: Vec<f32>,
    drop: Option<DropPath>,
}

impl ClassifierTask {
    /// A task on a device with autodiff.
    pub fn new(plan: TrainPlan, data: DataSet, teacher: Option<Teacher>, device: &Device) -> Self {
        Self {
            plan,
            data,
            teacher,
            device: device.clone(),
        }
    }

    /// Which pictures step `step` sees: each pass is another order of all.
    fn chosen(&self, step: u64) -> Vec<usize> {
        let per_epoch = self.plan.steps_per_epoch(self.data.len());
        let (epoch, at) = (step / per_epoch, (step % per_epoch) as usize);
        let mut order: Vec<usize> = (0..self.data.len()).collect();
        Rng::new(self.plan.seed)
            .child("order")
            .item(epoch)
            .shuffle(&mut order);
        let start = at * self.plan.batch;
        (start..start + self.plan.batch)
            .map(|at| order[at % order.len()])
            .collect()
    }

    fn tensor(&self, pixels: Vec<f32>) -> Tensor<4> {
        let side = self.plan.size;
        let batch = pixels.len() / (3 * side * side);
        Tensor::from_data(
            TensorData::new(pixels, [batch, 3, side, side]),
            &self.device,
        )
    }
}

impl Task for ClassifierTask {
    type Model = Emo;
    type Batch = Batch;

    fn samples(&self) -> usize {
        self.plan.batch
    }

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Batch, TaskError> {
        let plan = &self.plan;
        let (side, classes) = (plan.size, self.data.classes.len());
        let low = plan.smoothing / classes as f32;
        let mut batch = Batch {
            pixels: Vec::with_capacity(plan.batch * 3 * side * side),
            targets: vec![low; plan.batch * classes],
            drop: None,
        };
        let draws = rng.child("views");
        for (row, at) in self.chosen(step).into_iter().enumerate() {
            let rng = &mut draws.item(row as u64);
            let picture = self.data.image(at)?;
            let mut view = augment::view(&picture, side, &plan.augment, rng);
            augment::normalise(&mut view);
            augment::erase(&mut view, side, plan.augment.erasing, rng);
            batch.pixels.extend(view);
            batch.targets[row * classes + self.data.label(at)] += 1.0 - plan.smoothing;
        }
        let sizes = [plan.batch, side];
        augment::mix(
            &mut batch.pixels,
            &mut batch.targets,
            sizes,
            &plan.augment,
            rng,
        );
        let (chance, blocks) = (plan.config.drop_path, plan.config.blocks());
        batch.drop = (chance > 0.0).then(|| DropPath::draw(chance, blocks, plan.batch, rng));
        Ok(batch)
    }

    fn loss(&self, model: &Emo, batch: Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let pixels = self.tensor(batch.pixels);
        let classes = self.data.classes.len();
        let targets = TensorData::new(batch.targets, [self.plan.batch, classes]);
        let targets = Tensor::from_data(targets, &self.device);
        let logits = model.forward(pixels.clone(), batch.drop.as_ref());
        let loss = losses::soft_target(logits.clone(), targets);
        let Some(Teacher { network, plan }) = &self.teacher else {
            return (loss, Vec::new());
        };
        let said = Tensor::from_inner(network.forward(pixels.inner()));
        let imitation = match plan.hard {
            true => losses::distill_hard(logits, said),
            false => losses::distill_soft(logits, said, plan.tau),
        };
        let figure = imitation.clone().into_scalar::<f32>();
        (loss + imitation * plan.weight, vec![("distill", figure)])
    }
}

/// Trains `model`, which lives on a device with autodiff, and gives back the average of its weights.
///
/// # Errors
/// [`TrainError`].
pub fn fit(task: &ClassifierTask, model: Emo, run: Run) -> Result<Trained<Emo>, TrainError> {
    let config = task.plan.train_config(task.data.len());
    let mut trained = train(task, model, &config, run)?;
    if !trained.interrupted {
        trained.ema = recalibrate(task, trained.ema, &config)?;
    }
    Ok(trained)
}

/// The network with running statistics of its own activations.
fn recalibrate(task: &ClassifierTask, model: Emo, config: &TrainConfig) -> Result<Emo, TrainError> {
    let model = model.train();
    let draws = Rng::new(config.seed).child("recalibration");
    for step in 0..RECALIBRATION.min(config.steps) {
        let batch = task
            .batch(step, &mut draws.item(step))
            .map_err(|source| TrainError::Batch { step, source })?;
        let _ = model.forward(task.tensor(batch.pixels), None);
    }
    Ok(model.valid())
}

/// How often a classifier is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Pictures shown.
    pub pictures: usize,
    /// The right class came first.
    pub top1: usize,
    /// It was among the first five.
    pub top5: usize,
}

/// Shows a classifier, which makes logits `[batch, classes]` of `[batch, 3, size, size]`, the pictures of a data set, `batch` at a time; `watch` hears how many are done and says whether to go
/// on.
///
/// # Errors
/// When a picture cannot be read.
pub fn evaluate(
    logits: impl Fn(Tensor<4>) -> Tensor<2>,
    data: &DataSet,
    (size, crop): (usize, f64),
    batch: usize,
    device: &Device,
    mut watch: impl FnMut(usize) -> bool,
) -> Result<Score, DataError> {
    let mut score = Score::default();
    while score.pictures < data.len() && watch(score.pictures) {
        let range = score.pictures..data.len().min(score.pictures + batch.max(1));
        let mut pixels = Vec::with_capacity(range.len() * 3 * size * size);
        for at in range.clone() {
            let picture = transform::crop_for(&data.image(at)?, size as u32, crop);
            pixels.extend(transform::normalise(&picture));
        }
        let x = TensorData::new(pixels, [range.len(), 3, size, size]);
        let logits = logits(Tensor::from_data(x, device));
        let classes = logits.dims()[1];
        let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
        for (at, row) in range.zip(values.chunks_exact(classes.max(1))) {
            let own = row.get(data.label(at)).copied().unwrap_or(f32::NAN);
            let before = row.iter().filter(|value| **value > own).count();
            score.pictures += 1;
            score.top1 += usize::from(before == 0 && !own.is_nan());
            score.top5 += usize::from(before < 5 && !own.is_nan());
        }
    }
    Ok(score)
}
