//! How each arm merges a pair of the toy world, and what that gives.

use std::path::Path;
use std::time::Instant;

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::tensor::Tensor;
use engine::train::optim::step;
use engine::train::{Progress, Run, train as fit};

use super::denoiser::{LAYERS, WIDTH};
use super::world::{Pair, ROWS, TrainingPairs, World};
use crate::lora_rar::distill::{Adapted, Mergers, Update, losses};
use crate::lora_rar::train::{HypernetTask, config, optimizer};
use crate::lora_rar::{
    Coefficients, FactorTensors, Factors, HIDDEN, Hypernet, Matrix, Rule, Weighted,
};

/// Inputs on which a pair is tested.
const TESTED: usize = 256;
/// Training of the hypernetwork: steps and learning rate.
const HYPERNET: (u64, f64) = (800, 3e-3);
/// ZipLoRA's steps a pair and learning rate, as the official script has them.
const ZIPLORA: (u64, f64) = (100, 0.01);
/// Weight of the similarity that keeps it below a tenth of the other terms here, and the paper's.
pub(super) const LAMBDAS: [f64; 2] = [1e-4, 0.01];

/// What merges.
#[derive(Debug)]
pub(super) enum Arm {
    /// The base alone.
    None,
    /// The same two weights for every pair, layer and column.
    Constant([f32; 2]),
    /// A classical rule on the factors.
    Rule(Rule),
    /// Coefficients optimised for each pair.
    ZipLora(f64),
    /// Coefficients from a trained network.
    Rar(Box<Hypernet>),
}

/// What an arm makes of a pair.
pub(super) enum Merged {
    None,
    Columns(Vec<Coefficients>),
    Single(Vec<FactorTensors>),
}

impl Merged {
    pub(super) fn updates<'a>(&'a self, pair: &'a Pair) -> Vec<Update<'a>> {
        match self {
            Self::None => Vec::new(),
            Self::Columns(all) => pair
                .layers
                .iter()
                .zip(all)
                .map(|(layer, m)| Update::Merged(layer, m))
                .collect(),
            Self::Single(all) => all.iter().map(Update::Single).collect(),
        }
    }
}

impl Arm {
    /// A hypernetwork trained on the world's training pairs, in `folder`.
    pub(super) fn rar(
        world: &World,
        lambda: f64,
        seed: u64,
        folder: &Path,
        context: Context,
    ) -> Result<Self, Failure> {
        let mut rng = Rng::new(seed).child("hypernetwork");
        let fresh = Hypernet::new(&[WIDTH], HIDDEN, &mut rng, &world.device);
        let task = HypernetTask {
            pairs: TrainingPairs(world),
            lambda,
        };
        let run = Run {
            folder,
            resume: true,
            stop: context.stop,
            progress: &mut Progress::silent(),
        };
        let (steps, rate) = HYPERNET;
        let trained = fit(&task, fresh, &config(steps, rate, seed), run)?;
        match trained.interrupted {
            true => Err(Failure::interrupted(
                "stopped; the same command goes on from here",
            )),
            false => Ok(Self::Rar(Box::new(trained.ema))),
        }
    }

    /// The weights, of a grid, with the lowest loss on training pairs.
    pub(super) fn tuned(world: &World, seed: u64) -> Self {
        let grid: Vec<f32> = (2..=12).map(|tenth| tenth as f32 / 10.0).collect();
        let pairs: Vec<&Pair> = world.for_training().into_iter().step_by(4).collect();
        let all = grid
            .iter()
            .flat_map(|content| grid.iter().map(move |style| [*content, *style]));
        let scored = all.map(|weights| {
            let mut rng = Rng::new(seed).child("grid");
            let arm = Self::Constant(weights);
            let sum: f64 = pairs
                .iter()
                .map(|pair| {
                    let [content, style] =
                        distilled(world, pair, &arm.merge(world, pair, seed), ROWS, &mut rng);
                    content + style
                })
                .sum();
            (sum, weights)
        });
        let best = scored.min_by(|a, b| a.0.total_cmp(&b.0));
        Self::Constant(best.map_or([1.0, 1.0], |(_, weights)| weights))
    }

