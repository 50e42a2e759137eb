//! Adam with decoupled weight decay (Loshchilov & Hutter, arXiv:1711.05101).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Optimizer, OptimizerState, Slot, StepSize};
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
    state: OptimizerState,
}

impl AdamW {
    /// An optimiser that has not taken a step.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            state: OptimizerState::new(),
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
        let mut part = self.state.remove(slot.path).unwrap_or_default();
        let mean = part.take("mean", &values);
        let square = part.take("square", &values);
        part.steps += 1;
        let spared = no_decay.iter().any(|text| slot.path.contains(text));
        let decays = (decay_vectors || slot.shape.len() > 1) && !spared;
        let adam = kernels::AdamW {
            lr: size.learning_rate,
            betas: [beta1, beta2],
            eps,
            decay: if decays { weight_decay } else { 0.0 },
            scale: size.gradient_scale,
            step: part.steps,
        };
        let [values, mean, square] = ops::adamw(&adam, gradient, [values, mean, square]);
        part.put("mean", mean);
        part.put("square", square);
        self.state.insert(slot.path.to_owned(), part);
        values
    }

    fn state(&self) -> OptimizerState {
        self.state.clone()
    }

    fn restore(&mut self, state: OptimizerState) {
        self.state = state;
    }
}
