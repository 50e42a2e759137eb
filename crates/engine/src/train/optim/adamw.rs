//! Adam with decoupled weight decay (Loshchilov & Hutter, arXiv:1711.05101).

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Optimizer, OptimizerState, ParamState, Slot, StepSize};
use crate::ops;

/// Hyper-parameters of [`AdamW`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Share of a weight that is taken off per unit of learning rate.
    pub weight_decay: f64,
    /// Whether vectors (biases, norm scales) decay too.
    pub decay_vectors: bool,
    /// Parameters whose path contains one of these do not decay.
    pub no_decay: Vec<String>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            decay_vectors: false,
            no_decay: Vec::new(),
        }
    }
}

/// Adam with decoupled weight decay; the arithmetic is PyTorch's `torch.optim.AdamW`.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    moments: BTreeMap<String, Moments>,
}

#[derive(Debug)]
struct Moments {
    steps: u64,
    mean: Tensor<1>,
    square: Tensor<1>,
}

impl AdamW {
    /// An optimiser that has not taken a step.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            moments: BTreeMap::new(),
        }
    }
}

impl Optimizer for AdamW {
    fn update(
        &mut self,
        slot: Slot,
        values: Tensor<1>,
        gradient: Tensor<1>,
        size: StepSize,
    ) -> Tensor<1> {
        let AdamWConfig {
            beta1,
            beta2,
            eps,
            weight_decay,
            decay_vectors,
            ref no_decay,
        } = self.config;
        // Taken out of the map so that the tensors are unique and updated in place.
        let Moments {
            steps,
            mean,
            square,
        } = self.moments.remove(slot.path).unwrap_or_else(|| Moments {
            steps: 0,
            mean: values.zeros_like(),
            square: values.zeros_like(),
        });
        let steps = steps + 1;
        let spared = no_decay.iter().any(|text| slot.path.contains(text));
        let decays = (decay_vectors || slot.shape.len() > 1) && !spared;
        let adam = kernels::AdamW {
            lr: size.learning_rate,
            betas: [beta1, beta2],
            eps,
            decay: if decays { weight_decay } else { 0.0 },
            scale: size.gradient_scale,
            step: steps,
        };
        let [values, mean, square] = ops::adamw(&adam, gradient, [values, mean, square]);
        let moments = Moments {
            steps,
            mean,
            square,
        };
        self.moments.insert(slot.path.to_owned(), moments);
        values
    }

    fn state(&self) -> OptimizerState {
        let part = |moments: &Moments| ParamState {
            steps: moments.steps,
            tensors: BTreeMap::from([
                ("mean".to_owned(), moments.mean.clone()),
                ("square".to_owned(), moments.square.clone()),
            ]),
        };
        self.moments
            .iter()
            .map(|(path, moments)| (path.clone(), part(moments)))
            .collect()
    }

    fn restore(&mut self, state: OptimizerState) {
        self.moments = state
            .into_iter()
            .filter_map(|(path, mut part)| {
                let moments = Moments {
                    steps: part.steps,
                    mean: part.tensors.remove("mean")?,
                    square: part.tensors.remove("square")?,
                };
                Some((path, moments))
            })
            .collect();
    }
}
