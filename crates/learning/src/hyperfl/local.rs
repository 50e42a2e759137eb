//! A client's work within a round (specification, section 9.4): HyperFL and the baselines that train in the same way.

use std::ops::Range;

use base::rng::Rng;
use rayon::prelude::*;

use super::hypernetwork::Step;
use super::loss::{Targets, cross_entropy};
use super::model::HyperModel;
use super::network::Network;
use super::vector::{add_scaled, squares};
use crate::error::{LearningError, Result};

/// Labelled pictures, each `[channels, rows, columns]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// All pictures, one after another.
    pub pictures: Vec<f32>,
    /// Their labels.
    pub labels: Vec<u8>,
}

/// One batch: pictures `[batch, channels, rows, columns]` and labels.
pub type Batch = Samples;

impl Samples {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Image `at`.
    pub fn image(&self, at: usize) -> &[f32] {
        let size = self.pictures.len() / self.labels.len().max(1);
        &self.pictures[at * size..][..size]
    }

    /// The pictures with these numbers.
    pub fn pick(&self, numbers: &[usize]) -> Self {
        Self {
            pictures: numbers
                .iter()
                .flat_map(|&at| self.image(at).iter().copied())
                .collect(),
            labels: numbers.iter().map(|&at| self.labels[at]).collect(),
        }
    }

    /// All pictures in a drawn order, in batches of `size`; the last may be smaller.
    pub fn batches(&self, size: usize, rng: &mut Rng) -> Vec<Batch> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        rng.shuffle(&mut order);
        let chunks = order.chunks(size.max(1));
        chunks.map(|numbers| self.pick(numbers)).collect()
    }
}

/// Optimiser of the local work; the published numbers by default.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LocalConfig {
    /// Learning rate of extractor, hypernetwork and embedding.
    pub lr: f32,
    /// Learning rate of the classifier phase.
    pub head_lr: f32,
    /// Momentum.
    pub momentum: f32,
    /// Weight decay.
    pub decay: f32,
    /// Largest L2 norm of the gradients of φ and of the embedding.
    pub clip: f64,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            lr: 0.02,
            head_lr: 0.1,
            momentum: 0.5,
            decay: 5e-4,
            clip: 50.0,
        }
    }
}

/// Per-sample clipping and noise of the DP baselines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Largest L2 norm of a sample's gradient.
    pub clip: f64,
    /// Noise multiplier σ; 0 for none.
    pub sigma: f64,
}

/// Norm that the official code clips samples' gradients at.
pub const SAMPLE_CLIP: f64 = 0.04;

/// Losses of a client's work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Mean over the batches of the first epoch of the first phase.
    pub first: f32,
    /// Mean over the batches of the last epoch.
    pub last: f32,
}

impl LocalConfig {
    /// A step with the learning rate `lr` and gradients times `scale`.
    pub(super) fn step(&self, lr: f32, scale: f64) -> Step {
        Step {
            scale: scale as f32,
            lr,
            momentum: self.momentum,
            decay: self.decay,
        }
    }
}

