//! What the training stages share: a run in a folder, models with their tokenizers, micro-batches.

use std::path::Path;

use base::command::{Context, Stopped};
use base::files::{make_folder, write_bytes};
use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::models::causal_lm::{Dropout, LoraConfig};
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{
    Progress, Run, RunLock, Schedule, Task, TrainConfig, Trained, Workers, train_among,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SystemError;
use super::tuning::steps_of;

/// How a model is trained, whatever the stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Optimisation steps.
    pub steps: u64,
    /// Sequences of a micro-batch: questions, pairs or rows.
    pub batch: usize,
    /// Micro-batches of a step.
    pub accumulation: usize,
    /// Tokens of a sequence at most.
    pub length: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// Steps in which it rises.
    pub warmup: u64,
    /// What it does then.
    pub schedule: Schedule,
    /// Share of a weight that is taken off per unit of learning rate.
    pub decay: f64,
    /// Share of what attention and feed-forward layers give that is dropped.
    pub dropout: f32,
    /// Part of the target that is spread over all tokens.
    pub smoothing: f32,
    /// Low-rank changes in place of all weights.
    pub lora: Option<LoraConfig>,
    /// Mixed precision.
    pub bf16: bool,
    /// Blocks are computed again in the backward pass: slower, in less memory, with the same result.
    #[serde(skip)]
    pub checkpointing: bool,
    /// Of order, dropout and everything that is drawn.
    pub seed: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            steps: 100,
            batch: 8,
            accumulation: 1,
            length: 512,
            rate: 5e-6,
            warmup: 0,
            schedule: Schedule::Linear,
            decay: 0.0,
            dropout: 0.0,
            smoothing: 0.0,
            lora: None,
            bf16: false,
            checkpointing: false,
            seed: 123,
            checkpoint_every: 100,
        }
    }
}

impl Recipe {
    /// The same for `count` examples: as many steps as `epochs` take, where these are given, and a rate that rises over
    /// `rising` percent of them, where nothing else is said.
    pub(super) fn over(
        &self,
        count: usize,
        epochs: Option<f64>,
        rising: u64,
    ) -> Result<Self, SystemError> {
        let mut recipe = self.clone();
        if let Some(epochs) = epochs {
            recipe.steps = steps_of(count, epochs, &recipe);
        }
        if recipe.warmup == 0 {
            recipe.warmup = recipe.steps * rising / 100;
        }
        recipe.check()?;
        Ok(recipe)
    }

    /// # Errors
    /// [`SystemError::Input`] for what is out of range.
    pub fn check(&self) -> Result<(), SystemError> {
        let counts = [
            ("steps", self.steps),
            ("batch", self.batch as u64),
            ("accumulation", self.accumulation as u64),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(SystemError::Input(format!("{name} is 0: give at least 1")));
        }
        if self.length < 2 {
            return Err(SystemError::Input(
                "a sequence needs at least 2 tokens: give a longer context".into(),
            ));
        }
        let shares = [self.dropout, self.smoothing];
        if shares.iter().any(|share| !(0.0..1.0).contains(share)) {
            return Err(SystemError::Input(
                "dropout and label smoothing are shares: give numbers from 0 to below 1".into(),
            ));
        }
        let usable = self.rate > 0.0 && self.rate < 1.0 && (0.0..1.0).contains(&self.decay);
        if !usable {
            return Err(SystemError::Input(
                "give a learning rate between 0 and 1, and a weight decay from 0 to below 1".into(),
            ));
        }
        Ok(())
    }

    fn config(&self) -> TrainConfig {
        TrainConfig {
            steps: self.steps,
            learning_rate: self.rate,
            warmup: self.warmup,
            schedule: self.schedule,
            optimizer: OptimizerConfig::AdamW(AdamWConfig {
                beta1: 0.9,
                beta2: 0.95,
                eps: 1e-8,
                weight_decay: self.decay,
                decay_vectors: true,
                no_decay: Vec::new(),
            }),
            clip: Some(1.0),
            ema: None,
            bf16: self.bf16,
            seed: self.seed,
            log_every: 10,
            checkpoint_every: self.checkpoint_every,
        }
    }

