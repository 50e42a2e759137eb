//! Training encoders and reward heads: alignment with preferences, and the baselines.
//!
//! Losses and their gradients for embeddings are computed in double precision beside the network; the network only carries
//! them back.

use base::command::{Context, Steps};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use engine::train::optim::{AdamW, AdamWConfig, step};

use super::encoder::{Encoder, EncoderConfig, Vision, tensor};
use super::losses::{Alignment, triplet_loss};
use super::{Embeddings, Epsilon, LearningError, Result, Transport};

mod imitation;
mod scored;
mod unsupervised;

pub use imitation::{fit_behaviour, fit_invariant};
pub use scored::{Head, Scored, fit_goal_classifier, fit_rlhf};
pub use unsupervised::{Unsupervised, fit_unsupervised};

/// How a network is trained.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Fit {
    /// Passes over the preferences or videos.
    pub epochs: usize,
    /// Triplets, pairs or videos in a step.
    pub batch: usize,
    /// Learning rate of Adam.
    pub learning_rate: f64,
    /// Seed of weights and order.
    pub seed: u64,
    /// Whether [`align`] leaves the network as it is and trains the head alone.
    pub only_head: bool,
}

impl Default for Fit {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch: 4,
            learning_rate: 1e-3,
            seed: 0,
            only_head: false,
        }
    }
}

/// The alignment that the proof uses: Sinkhorn with ε .05, 50 iterations, temperature 8.
pub fn usual_alignment() -> Alignment {
    Alignment {
        transport: Transport {
            epsilon: Epsilon::Absolute(0.05),
            iterations: 50,
            tolerance: 0.0,
            ..Transport::default()
        },
        temperature: 8.0,
        unroll: false,
    }
}

/// Three videos by their numbers: `preferred` is liked more than `other`, seen from `anchor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Triplet {
    /// What both are compared with.
    pub anchor: usize,
    /// Closer to it in the user's eyes.
    pub preferred: usize,
    /// Farther from it.
    pub other: usize,
}

impl Triplet {
    /// From a ranking of three, best first.
    pub fn ranked([anchor, preferred, other]: [usize; 3]) -> Self {
        Self {
            anchor,
            preferred,
            other,
        }
    }

    /// The three pairs that a ranking says, better first: what RLHF learns from.
    pub fn pairs(&self) -> [[usize; 2]; 3] {
        let Self {
            anchor,
            preferred,
            other,
        } = *self;
        [[anchor, preferred], [anchor, other], [preferred, other]]
    }
}

/// Carries a gradient for `output` back.
fn carry(output: Tensor<2>, gradient: Vec<f64>) -> Gradients {
    let gradient: Vec<f32> = gradient.into_iter().map(|g| g as f32).collect();
    let data = TensorData::new(gradient, output.dims());
    let gradient = Tensor::<2>::from_data(data, &output.device());
    (output * gradient).sum().backward()
}

/// The videos with these numbers, one after the other, as a tensor.
fn gather(
    videos: &[Vec<f32>],
    numbers: &[usize],
    config: &EncoderConfig,
    device: &Device,
) -> Tensor<4> {
    let pixels: Vec<f32> = numbers
        .iter()
        .flat_map(|at| &videos[*at])
        .copied()
        .collect();
    tensor(&pixels, config, device)
}

/// The rows of `output` as one list of vectors a video.
fn split(output: &Tensor<2>, videos: usize, width: usize) -> Result<Vec<Embeddings>> {
    let values: Vec<f64> = output.clone().inner().into_data().iter::<f64>().collect();
    let each = values.len() / videos;
    values
        .chunks(each)
        .map(|part| Embeddings::new(part.to_vec(), width))
        .collect()
}

/// Trains a network on shuffled batches of `count` things for all epochs. `gradients` gives those of a batch, none where it is
/// left out.
fn learn<M: Module>(
    mut model: M,
    count: usize,
    fit: &Fit,
    (title, quiet, context): Watch,
    mut gradients: impl FnMut(&M, &[usize], &mut Rng) -> Result<Option<Gradients>>,
) -> Result<M> {
    if count == 0 {
        return Err(LearningError::invalid(
            "there is nothing to learn from: give at least one example",
        ));
    }
    let mut optimizer = AdamW::new(AdamWConfig {
        weight_decay: 0.0,
        ..AdamWConfig::default()
    });
    let mut rng = Rng::new(fit.seed).child("batches");
    let mut bar = Steps::new(title, quiet);
    for epoch in 0..fit.epochs {
        let mut order: Vec<usize> = (0..count).collect();
        rng.shuffle(&mut order);
        for batch in order.chunks(fit.batch.max(1)) {
            context.proceed()?;
            if let Some(gradients) = gradients(&model, batch, &mut rng)? {
                model = step(model, gradients, &mut optimizer, fit.learning_rate, None).0;
            }
        }
        bar.at(epoch + 1, fit.epochs);
    }
    bar.finish();
    Ok(model)
}

/// What a person sees of a training: a title, whether to be quiet, how it is stopped.
pub type Watch = (&'static str, bool, Context);

/// Aligns an encoder with triplets of prepared `videos`; gives the mean loss of the last epoch.
///
/// # Errors
/// No triplet, ones that name videos that are not there; Ctrl-C.
pub fn align(
    vision: &mut Vision,
    videos: &[Vec<f32>],
    triplets: &[Triplet],
    alignment: &Alignment,
    fit: &Fit,
    watch: Watch,
) -> Result<f64> {
    let named = |t: &Triplet| t.anchor.max(t.preferred).max(t.other) < videos.len();
    if !triplets.iter().all(named) {
        return Err(LearningError::invalid(
            "a triplet names a video that is not there",
        ));
    }
    if fit.only_head {
        let (mut top, seen) = vision.behind(videos);
        let whole = Fit {
            only_head: false,
            ..*fit
        };
        let loss = align(&mut top, &seen, triplets, alignment, &whole, watch)?;
        vision.take_head(top);
        return Ok(loss);
    }
    let (config, device) = (vision.config.clone(), vision.device.clone().autodiff());
    let mut recent = Vec::new();
    let encoder = on(&vision.encoder, &device);
    let encoder = learn(encoder, triplets.len(), fit, watch, |model, batch, _| {
        let numbers: Vec<usize> = batch
            .iter()
            .flat_map(|at| {
                let t = triplets[*at];
                [t.anchor, t.preferred, t.other]
            })
            .collect();
        let output = model.forward(gather(videos, &numbers, &config, &device));
        let seen = split(&output, numbers.len(), config.out())?;
        let mut gradient = Vec::new();
        let mut total = 0.0;
        for three in seen.chunks_exact(3) {
            let found = triplet_loss([&three[0], &three[1], &three[2]], alignment)?;
            total += found.loss / batch.len() as f64;
            for part in &found.gradients {
                gradient.extend(part.values().iter().map(|g| g / batch.len() as f64));
            }
        }
        recent.push(total);
        Ok(Some(carry(output, gradient)))
    })?;
    vision.encoder = encoder.valid();
    let last = recent.len().div_ceil(fit.epochs.max(1));
    let tail = &recent[recent.len() - last..];
    Ok(tail.iter().sum::<f64>() / tail.len() as f64)
}

/// The same weights on another device.
fn on(encoder: &Encoder, device: &Device) -> Encoder {
    encoder
        .clone()
        .to_device(&device.clone().without_autodiff())
        .train()
}
