//! Training of the judge.

use base::rng::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::data::pack::{EmojiPack, Style};
use engine::ops::{self, CrossEntropyOptions};
use engine::train::optim::AdamWConfig;
use engine::train::{Run, Schedule, Task, TaskError, TrainConfig, Trained, train};

use super::JudgeNet;
use super::augment::augment;
use crate::stiv::data::{EmojiGrid, SIZE};
use crate::stiv::stages::{StageError, StageOptimizer};

const BATCH: usize = 64;

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
            let meant = TensorData::new(meant, [BATCH]);
            let meant = Tensor::<1, Int>::from_data(meant, &self.device);
            ops::cross_entropy(logits, meant, CrossEntropyOptions::default())
        };
        let loss = cross_entropy(subjects, batch.subjects) + cross_entropy(styles, batch.styles);
        (loss, Vec::new())
    }
}

/// Learning rate, schedule and checkpoint interval of a judge's training: 1,200 steps take about three minutes on two cores.
pub fn judge_config(steps: u64, seed: u64, optimizer: StageOptimizer) -> TrainConfig {
    let adamw = AdamWConfig {
        weight_decay: 0.05,
        ..AdamWConfig::default()
    };
    TrainConfig {
        steps,
        learning_rate: 1e-3,
        warmup: 100,
        schedule: Schedule::Cosine { floor: 0.02 },
        optimizer: optimizer.with(adamw, &["patches", "subjects", "styles"]),
        ema: Some(0.99),
        seed,
        log_every: 50,
        checkpoint_every: 250,
        ..TrainConfig::default()
    }
}

/// Trains a judge on the real pictures of a choice of subjects, on a device with autodiff.
///
/// # Errors
/// When the pack cannot be read or the run fails.
pub fn train_judge(
    subjects: &[String],
    config: &TrainConfig,
    run: Run,
    device: &Device,
) -> Result<Trained<JudgeNet>, StageError> {
    let task = JudgeTask {
        grid: EmojiGrid::new(EmojiPack::embedded()?, subjects)?,
        device: device.clone(),
    };
    let mut rng = Rng::new(config.seed).child("judge");
    let net = JudgeNet::new(subjects.len(), &mut rng, device);
    Ok(train(&task, net, config, run)?)
}
