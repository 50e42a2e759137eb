//! What an arm is measured by on a pair.

use std::time::Instant;

use base::command::Failure;
use base::rng::Rng;
use burn::tensor::Tensor;

use super::arms::{Arm, Merged};
use super::worlds::{Pair, World};
use crate::lora_rar::FactorTensors;
use crate::lora_rar::distill::{Adapted, PairLayer, Update};

/// A pair with the inputs that it is tested on, and what its two adapters say of them.
pub(super) struct PairTest<'a, W: World> {
    world: &'a W,
    pub(super) pair: &'a Pair,
    inputs: [W::Input; 2],
    wanted: [Tensor<2>; 2],
}

impl<'a, W: World> PairTest<'a, W> {
    pub(super) fn new(world: &'a W, pair: &'a Pair, rows: usize, rng: &mut Rng) -> Self {
        let inputs = world.alone(pair, rows, rng);
        let single = |side: fn(&PairLayer) -> &FactorTensors, at: usize| {
            let updates: Vec<Update> = pair
                .layers
                .iter()
                .map(|it| Update::Single(side(it)))
                .collect();
            world.network().predict(&inputs[at], &updates)
        };
        Self {
            wanted: [single(|it| &it.content, 0), single(|it| &it.style, 1)],
            world,
            pair,
            inputs,
        }
    }

    /// Mean squared distance to the subject's adapter on the subject, and to the style's adapter on the style.
    pub(super) fn distances(&self, merged: &Merged) -> [f64; 2] {
        let updates = merged.updates(self.pair);
        [0, 1].map(|at| {
            let said = self.world.network().predict(&self.inputs[at], &updates);
            mean_square(said - self.wanted[at].clone())
        })
    }
}

fn mean_square(off: Tensor<2>) -> f64 {
    f64::from(off.square().mean().into_scalar::<f32>())
}

/// What is measured of an arm, averaged over the held-out pairs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Distance to the subject's and the style's adapter.
    pub(super) distances: [f64; 2],
    /// Squared error on the subject in the style, which no adapter was trained on.
    pub(super) joint: f64,
    /// Seconds to merge a pair.
    pub(super) seconds: f64,
}

/// Tests an arm on the held-out pairs, all arms of a seed on the same inputs.
pub(super) fn test<W: World>(world: &W, arm: &Arm, seed: u64) -> Result<Found, Failure> {
    let [_, pairs] = world.pairs();
    let count = pairs.len() as f64;
    let mut found = Found::default();
    // The first call pays for what later ones find ready.
    if let (Some(pair), false) = (pairs.first(), matches!(arm, Arm::ZipLora(_))) {
        drop(arm.merge(world, pair, seed)?);
    }
    for (at, pair) in pairs.into_iter().enumerate() {
        let begun = Instant::now();
        let merged = arm.merge(world, pair, seed)?;
        found.seconds += begun.elapsed().as_secs_f64() / count;
        let mut rng = Rng::new(seed).child("test").item(at as u64);
        let test = PairTest::new(world, pair, W::SIZES.tested, &mut rng);
        let [content, style] = test.distances(&merged);
        found.distances[0] += content / count;
        found.distances[1] += style / count;
        let (input, wanted) = world.joint(pair, W::SIZES.tested, &mut rng);
        let said = world.network().predict(&input, &merged.updates(pair));
        found.joint += mean_square(said - wanted) / count;
    }
    Ok(found)
}
