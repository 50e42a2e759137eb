//! Rewards that are a score of each frame: RLHF, the goal classifier.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use engine::nn::{Linear, LinearConfig};

use super::super::Result;
use super::super::encoder::{Encoder, EncoderConfig, Vision, tensor};
use super::super::losses::{bradley_terry, sigmoid, softplus};
use super::{Fit, Watch, carry, gather, learn, on};

/// A reward or a logit a frame, beside the encoder: linear, ReLU, linear.
#[derive(Module, Debug)]
pub struct Head {
    hidden: Linear,
    out: Linear,
}

impl Head {
    /// For vectors of this width.
    pub fn new(width: usize, rng: &mut Rng, device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(width, 32).init(rng, device),
            out: LinearConfig::new(32, 1).init(rng, device),
        }
    }

    /// `[frames, width]` → `[frames, 1]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.out.forward(activation::relu(self.hidden.forward(x)))
    }
}

/// Encoder and head.
#[derive(Module, Debug)]
pub struct Scored {
    /// Frames to vectors.
    pub encoder: Encoder,
    /// Vectors to scores.
    pub head: Head,
}

impl Scored {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.head.forward(activation::relu(self.encoder.forward(x)))
    }

    /// A score for every prepared frame.
    pub fn scores(&self, pixels: &[f32], config: &EncoderConfig, device: &Device) -> Vec<f64> {
        let output = self.forward(tensor(pixels, config, device));
        output.into_data().iter::<f64>().collect()
    }
}

fn scored(vision: &Vision, fit: &Fit, device: &Device) -> Scored {
    let mut rng = Rng::new(fit.seed).child("head");
    Scored {
        encoder: on(&vision.encoder, device),
        head: Head::new(vision.config.out(), &mut rng, device),
    }
}

/// RLHF: encoder and head from pairs of prepared videos, the better first.
///
/// # Errors
/// As [`align`].
pub fn fit_rlhf(
    vision: &Vision,
    videos: &[Vec<f32>],
    pairs: &[[usize; 2]],
    fit: &Fit,
    watch: Watch,
) -> Result<Scored> {
    let (config, device) = (&vision.config, vision.device.clone().autodiff());
    let start = scored(vision, fit, &device);
    let trained = learn(start, pairs.len(), fit, watch, |model, batch, _| {
        let numbers: Vec<usize> = batch.iter().flat_map(|at| pairs[*at]).collect();
        let output = model.forward(gather(videos, &numbers, config, &device));
        let rewards: Vec<f64> = output.clone().inner().into_data().iter::<f64>().collect();
        let each = rewards.len() / numbers.len();
        let halves: Vec<[&[f64]; 2]> = rewards
            .chunks_exact(2 * each)
            .map(|pair| [&pair[..each], &pair[each..]])
            .collect();
        let (_, slopes) = bradley_terry(&halves, &vec![0; halves.len()])?;
        let gradient = slopes.iter().flatten().flat_map(|slope| vec![*slope; each]);
        let gradient = gradient.collect();
        Ok(Some(carry(output, gradient)))
    })?;
    Ok(trained.valid())
}

/// The goal classifier: last frames of prepared videos against all others.
///
/// # Errors
/// As [`align`].
pub fn fit_goal_classifier(
    vision: &Vision,
    videos: &[Vec<f32>],
    fit: &Fit,
    watch: Watch,
) -> Result<Scored> {
    let (config, device) = (&vision.config, vision.device.clone().autodiff());
    let start = scored(vision, fit, &device);
    let trained = learn(start, videos.len(), fit, watch, |model, batch, _| {
        let output = model.forward(gather(videos, batch, config, &device));
        let logits: Vec<f64> = output.clone().inner().into_data().iter::<f64>().collect();
        let each = logits.len() / batch.len();
        let share = 1.0 / logits.len() as f64;
        let mut loss = 0.0;
        let gradient = logits.iter().enumerate().map(|(at, logit)| {
            let goal = at % each == each - 1;
            loss += share * softplus(if goal { -logit } else { *logit });
            share * (sigmoid(*logit) - f64::from(u8::from(goal)))
        });
        let gradient = gradient.collect();
        Ok(Some(carry(output, gradient)))
    })?;
    Ok(trained.valid())
}