/// HyperFL's local update: the classifier phase over `head`'s batches, then the hypernetwork phase over `epochs`.
///
/// `params` are φ, embedding and head, changed in place; momentum starts anew. Gives the losses, and the plain network as it was
/// generated for the last batch, before the last step.
///
/// # Errors
/// Where batches do not fit the model.
pub fn hyperfl_update(
    model: &HyperModel,
    params: &mut [f32],
    head: &[Batch],
    epochs: &[Vec<Batch>],
    config: &LocalConfig,
) -> Result<(Losses, Vec<f32>)> {
    let mut losses = Losses::default();
    // φ and v stand still in this phase, so θ is generated once.
    let mut network = model.network_params(params);
    let range = model.net.head();
    if !head.is_empty() {
        let mut state = vec![0.0; network.len()];
        losses.first = sgd_epoch(
            &model.net,
            (&mut network, &mut state),
            head,
            range.clone(),
            config.step(config.head_lr, 1.0),
            None,
        )?;
        params[model.head()].copy_from_slice(&network[range.clone()]);
    }
    let (shared, embedding) = (model.shared(), model.embedding());
    let mut state = vec![0.0; embedding.end];
    for batches in epochs {
        let mut sum = 0.0;
        for batch in batches {
            let made = model
                .hyper
                .generate(&params[shared.clone()], &params[embedding.clone()]);
            network[..range.start].copy_from_slice(&made.theta);
            let (loss, mut grads) = model.net.train_gradient(
                &network,
                &batch.pictures,
                &batch.labels,
                model.net.extractor(),
            )?;
            sum += f64::from(loss);
            grads.truncate(range.start);
            let grad = model.hyper.backward(&params[shared.clone()], &made, grads);
            let (phi, private) = params.split_at_mut(shared.end);
            let (phi_state, private_state) = state.split_at_mut(shared.end);
            let step = config.step(config.lr, clip(grad.norm(), config.clip));
            model.hyper.step(phi, phi_state, &grad, step);
            let norm = squares(&grad.embedding).sqrt();
            let step = config.step(config.lr, clip(norm, config.clip));
            for ((v, state), grad) in private.iter_mut().zip(private_state).zip(&grad.embedding) {
                step.apply(v, state, *grad);
            }
        }
        losses.last = (sum / batches.len().max(1) as f64) as f32;
    }
    Ok((losses, network))
}

/// Fits a new client to a trained φ, which stays as it is (specification, section 9.5): first the head over `head`, then the
/// embedding over `embedding`, epochs of batches each.
///
/// # Errors
/// Where batches do not fit the model.
pub fn fit_client(
    model: &HyperModel,
    params: &mut [f32],
    head: &[Vec<Batch>],
    embedding: &[Vec<Batch>],
    config: &LocalConfig,
) -> Result<()> {
    let mut network = model.network_params(params);
    let (net, range) = (&model.net, model.net.head());
    let mut state = vec![0.0; network.len()];
    for batches in head {
        let step = config.step(config.head_lr, 1.0);
        sgd_epoch(
            net,
            (&mut network, &mut state),
            batches,
            range.clone(),
            step,
            None,
        )?;
    }
    params[model.head()].copy_from_slice(&network[range.clone()]);
    let (phi, private) = params.split_at_mut(model.shared().end);
    let own = &mut private[..model.hyper.embed];
    let mut state = vec![0.0; own.len()];
    for batch in embedding.iter().flatten() {
        let made = model.hyper.generate(phi, own);
        network[..range.start].copy_from_slice(&made.theta);
        let (pictures, labels) = (&batch.pictures, &batch.labels);
        let (_, mut grads) = net.train_gradient(&network, pictures, labels, net.extractor())?;
        grads.truncate(range.start);
        let grad = model.hyper.backward(phi, &made, grads).embedding;
        let step = config.step(config.lr, clip(squares(&grad).sqrt(), config.clip));
        for ((v, state), grad) in own.iter_mut().zip(&mut state).zip(&grad) {
            step.apply(v, state, *grad);
        }
    }
    Ok(())
}

/// What to multiply a gradient of this norm by: as PyTorch's `clip_grad_norm_`.
pub(super) fn clip(norm: f64, most: f64) -> f64 {
    (most / (norm + 1e-6)).min(1.0)
}

/// One epoch of SGD on the parameters in `wanted`, with per-sample clipping and noise where `noise` says so. Gives the mean
/// loss over the batches.
///
/// # Errors
/// Where batches do not fit the network.
pub fn sgd_epoch(
    net: &Network,
    (params, state): (&mut [f32], &mut [f32]),
    batches: &[Batch],
    wanted: Range<usize>,
    step: Step,
    mut noise: Option<(Noise, &mut Rng)>,
) -> Result<f32> {
    let mut sum = 0.0;
    for batch in batches {
        let (loss, grads) = match &mut noise {
            None => net.train_gradient(params, &batch.pictures, &batch.labels, wanted.clone())?,
            Some((noise, rng)) => {
                private_gradient(net, params, batch, wanted.clone(), *noise, rng)?
            }
        };
        sum += f64::from(loss);
        for at in wanted.clone() {
            step.apply(&mut params[at], &mut state[at], grads[at]);
        }
    }
    Ok((sum / batches.len().max(1) as f64) as f32)
}

