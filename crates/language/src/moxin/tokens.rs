//! Batches of pre-training: rows of a packed corpus.

use std::sync::Mutex;

use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::models::causal_lm::{CausalLm, CausalLmConfig, Dropout, LossOptions, Sequences};
use engine::train::{Schedule, Task, TaskError};

use super::data::pack::Pack;
use super::training::{Recipe, mean_loss};
use super::{Phase, SystemError};

/// Rows of a packed corpus, in an order of its own each epoch.
#[derive(Debug)]
pub struct TokensTask {
    pack: Pack,
    context: usize,
    batch: usize,
    accumulation: usize,
    rows: usize,
    seed: u64,
    mask: bool,
    dropout: f32,
    options: LossOptions,
    device: Device,
    /// Which of how many workers it is for.
    part: [usize; 2],
    /// The order of the epoch that was asked for last.
    order: Mutex<(u64, Vec<u32>)>,
}

impl TokensTask {
    /// A phase on its data.
    ///
    /// # Errors
    /// [`SystemError::Input`] where corpus, model and context do not fit.
    pub fn new(
        pack: Pack,
        phase: &Phase,
        config: &CausalLmConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, SystemError> {
        let rows = pack.tokens() / phase.context.max(1) as u64;
        let wrong = |line: String| Err(SystemError::Input(line));
        if phase.context < 2 || phase.context > config.max_position_embeddings {
            return wrong(format!(
                "the context of {} tokens does not fit a model of {}: give from 2 to that",
                phase.context, config.max_position_embeddings
            ));
        }
        if pack.row().is_some_and(|row| row != phase.context) {
            return wrong(format!(
                "the corpus of `{}` has rows of another length than {}",
                phase.name, phase.context
            ));
        }
        if rows == 0 || u32::try_from(rows).is_err() {
            return wrong(format!(
                "the corpus of `{}` has {} tokens, which is not one row of {}: pack more text, or shorten the context",
                phase.name,
                pack.tokens(),
                phase.context
            ));
        }
        if pack.vocabulary() > config.vocab_size {
            return wrong(format!(
                "the corpus of `{}` was encoded with {} tokens and the model has {}: pack it with the model's tokenizer",
                phase.name,
                pack.vocabulary(),
                config.vocab_size
            ));
        }
        Ok(Self {
            context: phase.context,
            batch: phase.batch.max(1),
            accumulation: phase.accumulation.max(1),
            rows: rows as usize,
            seed,
            mask: phase.document_mask,
            dropout: phase.dropout,
            options: LossOptions {
                smoothing: phase.label_smoothing,
                sum: false,
            },
            pack,
            device: device.clone(),
            part: [0, 1],
            order: Mutex::default(),
        })
    }

    /// The part of worker `rank` of `count`: as many sequences of each micro-batch as of any other's.
    ///
    /// # Errors
    /// [`SystemError::Input`] where a micro-batch cannot be shared evenly.
    pub fn part(self, [rank, count]: [usize; 2]) -> Result<Self, SystemError> {
        match self.batch.is_multiple_of(count.max(1)) && rank < count {
            true => Ok(Self {
                part: [rank, count],
                ..self
            }),
            false => Err(SystemError::Input(format!(
                "{count} workers cannot share a batch of {} evenly: make it a multiple",
                self.batch
            ))),
        }
    }

    /// How the phase is trained.
    pub fn recipe(&self, phase: &Phase, seed: u64, bf16: bool) -> Recipe {
        let each = (self.batch * self.accumulation) as f64;
        let all = (self.rows as f64 * phase.epochs / each).floor().max(1.0) as u64;
        Recipe {
            steps: phase.steps.unwrap_or(all),
            batch: self.batch,
            accumulation: self.accumulation,
            length: self.context,
            rate: phase.learning_rate,
            warmup: phase.warmup,
            schedule: Schedule::Cosine { floor: phase.floor },
            decay: phase.weight_decay,
            dropout: phase.dropout,
            smoothing: phase.label_smoothing,
            lora: None,
            bf16,
            checkpointing: false,
            seed,
            checkpoint_every: phase.checkpoint_every,
        }
    }

    /// The row that comes as number `at`.
    fn row(&self, at: u64) -> Result<u64, TaskError> {
        let (epoch, place) = (at / self.rows as u64, (at % self.rows as u64) as usize);
        let mut order = self.order.lock().map_err(|_| "a thread failed")?;
        if order.0 != epoch || order.1.is_empty() {
            let mut all: Vec<u32> = (0..self.rows as u32).collect();
            Rng::new(self.seed)
                .child("order")
                .item(epoch)
                .shuffle(&mut all);
            *order = (epoch, all);
        }
        Ok(u64::from(order.1[place]))
    }
}

impl Task for TokensTask {
    type Model = CausalLm;
    type Batch = Vec<(Sequences, Option<Dropout>)>;

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let mut micro = Vec::with_capacity(self.accumulation);
        let [rank, workers] = self.part;
        let share = self.batch / workers;
        let mut rng = rng.item(rank as u64);
        for part in 0..self.accumulation {
            let (mut rows, mut documents) = (Vec::new(), Vec::new());
            for number in rank * share..(rank + 1) * share {
                let each = (self.batch * self.accumulation) as u64;
                let at = step * each + (part * self.batch + number) as u64;
                let from = self.row(at)? * self.context as u64;
                rows.push(self.pack.read(from, self.context)?);
                if self.mask {
                    documents.extend(self.pack.documents(from, self.context));
                }
            }
            let mut sequences = Sequences::whole(&rows);
            sequences.documents = self.mask.then_some(documents);
            let dropout = (self.dropout > 0.0).then(|| Dropout {
                share: self.dropout,
                rng: rng.split(),
            });
            micro.push((sequences, dropout));
        }
        Ok(micro)
    }

    fn loss(&self, model: &CausalLm, batch: Self::Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let losses = batch.into_iter().map(|(sequences, mut dropout)| {
            model.loss(&sequences, &self.options, dropout.as_mut())
        });
        (mean_loss(losses.collect(), &self.device), Vec::new())
    }

    fn samples(&self) -> usize {
        self.batch * self.accumulation
    }
}
