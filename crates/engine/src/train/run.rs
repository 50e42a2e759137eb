//! What a run needs, and what it gives back.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use burn::module::Module;
use burn::tensor::Tensor;
use sha2::{Digest, Sha256};

use super::group::Group;
use super::meeting::Errand;
use super::trainer::{Trainer, prepare};
use super::{Progress, TaskError, TrainConfig, TrainError, Workers};
use crate::ops::{self, Precision};
use base::command::Hold;
use base::rng::Rng;

/// What is trained on what.
pub trait Task: Sync {
    /// The network.
    type Model: Module;
    /// One batch of data, with every random draw its loss needs.
    type Batch: Send;

    /// The batch of step `step`, from 0. Called on another thread, one step ahead; all randomness must come
    /// from `rng`.
    ///
    /// # Errors
    /// Whatever keeps the data from being read; it ends the run.
    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError>;

    /// The loss to minimise, `[1]`, and named figures for the log.
    fn loss(
        &self,
        model: &Self::Model,
        batch: Self::Batch,
    ) -> (Tensor<1>, Vec<(&'static str, f32)>);

    /// Samples in a batch, for the samples-per-second figure.
    fn samples(&self) -> usize;
}

/// Where a run lives and how it is watched.
#[derive(Debug)]
pub struct Run<'a> {
    /// Holds `checkpoint.safetensors` and `log.jsonl`; made when absent.
    pub folder: &'a Path,
    /// Continue from the checkpoint, where there is one. Without this, an existing checkpoint is an error.
    pub resume: bool,
    /// When it becomes true, the run writes a checkpoint and returns.
    pub stop: &'a AtomicBool,
    /// What a person sees.
    pub progress: &'a mut Progress,
}

/// What came out of a run.
#[derive(Debug)]
pub struct Trained<M> {
    /// The model with its last weights, still on the autodiff device.
    pub model: M,
    /// The model with averaged weights, without autodiff; the last weights when no average was kept.
    pub ema: M,
    /// Steps done.
    pub step: u64,
    /// Mean loss since the last log line before the end; NaN when no step was taken.
    pub loss: f64,
    /// Steps left out for want of a finite gradient.
    pub skipped: u64,
    /// Seconds of training, all resumed parts together.
    pub elapsed: f64,
    /// Whether `stop` ended it.
    pub interrupted: bool,
}

/// Trains `model`, which lives on an autodiff device, on `task`.
///
/// # Errors
/// [`TrainError`]: the folder is occupied or cannot be written, the checkpoint does not fit, a batch cannot
/// be made, or the gradients stay infinite.
pub fn train<T: Task>(
    task: &T,
    model: T::Model,
    config: &TrainConfig,
    run: Run,
) -> Result<Trained<T::Model>, TrainError> {
    train_among(task, model, config, run, None)
}

/// [`train`], as one of several workers that take the same steps along the means of their gradients and losses. Each has a
/// folder of its own, and its task gives its part of every batch; parts are of equal weight. Workers go on from where worker 0
/// stands, whose checkpoint comes into the folders of those that stand elsewhere. They stop together.
///
/// The weights of all workers stay equal to the last bit where they run the same program on CPUs of one kind.
///
/// # Errors
/// As [`train`], and [`TrainError::Workers`] where they do not meet, are not of one run, or one is lost; the last checkpoint stands.
pub fn train_among<T: Task>(
    task: &T,
    model: T::Model,
    config: &TrainConfig,
    run: Run,
    workers: Option<&Workers>,
) -> Result<Trained<T::Model>, TrainError> {
    // The loop sees a request to stop, and writes a checkpoint.
    let _hold = Hold::new();
    let group = match workers.filter(|workers| workers.count() > 1) {
        Some(workers) => {
            let (group, handed) = Group::meet(workers, &errand(&model, config, &run)?)?;
            (Some(group), handed)
        }
        None => (None, false),
    };
    let trainer = Trainer::open(model, config, &run, group)?;
    let from = trainer.state.step;
    run.progress.begin(from, config.steps, task.samples());
    let precision = match config.bf16 {
        true => Precision::Bf16,
        false => Precision::F32,
    };
    let before = ops::set_precision(precision);
    let followed = std::thread::scope(|scope| {
        // One batch waits while the next is being made; dropping the receiver ends the thread.
        let (sender, batches) = sync_channel(1);
        scope.spawn(move || prepare(task, from, config, &sender));
        trainer.follow(task, config, &batches, run.folder, run.stop, run.progress)
    });
    ops::set_precision(before);
    run.progress.finish();
    let (trainer, interrupted, loss) = followed?;
    Ok(Trained {
        ema: match &trainer.ema {
            Some(ema) => ema.model(&trainer.model),
            None => trainer.model.valid(),
        },
        model: trainer.model,
        step: trainer.state.step,
        loss,
        skipped: trainer.state.skipped,
        elapsed: trainer.state.elapsed,
        interrupted,
    })
}

/// What workers of one run have in common.
fn errand<'a, M: Module>(
    model: &M,
    config: &TrainConfig,
    run: &Run<'a>,
) -> Result<Errand<'a>, TrainError> {
    let folder = run.folder;
    std::fs::create_dir_all(folder).map_err(|source| TrainError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    let text = serde_json::to_vec(config).unwrap_or_default();
    Ok(Errand {
        folder,
        run: Sha256::digest(text).into(),
        // Weights, average and two moments in f32, and room for names.
        limit: 32 * model.num_params() as u64 + (64 << 20),
        stop: run.stop,
    })
}
