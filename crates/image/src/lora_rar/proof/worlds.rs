//! A world of one seed, as the arms see it: a base network, adapters, pairs.

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::train::TaskError;

use crate::lora_rar::distill::{Adapted, PairLayer};
use crate::lora_rar::train::Pairs;

/// A subject and a style with the two updates of every layer.
pub(super) struct Pair {
    pub(super) subject: usize,
    pub(super) style: usize,
    pub(super) layers: Vec<PairLayer>,
}

/// Sizes of the experiment in a world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Inputs of one step of the hypernetwork and of ZipLoRA.
    pub(super) rows: usize,
    /// Inputs on which a pair is tested.
    pub(super) tested: usize,
    /// Training of the hypernetwork: steps and learning rate.
    pub(super) hypernet: (u64, f64),
    /// ZipLoRA's steps a pair and learning rate.
    pub(super) ziplora: (u64, f64),
    /// Every so manieth training pair scores constant weights, on so many inputs; the weights are so many tenths apart.
    pub(super) grid: (usize, usize, usize),
}

/// Base, adapters and pairs of one seed.
pub(super) trait World: Sync + Sized {
    /// The base network.
    type Network: Adapted<Input = Self::Input>;
    /// What it reads.
    type Input: Send;
    /// What runs in it are called.
    const NAME: &'static str;
    /// Sizes.
    const SIZES: Sizes;

    /// Trains everything but what merges.
    fn new(seed: u64, context: Context) -> Result<Self, Failure>;
    /// The base network.
    fn network(&self) -> &Self::Network;
    /// Where gradients pass.
    fn device(&self) -> &Device;
    /// Pairs for training, and pairs whose subject and style are both unseen.
    fn pairs(&self) -> [Vec<&Pair>; 2];
    /// Inputs of the subject and of something in the style, with the same noise.
    fn alone(&self, pair: &Pair, rows: usize, rng: &mut Rng) -> [Self::Input; 2];
    /// Inputs of the subject in the style, which no adapter was trained on, and the right answer `[rows, values]`.
    fn joint(&self, pair: &Pair, rows: usize, rng: &mut Rng) -> (Self::Input, Tensor<2>);
}

/// The training pairs of a world, for the hypernetwork.
pub(super) struct TrainingPairs<'a, W>(pub(super) &'a W, pub(super) Vec<&'a Pair>);

impl<W: World> Pairs for TrainingPairs<'_, W> {
    type Network = W::Network;
    /// Which pair, and its inputs.
    type Batch = (usize, [W::Input; 2]);

    fn network(&self) -> &W::Network {
        self.0.network()
    }

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let at = rng.below(self.1.len());
        Ok((at, self.0.alone(self.1[at], W::SIZES.rows, rng)))
    }

    fn layers<'b>(&'b self, batch: &Self::Batch) -> &'b [PairLayer] {
        &self.1[batch.0].layers
    }

    fn inputs(&self, batch: Self::Batch) -> [W::Input; 2] {
        batch.1
    }

    fn samples(&self) -> usize {
        W::SIZES.rows
    }
}
