//! How much of a client's pictures a server can reconstruct, for each method and threat level.

use std::ops::Range;

use base::numerics::assign;
use base::rng::Rng;
use serde::{Deserialize, Serialize};

use super::attack::{
    Cost, Guess, InvertConfig, Observation, Reconstruction, SingleGradient, Unrolled, invert_best,
    recover_label,
};
use super::baselines::fedavg_update;
use super::layout::Layout;
use super::local::{LocalConfig, Noise, Samples, hyperfl_update, private_gradient};
use super::loss::Targets;
use super::metrics::{Window, psnr, ssim};
use super::model::HyperModel;
use super::network::Model;
use crate::error::{LearningError, Result};

/// What the client trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The whole network is shared
    Fedavg,
    /// The same, its gradient clipped and noised
    DpFedavg,
    /// Only the hypernetwork is shared
    Hyperfl,
}

/// What the server does with what it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// One step was sent; everything unknown is varied together
    Naive,
    /// One step was sent; the server computes the generated extractor and its gradient first
    Tailored,
    /// Several steps were sent; their sum is taken for one gradient
    Multistep,
    /// Several steps were sent; they are simulated within the attack
    Unrolled,
}

/// Settings of an attack.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// What the client trains.
    pub target: Target,
    /// What the server does.
    pub level: Level,
    /// Steps that the client makes where more than one is sent.
    pub steps: usize,
    /// Distance between gradients.
    pub cost: Cost,
    /// Steps of the attack.
    pub iterations: usize,
    /// Attacks from different pictures; the one with the smallest distance counts.
    pub restarts: usize,
    /// Weight of the total variation.
    pub tv: f64,
    /// Noise multiplier for [`Target::DpFedavg`].
    pub sigma: f64,
    /// Seed of the attack.
    pub seed: u64,
}

/// What an attack found, beside the truth.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Peak signal-to-noise ratio in dB, mean over the pictures.
    pub psnr: f64,
    /// The largest over the restarts, known only to who knows the truth.
    pub best_psnr: f64,
    /// SSIM, 7 × 7 uniform.
    pub ssim7: f64,
    /// SSIM, 11 × 11 Gaussian.
    pub ssim11: f64,
    /// Cosine reached.
    pub cosine: f64,
    /// Whether the label was read from the gradient; `None` where it cannot be.
    pub label: Option<bool>,
    /// The pictures found, in the order of the true ones.
    #[serde(skip)]
    pub pictures: Vec<f32>,
}

impl Finding {
    /// Whether the attack failed to optimise, so that what it did not find says nothing.
    pub fn unfinished(&self) -> bool {
        1.0 - self.cosine > 0.1
    }
}

/// The attacked client: its networks, its parameters as they were before its steps, and what it trains on.
#[derive(Clone, Copy, Debug)]
pub struct Victim<'a> {
    /// Networks.
    pub model: &'a HyperModel,
    /// φ, embedding and head for HyperFL, else the plain network.
    pub params: &'a [f32],
    /// Its pictures, one batch.
    pub truth: &'a Samples,
    /// Its optimiser.
    pub local: &'a LocalConfig,
}

fn tensors(layout: &Layout) -> Vec<Range<usize>> {
    layout
        .slots()
        .iter()
        .map(|slot| slot.range.clone())
        .collect()
}

