//! Encoders that learn by saying again what they saw: invariant features (LIFS), behaviour cloning.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, activation};
use engine::nn::{Linear, LinearConfig};

use super::super::encoder::{Encoder, EncoderConfig, Vision};
use super::super::{LearningError, Result};
use super::{Fit, Watch, gather, learn, on};

/// Rows and columns of the picture that the decoder makes.
const SIDE: usize = 8;
/// Units of the decoder's hidden layer.
const HIDDEN: usize = 64;

/// An encoder with two layers behind it that say something of each frame.
#[derive(Module, Debug)]
struct Reconstructor {
    encoder: Encoder,
    hidden: Linear,
    out: Linear,
}

impl Reconstructor {
    fn new(vision: &Vision, values: usize, fit: &Fit, device: &Device) -> Self {
        let mut rng = Rng::new(fit.seed).child("told");
        Self {
            encoder: on(&vision.encoder, device),
            hidden: LinearConfig::new(vision.config.out(), HIDDEN).init(&mut rng, device),
            out: LinearConfig::new(HIDDEN, values).init(&mut rng, device),
        }
    }

    /// Vectors of the frames, and what is said of each.
    fn forward(&self, x: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
        let seen = self.encoder.forward(x);
        let hidden = activation::relu(self.hidden.forward(seen.clone()));
        (seen, self.out.forward(hidden))
    }
}

/// Prepared frames as small pictures: means over squares.
fn small(pixels: &[f32], config: &EncoderConfig) -> Vec<f32> {
    let [_, rows, columns] = config.frame();
    let cell = |at: usize, size: usize| {
        at * size / SIDE..((at + 1) * size / SIDE).max(at * size / SIDE + 1)
    };
    let mut out = Vec::new();
    for plane in pixels.chunks_exact(rows * columns) {
        for row in 0..SIDE {
            for column in 0..SIDE {
                let places = cell(row, rows)
                    .flat_map(|r| cell(column, columns).map(move |c| r * columns + c));
                let (count, sum) = places.fold((0.0, 0.0), |(count, sum), at| {
                    (count + 1.0, sum + plane[at])
                });
                out.push(sum / count);
            }
        }
    }
    out
}

/// Learning invariant feature spaces (LIFS; Gupta et al. 2017, as XIRL compares with it): an autoencoder whose vectors agree
/// between videos at the same place in time. The decoder makes pictures of 8 × 8.
///
/// # Errors
/// As [`super::align`]; fewer than two videos.
pub fn fit_invariant(
    vision: &mut Vision,
    videos: &[Vec<f32>],
    fit: &Fit,
    watch: Watch,
) -> Result<()> {
    if videos.len() < 2 {
        return Err(LearningError::invalid(
            "invariant features need two or more videos",
        ));
    }
    let config = vision.config.clone();
    let values = config.frame()[0] * SIDE * SIDE;
    train(
        vision,
        values,
        fit,
        watch,
        (videos, videos.len()),
        |batch| {
            let pictures: Vec<f32> = batch
                .iter()
                .flat_map(|at| small(&videos[*at], &config))
                .collect();
            (batch.to_vec(), pictures, true)
        },
    )
}

/// Behaviour cloning: the encoder is trained so that two layers behind it say the action of each prepared frame (fine-tuned
/// MVP). `actions` are those of the frames of each video, none where they are not known.
///
/// # Errors
/// As [`super::align`]; where no video has actions.
pub fn fit_behaviour(
    vision: &mut Vision,
    videos: &[Vec<f32>],
    actions: &[Option<Vec<Vec<f32>>>],
    fit: &Fit,
    watch: Watch,
) -> Result<()> {
    let known: Vec<usize> = (0..videos.len())
        .filter(|at| actions.get(*at).is_some_and(Option::is_some))
        .collect();
    let first = known.first().and_then(|at| actions[*at].as_ref()?.first());
    let Some(width) = first.map(Vec::len).filter(|width| *width > 0) else {
        return Err(LearningError::invalid(
            "no video has actions: record them with `orrery rapl collect`",
        ));
    };
    train(vision, width, fit, watch, (videos, known.len()), |batch| {
        let numbers: Vec<usize> = batch.iter().map(|at| known[*at]).collect();
        let target = numbers.iter().filter_map(|at| actions[*at].as_ref());
        let target: Vec<f32> = target.flatten().flatten().copied().collect();
        (numbers, target, false)
    })
}

/// Trains an encoder to say `values` numbers of each frame. `truth` gives the videos of a batch, what is to be said of their
/// frames, and whether vectors at the same place in time should agree.
fn train(
    vision: &mut Vision,
    values: usize,
    fit: &Fit,
    watch: Watch,
    (videos, count): (&[Vec<f32>], usize),
    truth: impl Fn(&[usize]) -> (Vec<usize>, Vec<f32>, bool),
) -> Result<()> {
    let (config, device) = (vision.config.clone(), vision.device.clone().autodiff());
    let made = Reconstructor::new(vision, values, fit, &device);
    let trained = learn(made, count, fit, watch, |model, batch, _| {
        let (numbers, target, agree) = truth(batch);
        let (seen, said) = model.forward(gather(videos, &numbers, &config, &device));
        if target.len() != said.dims().iter().product::<usize>() {
            return Err(LearningError::invalid(
                "actions of different lengths: give videos of one robot",
            ));
        }
        let target = Tensor::from_data(TensorData::new(target, said.dims()), &device);
        let mut loss = (said - target).powi_scalar(2).mean();
        if agree {
            let [frames, width] = seen.dims();
            let each = frames / numbers.len();
            let seen = seen.reshape([numbers.len(), each, width]);
            let mean = seen.clone().mean_dim(0);
            loss = loss + (seen - mean).powi_scalar(2).mean();
        }
        Ok(Some(loss.backward()))
    })?;
    vision.encoder = trained.valid().encoder;
    Ok(())
}
