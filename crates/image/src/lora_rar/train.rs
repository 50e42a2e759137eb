//! Training of the hypernetwork over many pairs.

use base::rng::Rng;
use burn::tensor::Tensor;
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Schedule, Task, TaskError, TrainConfig};

use super::distill::{Adapted, PairLayer, coefficients, losses};
use super::hypernet::Hypernet;

/// The data: a base network, pairs of adapters, and batches of their noisy inputs.
pub trait Pairs: Sync {
    /// The base network.
    type Network: Adapted;
    /// One batch: which pair, and with the same noise and timesteps an input of its subject and one of its style.
    type Batch: Send;

    /// The base network.
    fn network(&self) -> &Self::Network;

    /// The batch of step `step`.
    ///
    /// # Errors
    /// When data cannot be read.
    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError>;

    /// The layers of the batch's pair.
    fn layers<'a>(&'a self, batch: &Self::Batch) -> &'a [PairLayer];

    /// The batch's inputs of subject and style.
    fn inputs(&self, batch: Self::Batch) -> [<Self::Network as Adapted>::Input; 2];

    /// Inputs of a batch.
    fn samples(&self) -> usize;
}

/// The task of [`engine::train::train`].
#[derive(Debug)]
pub struct HypernetTask<P> {
    /// The data.
    pub pairs: P,
    /// Weight of the similarity term: 0.01 for SDXL. It multiplies a sum over layers, so that it should shrink where the other terms are
    /// small.
    pub lambda: f64,
}

impl<P: Pairs> Task for HypernetTask<P> {
    type Model = Hypernet;
    type Batch = P::Batch;

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<P::Batch, TaskError> {
        self.pairs.batch(step, rng)
    }

    fn loss(&self, model: &Hypernet, batch: P::Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let layers = self.pairs.layers(&batch);
        // A width that the network lacks leaves nothing to train: the loop then says that the loss depends on no parameter.
        let coefficients = coefficients(model, layers).unwrap_or_default();
        let [content, style] = self.pairs.inputs(batch);
        let network = self.pairs.network();
        let losses = losses(
            network,
            [&content, &style],
            layers,
            &coefficients,
            self.lambda,
        );
        let number = |term: &Tensor<1>| term.clone().into_scalar::<f32>();
        let figures = vec![
            ("content", number(&losses.content)),
            ("style", number(&losses.style)),
            ("similarity", number(&losses.similarity)),
        ];
        (losses.total(), figures)
    }

    fn samples(&self) -> usize {
        self.pairs.samples()
    }
}

/// The optimiser of the official scripts: AdamW with weight decay 1e-4 on everything.
pub fn optimizer() -> OptimizerConfig {
    OptimizerConfig::AdamW(AdamWConfig {
        weight_decay: 1e-4,
        decay_vectors: true,
        ..AdamWConfig::default()
    })
}

/// A run of `steps` at a constant `rate` (0.01 in the official scripts, about 500 steps), clipped to norm 1.
pub fn config(steps: u64, rate: f64, seed: u64) -> TrainConfig {
    TrainConfig {
        steps,
        learning_rate: rate,
        warmup: 0,
        schedule: Schedule::Constant,
        optimizer: optimizer(),
        clip: Some(1.0),
        ema: None,
        seed,
        checkpoint_every: 0,
        ..TrainConfig::default()
    }
}
