//! Understanding: classes of pictures from clean tokens and a linear head, or from the model's own denoising.

use base::command::Failure;
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::diffusion::scheduler::SchedulerConfig;
use engine::nn::Linear;
use engine::ops::{self, CrossEntropyOptions};
use engine::train::{Task, TaskError};

use super::config::AcditConfig;
use super::generate::values;
use super::model::Acdit;
use super::pipeline::AcditPipeline;
use super::rope::Positions;
use super::train::Samples;

/// A network and the head on the mean of its features.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The network; it is fed clean tokens alone.
    pub model: Acdit,
    /// `width → classes`.
    pub head: Linear,
}

impl Classifier {
    /// Logits `[batch, classes]` of clean blocks `[batch, blocks, block, values]`.
    pub fn forward(&self, clean: Tensor<4>, positions: &Positions) -> Tensor<2> {
        let features = self.model.features(clean, positions);
        let [batch, _, width] = features.dims();
        self.head
            .forward(features.mean_dim(1).reshape([batch, width]))
    }
}

/// Cross-entropy over labelled samples: the task of [`engine::train::train`] for a [`Classifier`].
pub struct ClassifyTask<'a, S> {
    /// Sizes.
    pub config: &'a AcditConfig,
    /// The data.
    pub samples: &'a S,
    /// Samples of a batch.
    pub batch: usize,
    device: Device,
    positions: Positions,
}

/// Samples with their classes.
#[derive(Debug)]
pub struct Labelled {
    clean: Vec<f32>,
    labels: Vec<usize>,
}

impl<'a, S: Samples> ClassifyTask<'a, S> {
    /// A task.
    ///
    /// # Errors
    /// Where the sizes do not fit together, in words.
    pub fn new(
        config: &'a AcditConfig,
        samples: &'a S,
        batch: usize,
        device: &Device,
    ) -> Result<Self, String> {
        Ok(Self {
            config,
            samples,
            batch,
            device: device.clone(),
            positions: Positions::new(config, config.ar_len, device)?,
        })
    }

    fn clean(&self, batch: &Labelled) -> Tensor<4> {
        let config = self.config;
        let shape = [
            batch.labels.len(),
            config.ar_len,
            config.block_size,
            config.latent_size,
        ];
        Tensor::from_data(TensorData::new(batch.clean.clone(), shape), &self.device)
    }
}

impl<S: Samples> Task for ClassifyTask<'_, S> {
    type Model = Classifier;
    type Batch = Labelled;

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Labelled, TaskError> {
        let mut batch = Labelled {
            clean: Vec::new(),
            labels: Vec::new(),
        };
        for _ in 0..self.batch {
            let index = rng.below(self.samples.len());
            let label = self.samples.read(index, rng, &mut batch.clean)?;
            batch.labels.push(label);
        }
        Ok(batch)
    }

    fn loss(&self, model: &Classifier, batch: Labelled) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let logits = model.forward(self.clean(&batch), &self.positions);
        (cross_entropy(logits, &batch.labels), Vec::new())
    }

    fn samples(&self) -> usize {
        self.batch
    }
}

/// Mean cross-entropy, `[1]`.
fn cross_entropy(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let rows: Vec<i64> = labels.iter().map(|label| *label as i64).collect();
    let count = rows.len();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &logits.device());
    ops::cross_entropy(logits, rows, CrossEntropyOptions::default())
}

