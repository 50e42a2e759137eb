//! Training of the judge.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use engine::data::pack::{EmojiPack, Style};
use engine::rng::Rng;
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Progress, Run, Schedule, Task, TaskError, TrainConfig, train};

use super::augment::augment;
use super::{Judge, JudgeNet};
use crate::stiv::data::{EmojiGrid, SIZE};
use crate::stiv::stages::StageError;

const BATCH: usize = 64;

/// How a judge is trained.
#[derive(Debug)]
pub struct JudgeRun<'a> {
    /// Steps of 64 pictures; 1,500 take about three minutes on two cores.
    pub steps: u64,
    /// Seed of weights and views.
    pub seed: u64,
    /// Where its checkpoint stands; an unfinished run goes on.
    pub folder: &'a Path,
    /// When it becomes true, training stops at a checkpoint.
    pub stop: &'a AtomicBool,
    /// What a person sees.
    pub progress: &'a mut Progress,
}

/// Views of real pictures, with what they show.
struct JudgeTask {
    grid: EmojiGrid,
    device: Device,
}

struct JudgeBatch {
    pixels: Vec<f32>,
    subjects: Vec<i32>,
    styles: Vec<i32>,
}

impl Task for JudgeTask {
    type Model = JudgeNet;
    type Batch = JudgeBatch;

    fn samples(&self) -> usize {
        BATCH
    }

    fn batch(&self, _step: u64, rng: &mut Rng) -> Result<JudgeBatch, TaskError> {
        let pairs: Vec<_> = self.grid.pairs().collect();
        let mut batch = JudgeBatch {
            pixels: Vec::with_capacity(BATCH * 3 * SIZE * SIZE),
            subjects: Vec::new(),
            styles: Vec::new(),
        };
        for _ in 0..BATCH {
            let at = rng.below(pairs.len());
            batch
                .pixels
                .extend(augment(self.grid.pixels(pairs[at]), rng));
            batch.subjects.push(pairs[at].subject as i32);
            // Pairs run subject by subject, styles in order.
            batch.styles.push((at % Style::ALL.len()) as i32);
        }
        Ok(batch)
    }

    fn loss(&self, net: &JudgeNet, batch: JudgeBatch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let shape = [BATCH, 3, 1, SIZE, SIZE];
        let pixels = TensorData::new(batch.pixels, shape);
        let (subjects, styles) = net.forward(Tensor::from_data(pixels, &self.device));
        let cross_entropy = |logits: Tensor<2>, meant: Vec<i32>| {
            let meant = TensorData::new(meant, [BATCH, 1]);
            let meant = Tensor::<2, Int>::from_data(meant, &self.device);
            activation::log_softmax(logits, 1)
                .gather(1, meant)
                .mean()
                .neg()
        };
        let loss = cross_entropy(subjects, batch.subjects) + cross_entropy(styles, batch.styles);
        (loss, Vec::new())
    }
}

/// Trains a judge on the real pictures of the embedded subjects; `None` when `stop` ended it.
///
/// # Errors
/// When the pack cannot be read or the run fails.
pub fn train_judge(run: JudgeRun, device: &Device) -> Result<Option<Judge>, StageError> {
    let config = TrainConfig {
        steps: run.steps,
        learning_rate: 1e-3,
        warmup: 100,
        schedule: Schedule::Cosine { floor: 0.02 },
        optimizer: OptimizerConfig::AdamW(AdamWConfig {
            weight_decay: 0.05,
            ..AdamWConfig::default()
        }),
        ema: Some(0.99),
        seed: run.seed,
        log_every: 50,
        checkpoint_every: 250,
        ..TrainConfig::default()
    };
    let training = device.clone().autodiff();
    let task = JudgeTask {
        grid: EmojiGrid::new(EmojiPack::embedded()?)?,
        device: training.clone(),
    };
    let net = JudgeNet::new(&mut Rng::new(run.seed).child("judge"), &training);
    let trained = train(
        &task,
        net,
        &config,
        Run {
            folder: run.folder,
            resume: true,
            stop: run.stop,
            progress: run.progress,
        },
    )?;
    Ok((!trained.interrupted).then(|| Judge::new(trained.ema, device)))
}