    /// What it makes of `pair`.
    pub(super) fn merge(&self, world: &World, pair: &Pair, seed: u64) -> Merged {
        let device = &world.device;
        match self {
            Self::None => Merged::None,
            Self::Constant(weights) => {
                let constant = |weight: f32| Tensor::<1>::full([WIDTH], weight, device);
                let one = || Coefficients {
                    content: constant(weights[0]),
                    style: constant(weights[1]),
                };
                Merged::Columns(pair.layers.iter().map(|_| one()).collect())
            }
            Self::Rule(rule) => {
                let weighted = Weighted {
                    rule: *rule,
                    weights: [0.5, 0.5],
                    density: 0.5,
                };
                let mut rng = Rng::new(seed).child("dropped");
                let layers = pair.layers.iter().filter_map(|layer| {
                    let [content, style] = [&layer.content, &layer.style].map(plain);
                    let merged = weighted.factors([&content, &style], &mut rng)?;
                    Some(FactorTensors::raw(&merged, device))
                });
                Merged::Single(layers.collect())
            }
            Self::ZipLora(lambda) => {
                let mut mergers = Mergers::new(&[WIDTH; LAYERS], device);
                let mut optimizer = optimizer().init();
                let draws = Rng::new(seed).child("ziplora");
                for at in 0..ZIPLORA.0 {
                    let ([content, style], ..) = world.inputs(pair, ROWS, &mut draws.item(at));
                    let m = mergers.coefficients();
                    let loss =
                        losses(&world.base, [&content, &style], &pair.layers, &m, *lambda).total();
                    (mergers, _) = step(
                        mergers,
                        loss.backward(),
                        optimizer.as_mut(),
                        ZIPLORA.1,
                        Some(1.0),
                    );
                }
                Merged::Columns(mergers.coefficients())
            }
            Self::Rar(network) => {
                // The trained network is without a tape; so are its inputs.
                let bare = |factors: &FactorTensors| FactorTensors {
                    down: factors.down.clone().inner(),
                    up: factors.up.clone().inner(),
                };
                let found = pair.layers.iter().filter_map(|layer| {
                    network.coefficients(&bare(&layer.content), &bare(&layer.style))
                });
                let taped = |m: Tensor<1>| Tensor::from_inner(m);
                Merged::Columns(
                    found
                        .map(|m| Coefficients {
                            content: taped(m.content),
                            style: taped(m.style),
                        })
                        .collect(),
                )
            }
        }
    }
}

/// The factors on plain values.
fn plain(factors: &FactorTensors) -> Factors {
    let matrix = |tensor: &Tensor<2>| {
        let [rows, columns] = tensor.dims();
        let values = tensor
            .clone()
            .into_data()
            .convert::<f32>()
            .try_into_vec()
            .unwrap_or_default();
        Matrix {
            rows,
            columns,
            values,
        }
    };
    Factors::new(matrix(&factors.down), matrix(&factors.up))
}

/// Mean squared distance to the subject's adapter on the subject, and to the style's adapter on the style.
fn distilled(world: &World, pair: &Pair, merged: &Merged, rows: usize, rng: &mut Rng) -> [f64; 2] {
    let (inputs, ..) = world.inputs(pair, rows, rng);
    let updates = merged.updates(pair);
    let alone = [
        pair.layers
            .iter()
            .map(|layer| Update::Single(&layer.content))
            .collect::<Vec<_>>(),
        pair.layers
            .iter()
            .map(|layer| Update::Single(&layer.style))
            .collect(),
    ];
    [0, 1].map(|side| {
        let input = &inputs[side];
        let off = world.base.predict(input, &updates) - world.base.predict(input, &alone[side]);
        f64::from(off.square().mean().into_scalar::<f32>())
    })
}

/// What is measured of an arm, averaged over the held-out pairs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Distance to the subject's and the style's adapter.
    pub(super) distances: [f64; 2],
    /// Squared error of the noise on the subject in the style, which no adapter was trained on.
    pub(super) joint: f64,
    /// Seconds to merge a pair.
    pub(super) seconds: f64,
}

/// Tests an arm on the held-out pairs, all arms of a seed on the same inputs.
pub(super) fn test(world: &World, arm: &Arm, seed: u64) -> Found {
    let pairs = world.held_out();
    let count = pairs.len() as f64;
    let mut found = Found::default();
    // The first call pays for what later ones find ready.
    drop(pairs.first().map(|pair| match arm {
        Arm::ZipLora(_) => Merged::None,
        _ => arm.merge(world, pair, seed),
    }));
    for (at, pair) in pairs.into_iter().enumerate() {
        let begun = Instant::now();
        let merged = arm.merge(world, pair, seed);
        found.seconds += begun.elapsed().as_secs_f64() / count;
        let rng = Rng::new(seed).child("test").item(at as u64);
        let [content, style] = distilled(world, pair, &merged, TESTED, &mut rng.clone());
        found.distances[0] += content / count;
        found.distances[1] += style / count;
        let (_, noise, both) = world.inputs(pair, TESTED, &mut rng.clone());
        let off = world.base.predict(&both, &merged.updates(pair)) - noise;
        found.joint += f64::from(off.square().mean().into_scalar::<f32>()) / count;
    }
    found
}