/// Attacks one batch of a client. Labels are known to the attacker.
///
/// # Errors
/// For a level that the target does not have, and where lengths do not fit.
pub fn attack(
    victim: Victim<'_>,
    config: &Attack,
    watch: &mut dyn FnMut(usize, &Guess) -> Result<()>,
) -> Result<Finding> {
    let HyperModel { net, .. } = victim.model;
    let targets = Targets::Labels(victim.truth.labels.clone());
    let rng = Rng::new(config.seed);
    // What the attacker cannot know begins as something drawn.
    let stranger = net.init(&mut rng.child("head"));
    let mut settings = InvertConfig {
        iterations: config.iterations,
        tv: config.tv,
        ..InvertConfig::new(net.input)
    };
    let mut run = |seen: &dyn Observation, params: &[f32], unknown: Vec<Range<usize>>| {
        settings.unknown = unknown;
        let count = victim.truth.len();
        let start = (params, &targets);
        invert_best(seen, start, count, &settings, config.restarts, &rng, watch)
    };
    let many = matches!(config.level, Level::Multistep | Level::Unrolled);
    let one = vec![victim.truth.clone()];
    let epochs = vec![one.clone(); config.steps.max(1)];
    let mut label = None;
    let found = match config.target {
        Target::Fedavg | Target::DpFedavg => {
            let mut after = victim.params.to_vec();
            let gradient = if many && config.target == Target::Fedavg {
                fedavg_update(net, &mut after, &epochs, victim.local)?;
                difference(victim.params, &after)
            } else if !many && config.target == Target::DpFedavg {
                let noise = Noise {
                    clip: super::local::SAMPLE_CLIP,
                    sigma: config.sigma,
                };
                let mut drawn = rng.child("noise");
                let all = 0..victim.params.len();
                private_gradient(net, victim.params, victim.truth, all, noise, &mut drawn)?.1
            } else if !many {
                net.gradient(victim.params, &victim.truth.pictures, &targets)?
                    .params
            } else {
                return Err(LearningError::invalid(
                    "several steps are attacked for `fedavg` and `hyperfl`: give `--level naive`",
                ));
            };
            if victim.truth.len() == 1 {
                let found = recover_label(&net.layout, "fc2.weight", &gradient);
                label = Some(found == victim.truth.labels.first().copied());
            }
            let all = 0..victim.params.len();
            if config.level == Level::Unrolled {
                let update: Vec<f32> = gradient.iter().map(|value| -value).collect();
                let seen = Unrolled {
                    model: net,
                    observed: all,
                    tensors: tensors(&net.layout),
                    update: &update,
                    batches: vec![(0..victim.truth.len()).collect(); config.steps.max(1)],
                    step: victim.local.step(victim.local.lr, 1.0),
                    classes: net.classes,
                    cost: config.cost,
                };
                run(&seen, victim.params, Vec::new())?
            } else {
                let seen = SingleGradient {
                    model: net,
                    observed: all,
                    tensors: tensors(&net.layout),
                    gradient: &gradient,
                    cost: config.cost,
                };
                run(&seen, victim.params, Vec::new())?
            }
        }
        Target::Hyperfl => {
            let model = victim.model;
            let shared = model.shared();
            let gradient = if many {
                let mut after = victim.params.to_vec();
                hyperfl_update(model, &mut after, &one, &epochs, victim.local)?;
                difference(&victim.params[shared.clone()], &after[shared.clone()])
            } else {
                let truth = &victim.truth.pictures;
                let mut gradient = model.gradient(victim.params, truth, &targets)?.params;
                gradient.truncate(shared.end);
                gradient
            };
            if config.level == Level::Tailored || config.level == Level::Multistep {
                let found = model.hyper.recover(&victim.params[shared], &gradient);
                let mut params = found.theta;
                params.extend(&stranger[net.head()]);
                let seen = SingleGradient {
                    model: net,
                    observed: net.extractor(),
                    tensors: tensors(&net.layout.part(net.extractor())),
                    gradient: &found.grad,
                    cost: config.cost,
                };
                run(&seen, &params, vec![net.head()])?
            } else {
                let mut params = victim.params[shared.clone()].to_vec();
                params.extend(rng.child("embedding").normals(model.hyper.embed));
                params.extend(&stranger[net.head()]);
                let unknown = vec![model.embedding(), model.head()];
                let tensors = tensors(&model.hyper.layout);
                if config.level == Level::Naive {
                    let seen = SingleGradient {
                        model,
                        observed: shared,
                        tensors,
                        gradient: &gradient,
                        cost: config.cost,
                    };
                    run(&seen, &params, unknown)?
                } else {
                    let update: Vec<f32> = gradient.iter().map(|value| -value).collect();
                    let seen = Unrolled {
                        model,
                        observed: shared,
                        tensors,
                        update: &update,
                        batches: vec![(0..victim.truth.len()).collect(); config.steps.max(1)],
                        step: victim.local.step(victim.local.lr, 1.0),
                        classes: net.classes,
                        cost: config.cost,
                    };
                    run(&seen, &params, unknown)?
                }
            }
        }
    };
    Ok(finding(victim.truth, net.input, &found, label))
}

fn difference(before: &[f32], after: &[f32]) -> Vec<f32> {
    before
        .iter()
        .zip(after)
        .map(|(before, after)| before - after)
        .collect()
}

/// The found pictures in the order in which they are most like the true ones: a gradient does not tell their order.
fn matched(truth: &Samples, found: &[f32]) -> Vec<f32> {
    let count = truth.len();
    let size = truth.pictures.len() / count.max(1);
    let cost: Vec<f64> = (0..count * count)
        .map(|at| {
            let found = &found[at % count * size..][..size];
            -psnr(truth.image(at / count), found)
        })
        .collect();
    let mut out = vec![0.0; found.len()];
    for (row, column) in assign(&cost, count, count) {
        out[row * size..][..size].copy_from_slice(&found[column * size..][..size]);
    }
    out
}

fn finding(
    truth: &Samples,
    shape: [usize; 3],
    found: &[Reconstruction],
    label: Option<bool>,
) -> Finding {
    let size: usize = shape.iter().product();
    let mean = |pictures: &[f32], measure: &dyn Fn(&[f32], &[f32]) -> f64| {
        let pairs = truth
            .pictures
            .chunks_exact(size)
            .zip(pictures.chunks_exact(size));
        pairs.map(|(a, b)| measure(a, b)).sum::<f64>() / truth.len().max(1) as f64
    };
    let all: Vec<Vec<f32>> = found
        .iter()
        .map(|found| matched(truth, &found.guess.pictures))
        .collect();
    let pictures = all.first().cloned().unwrap_or_default();
    Finding {
        psnr: mean(&pictures, &psnr),
        best_psnr: all
            .iter()
            .map(|it| mean(it, &psnr))
            .fold(f64::NEG_INFINITY, f64::max),
        ssim7: mean(&pictures, &|a, b| ssim(a, b, shape, Window::Uniform)),
        ssim11: mean(&pictures, &|a, b| ssim(a, b, shape, Window::Gaussian)),
        cosine: found.first().map_or(f64::NAN, |found| found.cosine),
        label,
        pictures,
    }
}