/// The gradient of DP-SGD (specification, section 9.2): each sample's gradient clipped, their sum with Gaussian noise,
/// divided by the batch.
///
/// # Errors
/// Where the batch does not fit the network.
pub fn private_gradient(
    net: &Network,
    params: &[f32],
    batch: &Batch,
    wanted: Range<usize>,
    noise: Noise,
    rng: &mut Rng,
) -> Result<(f32, Vec<f32>)> {
    // A few samples at a time, added in their order: the same bits whatever the number of threads.
    const GROUP: usize = 8;
    let mut sum = vec![0.0; params.len()];
    let mut loss = 0.0;
    let numbers: Vec<usize> = (0..batch.len()).collect();
    for group in numbers.chunks(GROUP) {
        let each: Result<Vec<(f32, Vec<f32>)>> = group
            .par_iter()
            .map(|&at| {
                let labels = &batch.labels[at..=at];
                net.train_gradient(params, batch.image(at), labels, wanted.clone())
            })
            .collect();
        for (sample, grads) in each? {
            loss += f64::from(sample);
            let factor = clip(squares(&grads[wanted.clone()]).sqrt(), noise.clip);
            add_scaled(&mut sum, factor as f32, &grads);
        }
    }
    let count = batch.len().max(1) as f32;
    let spread = (noise.sigma * noise.clip) as f32;
    for value in &mut sum[wanted] {
        if spread > 0.0 {
            *value += spread * rng.normal();
        }
        *value /= count;
    }
    Ok(((loss / f64::from(count)) as f32, sum))
}

/// Share of `samples` that the network labels rightly, and the mean loss; both NaN without samples.
///
/// # Errors
/// Where samples do not fit the network.
pub fn evaluate(net: &Network, params: &[f32], samples: &Samples) -> Result<[f64; 2]> {
    let (mut right, mut loss) = (0usize, 0.0);
    let numbers: Vec<usize> = (0..samples.len()).collect();
    for chunk in numbers.chunks(256) {
        let batch = samples.pick(chunk);
        let logits = net.forward(params, &batch.pictures)?.logits;
        let targets = Targets::Labels(batch.labels.clone());
        let (mean, _) = cross_entropy(&logits, &targets, net.classes)?;
        loss += f64::from(mean) * chunk.len() as f64;
        right += logits
            .chunks_exact(net.classes)
            .zip(&batch.labels)
            .filter(|(row, label)| super::vector::argmax(row) == usize::from(**label))
            .count();
    }
    let count = samples.len() as f64;
    Ok([right as f64 / count, loss / count])
}

/// The sample-weighted mean of what clients sent, in f64 and in their order. Equal weights where all are zero.
///
/// # Errors
/// Without clients, or where lengths differ.
pub fn weighted_mean(updates: &[(&[f32], f64)]) -> Result<Vec<f32>> {
    let Some((first, _)) = updates.first() else {
        return Err(LearningError::failed(
            "no client's update is left to average: see the log for why they were refused",
        ));
    };
    if updates
        .iter()
        .any(|(update, _)| update.len() != first.len())
    {
        return Err(LearningError::invalid(
            "updates of different lengths cannot be averaged: all clients need the same model",
        ));
    }
    let total: f64 = updates.iter().map(|(_, weight)| weight).sum();
    let mut mean = Mean::new(first.len());
    for (update, weight) in updates {
        mean.add(
            update,
            match total > 0.0 {
                true => weight / total,
                false => 1.0 / updates.len() as f64,
            },
        );
    }
    Ok(mean.finish())
}

/// A mean in the making, in f64: one update after another, none of which is kept.
#[derive(Clone, Debug)]
pub struct Mean {
    sum: Vec<f64>,
}

impl Mean {
    /// Of updates with `len` values.
    pub fn new(len: usize) -> Self {
        Self {
            sum: vec![0.0; len],
        }
    }

    /// Adds an update with its share of the whole.
    pub fn add(&mut self, update: &[f32], share: f64) {
        for (sum, value) in self.sum.iter_mut().zip(update) {
            *sum += share * f64::from(*value);
        }
    }

    /// The mean.
    pub fn finish(self) -> Vec<f32> {
        self.sum.into_iter().map(|value| value as f32).collect()
    }
}
