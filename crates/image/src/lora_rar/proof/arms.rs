//! How each arm merges a pair, and what that gives.

use std::path::Path;

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::tensor::Tensor;
use engine::train::{Progress, Run, Task, TrainConfig, train as fit};

use super::pair_test::PairTest;
use super::worlds::{Pair, TrainingPairs, World};
use crate::lora_rar::distill::{PairLayer, Update};
use crate::lora_rar::train::{HypernetTask, config};
use crate::lora_rar::ziplora::ZipLora;
use crate::lora_rar::{
    Coefficients, FactorTensors, Factors, HIDDEN, Hypernet, Matrix, Rule, SystemError, Weighted,
};

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
    pub(super) fn rar<W: World>(
        world: &W,
        lambda: f64,
        seed: u64,
        folder: &Path,
        context: Context,
    ) -> Result<Self, Failure> {
        let pairs = TrainingPairs(world, world.pairs()[0].clone());
        let mut widths: Vec<usize> = Vec::new();
        let layers = pairs.1.iter().flat_map(|pair| &pair.layers);
        widths.extend(
            layers
                .filter(|it| it.asked)
                .map(|it| it.content.up.dims()[0]),
        );
        widths.sort_unstable();
        widths.dedup();
        let mut rng = Rng::new(seed).child("hypernetwork");
        let fresh = Hypernet::new(&widths, HIDDEN, &mut rng, world.device());
        let task = HypernetTask { pairs, lambda };
        let (steps, rate) = W::SIZES.hypernet;
        trained(&task, fresh, &config(steps, rate, seed), folder, context)
            .map(|network| Self::Rar(Box::new(network)))
    }

    /// The weights, of a grid, with the lowest loss on training pairs.
    pub(super) fn tuned<W: World>(world: &W, seed: u64) -> Result<Self, Failure> {
        let (every, rows, apart) = W::SIZES.grid;
        let grid: Vec<f32> = (2..=12)
            .step_by(apart)
            .map(|tenth| tenth as f32 / 10.0)
            .collect();
        let [pairs, _] = world.pairs();
        let mut rng = Rng::new(seed).child("grid");
        let tests: Vec<PairTest<W>> = pairs
            .into_iter()
            .step_by(every)
            .map(|pair| PairTest::new(world, pair, rows, &mut rng))
            .collect();
        let mut best = (f64::INFINITY, [1.0, 1.0]);
        for content in &grid {
            for style in &grid {
                let arm = Self::Constant([*content, *style]);
                let mut sum = 0.0;
                for test in &tests {
                    sum += test
                        .distances(&arm.merge(world, test.pair, seed)?)
                        .iter()
                        .sum::<f64>();
                }
                if sum < best.0 {
                    best = (sum, [*content, *style]);
                }
            }
        }
        Ok(Self::Constant(best.1))
    }

    /// What it makes of `pair`.
    pub(super) fn merge<W: World>(
        &self,
        world: &W,
        pair: &Pair,
        seed: u64,
    ) -> Result<Merged, SystemError> {
        let device = world.device();
        Ok(match self {
            Self::None => Merged::None,
            Self::Constant(weights) => {
                let one = |layer: &PairLayer| {
                    let columns = layer.content.down.dims()[1];
                    let [content, style] =
                        weights.map(|weight| Tensor::full([columns], weight, device));
                    Coefficients { content, style }
                };
                Merged::Columns(pair.layers.iter().map(one).collect())
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
                let (steps, rate) = W::SIZES.ziplora;
                let zip = ZipLora {
                    steps,
                    rate,
                    lambda: *lambda,
                };
                let draws = Rng::new(seed).child("ziplora");
                Merged::Columns(zip.run(world.network(), &pair.layers, |at| {
                    Ok(world.alone(pair, W::SIZES.rows, &mut draws.item(at)))
                })?)
            }
            Self::Rar(network) => {
                // The trained network is without a tape; so are its inputs.
                let bare = |factors: &FactorTensors| FactorTensors {
                    down: factors.down.clone().inner(),
                    up: factors.up.clone().inner(),
                };
                let taped = |m: Coefficients| Coefficients {
                    content: Tensor::from_inner(m.content),
                    style: Tensor::from_inner(m.style),
                };
                let layers = pair.layers.iter().filter_map(|layer| match layer.asked {
                    true => network
                        .coefficients(&bare(&layer.content), &bare(&layer.style))
                        .map(taped),
                    false => Some(Coefficients::ones(layer.content.down.dims()[1], device)),
                });
                Merged::Columns(layers.collect())
            }
        })
    }
}

/// A hypernetwork trained in `folder`.
fn trained<T: Task<Model = Hypernet>>(
    task: &T,
    fresh: Hypernet,
    config: &TrainConfig,
    folder: &Path,
    context: Context,
) -> Result<Hypernet, Failure> {
    let run = Run {
        folder,
        resume: true,
        stop: context.stop,
        progress: &mut Progress::silent(),
    };
    let trained = fit(task, fresh, config, run)?;
    match trained.interrupted {
        true => Err(Failure::interrupted(
            "stopped; the same command goes on from here",
        )),
        false => Ok(trained.ema),
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
