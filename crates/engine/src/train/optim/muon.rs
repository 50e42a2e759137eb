//! Momentum orthogonalised by Newton–Schulz rounds (Jordan et al. 2024, "Muon"), with the step size of Liu et al.
//! (arXiv:2502.16982), for the matrices in the middle of a network.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{AdamW, AdamWConfig, Optimizer, OptimizerState, Slot, StepSize};
use crate::ops;

/// Name of the state that a matrix has here and not with AdamW.
const MOMENTUM: &str = "momentum";

/// Hyper-parameters of [`Muon`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MuonConfig {
    /// Decay of the momentum.
    pub momentum: f64,
    /// Share of a weight that is taken off per unit of learning rate.
    pub weight_decay: f64,
    /// Newton–Schulz rounds.
    pub rounds: usize,
    /// Optimizer of vectors and the parameters named in `adamw_params`.
    pub adamw: AdamWConfig,
    /// Fields, anywhere on a parameter's path, whose matrices are AdamW's: embeddings, the first and the last layer.
    #[serde(alias = "apart")]
    pub adamw_params: Vec<String>,
    /// Whether weights of convolutions `[out, in, ..]` count as matrices `[out, in · ..]`.
    pub convolutions: bool,
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self {
            momentum: 0.95,
            weight_decay: 0.01,
            rounds: 5,
            adamw: AdamWConfig::default(),
            adamw_params: Vec::new(),
            convolutions: false,
        }
    }
}

/// Orthogonalised momentum for matrices, AdamW for the rest. Products are of the precision that
/// [`ops::set_precision`] sets.
#[derive(Debug)]
pub struct Muon {
    config: MuonConfig,
    state: OptimizerState,
    rest: AdamW,
}

impl Muon {
    /// An optimiser that has not taken a step.
    pub fn new(config: MuonConfig) -> Self {
        Self {
            rest: AdamW::new(config.adamw.clone()),
            config,
            state: OptimizerState::new(),
        }
    }

    fn is_adamw(&self, path: &str) -> bool {
        path.split('.')
            .any(|field| self.config.adamw_params.iter().any(|name| name == field))
    }
}

impl Optimizer for Muon {
    fn update(
        &mut self,
        slot: Slot,
        values: Tensor<1>,
        gradient: Tensor<1>,
        size: StepSize,
    ) -> Tensor<1> {
        let [height, width] = match *slot.shape {
            [height, width] => [height, width],
            [height, ref rest @ ..] if self.config.convolutions && rest.len() > 1 => {
                [height, rest.iter().product()]
            }
            _ => return self.rest.update(slot, values, gradient, size),
        };
        if self.is_adamw(slot.path) {
            return self.rest.update(slot, values, gradient, size);
        }
        let MuonConfig {
            momentum,
            weight_decay,
            rounds,
            ..
        } = self.config;
        let mut part = self.state.remove(slot.path).unwrap_or_default();
        let mean = part.take(MOMENTUM, &values);
        part.steps += 1;
        let muon = kernels::Muon {
            lr: size.learning_rate,
            momentum,
            decay: weight_decay,
            scale: size.gradient_scale,
            rounds,
        };
        let [values, mean] = ops::muon(&muon, [height, width], gradient, [values, mean]);
        part.put(MOMENTUM, mean);
        self.state.insert(slot.path.to_owned(), part);
        values
    }

    fn state(&self) -> OptimizerState {
        let mut state = self.rest.state();
        state.extend(self.state.clone());
        state
    }

    fn restore(&mut self, state: OptimizerState) {
        let (momenta, rest): (OptimizerState, OptimizerState) = state
            .into_iter()
            .partition(|(_, part)| part.tensors.contains_key(MOMENTUM));
        self.rest.restore(rest);
        self.state = momenta;
    }
}