impl AcditPipeline {
    /// Probabilities of the classes for clean tokens `[1, tokens, values]`, by the head; none where the model has none.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn by_head(&self, tokens: Tensor<3>) -> Result<Option<Vec<f32>>, Failure> {
        let Some(head) = &self.head else {
            return Ok(None);
        };
        let classifier = Classifier {
            model: self.model.clone(),
            head: head.clone(),
        };
        let positions = Positions::new(&self.config, self.config.ar_len, &self.device)
            .map_err(Failure::input)?;
        let logits = values(classifier.forward(self.split(tokens), &positions))?;
        Ok(Some(softmax(&logits)))
    }

    /// The likeliest class of each of `count` samples by the head, out of their tokens in block order, one after the other.
    ///
    /// # Errors
    /// Where the device fails, and where the model has no head.
    pub fn guesses(&self, tokens: Vec<f32>, count: usize) -> Result<Vec<usize>, Failure> {
        let config = &self.config;
        let Some(head) = &self.head else {
            return Err(Failure::failed("the model has no head"));
        };
        let classifier = Classifier {
            model: self.model.clone(),
            head: head.clone(),
        };
        let positions =
            Positions::new(config, config.ar_len, &self.device).map_err(Failure::input)?;
        let shape = [count, config.ar_len, config.block_size, config.latent_size];
        let clean = Tensor::from_data(TensorData::new(tokens, shape), &self.device);
        let logits = values(classifier.forward(clean, &positions))?;
        let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        Ok(logits
            .chunks_exact(config.num_classes)
            .map(|row| best(row).unwrap_or(0))
            .collect())
    }

    /// Mean squared error of the predicted noise for each class, over `draws` draws of timesteps and noise, the same for
    /// all classes (Li et al. 2023): the class with the least error is the picture's. Needs no head.
    ///
    /// # Errors
    /// Where the device fails, or `watch` says false after a draw.
    pub fn by_denoising(
        &self,
        tokens: Tensor<3>,
        draws: usize,
        seed: u64,
        watch: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<f32>, Failure> {
        let config = &self.config;
        let [count, blocks] = [config.num_classes, config.ar_len];
        let positions = Positions::new(config, blocks, &self.device).map_err(Failure::input)?;
        let bars = SchedulerConfig::default().alphas_cumprod();
        let clean = self.split(tokens);
        let mut errors = vec![0.0; count];
        let mut rng = Rng::new(seed).child("classify");
        // A few classes at a time: a thousand do not fit into memory.
        let together = (65_536 / (2 * config.tokens())).clamp(1, count);
        for draw in 0..draws {
            // Spread over the schedule, so that few draws tell as much as they can.
            let at = (draw as f32 + rng.uniform()) / draws as f32;
            let timesteps = vec![(at * bars.len() as f32) as usize; blocks];
            let noise = TensorData::new(
                rng.normals(config.tokens() * config.latent_size),
                clean.dims(),
            );
            let noise = Tensor::<4>::from_data(noise, &self.device);
            let noisy = super::train::noised(clean.clone(), noise.clone(), &timesteps, &bars);
            let labels: Vec<usize> = (0..count).collect();
            for labels in labels.chunks(together) {
                let repeat = |x: &Tensor<4>| Tensor::cat(vec![x.clone(); labels.len()], 0);
                let t: Vec<f32> = timesteps.iter().map(|t| *t as f32).collect();
                let predicted = self.model.forward_train(
                    repeat(&clean),
                    repeat(&noisy),
                    &t.repeat(labels.len()),
                    labels,
                    &positions,
                );
                let off = (predicted - repeat(&noise)).square();
                let all = off.dims().iter().product::<usize>() / labels.len();
                let off = off.reshape([labels.len(), all]).mean_dim(1);
                for (label, error) in labels.iter().zip(values(off)?) {
                    errors[*label] += error / draws as f32;
                }
            }
            if !watch(draw + 1) {
                return Err(Failure::interrupted("stopped; nothing was written"));
            }
        }
        Ok(errors)
    }

    /// `[1, tokens, values]` → `[1, blocks, block, values]`.
    fn split(&self, tokens: Tensor<3>) -> Tensor<4> {
        let config = &self.config;
        tokens.reshape([1, config.ar_len, config.block_size, config.latent_size])
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let all: Vec<f32> = logits.iter().map(|x| libm::expf(x - most)).collect();
    let sum: f32 = all.iter().sum();
    all.into_iter().map(|x| x / sum).collect()
}