    /// What is dropped in a micro-batch.
    pub(super) fn drops(&self, rng: &mut Rng) -> Option<Dropout> {
        let low_rank = self.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0);
        (self.dropout > 0.0 || low_rank).then(|| Dropout {
            share: self.dropout,
            rng: rng.split(),
        })
    }
}

/// A run: its folder, whether it goes on, and what a person sees.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// Holds checkpoint and log.
    pub folder: &'a Path,
    /// Goes on from the checkpoint that is there.
    pub resume: bool,
    /// The title of the progress; none for silence.
    pub title: Option<&'a str>,
    /// Ctrl-C.
    pub context: Context,
    /// Other processes that train the same.
    pub workers: Option<&'a Workers>,
}

impl Place<'_> {
    /// Makes the folder of a stage and notes what the run depends on, or finds that it is the same run.
    ///
    /// # Errors
    /// [`SystemError::Input`] where another run is there, or this one and `resume` is not set.
    pub fn begin(&self, what: &Value) -> Result<(), SystemError> {
        make_folder(self.folder)?;
        let file = self.folder.join("run.json");
        let text = format!(
            "{}\n",
            serde_json::to_string_pretty(what).unwrap_or_default()
        );
        match std::fs::read(&file) {
            Err(_) => Ok(write_bytes(&file, text.as_bytes())?),
            Ok(there) if there != text.as_bytes() => Err(SystemError::path(
                self.folder,
                "it holds a run with other options: choose another `--out`, or give the same options with `--resume`",
            )),
            Ok(_) if !self.resume => Err(SystemError::path(
                self.folder,
                "it holds this run already: go on with `--resume`, or choose another `--out`",
            )),
            Ok(_) => Ok(()),
        }
    }

    /// Trains `model` on `task`; gives the trained model, still on its device with gradients.
    ///
    /// # Errors
    /// [`SystemError::Stopped`] at Ctrl-C, when a checkpoint is written; [`SystemError::Train`].
    pub fn train<T: Task>(
        &self,
        task: &T,
        model: T::Model,
        recipe: &Recipe,
    ) -> Result<Trained<T::Model>, SystemError> {
        recipe.check()?;
        make_folder(self.folder)?;
        let _lock = RunLock::take(self.folder)?;
        let mut progress = match self.title {
            Some(title) => Progress::new(title),
            None => Progress::silent(),
        };
        let run = Run {
            folder: self.folder,
            resume: self.resume,
            stop: self.context.stop,
            progress: &mut progress,
        };
        let trained = train_among(task, model, &recipe.config(), run, self.workers)?;
        match trained.interrupted {
            true => Err(Stopped::resumable().into()),
            false => Ok(trained),
        }
    }
}

/// The mean of the losses of micro-batches.
pub(super) fn mean_loss(losses: Vec<Tensor<1>>, device: &Device) -> Tensor<1> {
    let count = losses.len().max(1) as f32;
    let sum = losses.into_iter().reduce(|sum, loss| sum + loss);
    sum.unwrap_or_else(|| Tensor::zeros([1], device)) / count
}

/// Which of `count` items come in step `step` of so many a step: each epoch in an order of its own, drawn from `seed`.
pub(super) fn order_of(seed: u64, count: usize, step: u64, each: usize) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(each);
    let mut epoch = (u64::MAX, Vec::new());
    for number in 0..each as u64 {
        let at = step * each as u64 + number;
        let now = at / count.max(1) as u64;
        if epoch.0 != now {
            let mut order: Vec<usize> = (0..count).collect();
            Rng::new(seed).child("order").item(now).shuffle(&mut order);
            epoch = (now, order);
        }
        chosen.extend(epoch.1.get((at % count.max(1) as u64) as usize));
    }
    chosen
}
