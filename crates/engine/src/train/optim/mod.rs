//! Optimisers: update rules on plain tensors, and the step that applies one to a module.

mod adafactor;
mod adamw;
mod muon;
mod step;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use adafactor::{Adafactor, AdafactorConfig};
pub use adamw::{AdamW, AdamWConfig};
pub use muon::{Muon, MuonConfig};
pub use step::{Stepped, step};
pub(super) use step::{apply, gather};

/// One parameter as an optimiser sees it.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    /// Its dotted field path: the key of its state.
    pub path: &'a str,
    /// Its shape; values and gradients come flattened to `[shape.product()]`.
    pub shape: &'a [usize],
}

/// How far a step goes.
#[derive(Clone, Copy, Debug)]
pub struct StepSize {
    /// The learning rate.
    pub learning_rate: f64,
    /// What gradients are multiplied by before anything else: below 1 where they are clipped.
    pub gradient_scale: f64,
}

impl StepSize {
    /// A step of size `learning_rate` along gradients as they are.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            gradient_scale: 1.0,
        }
    }
}

/// An update rule with its state, one entry a parameter path.
pub trait Optimizer: Send {
    /// The parameter's values after one step of `size` along `gradient`; all three tensors are flat, without
    /// autodiff, and on one device.
    fn update(
        &mut self,
        slot: Slot,
        values: Tensor<1>,
        gradient: Tensor<1>,
        size: StepSize,
    ) -> Tensor<1>;

    /// The state of every parameter, for checkpoints.
    fn state(&self) -> OptimizerState;

    /// Continues from `state`, which replaces the present one.
    fn restore(&mut self, state: OptimizerState);
}

/// The state of an optimiser: parameter path → its part.
pub type OptimizerState = BTreeMap<String, ParamState>;

/// What an optimiser remembers of one parameter.
#[derive(Clone, Debug, Default)]
pub struct ParamState {
    /// Steps taken so far.
    pub steps: u64,
    /// Named running averages, flat.
    pub tensors: BTreeMap<String, Tensor<1>>,
}

impl ParamState {
    /// Takes an average out, zeros like `values` before the first step: a tensor that is held once is updated in place.
    fn take(&mut self, name: &str, values: &Tensor<1>) -> Tensor<1> {
        let found = self.tensors.remove(name);
        found.unwrap_or_else(|| values.zeros_like())
    }

    fn put(&mut self, name: &str, average: Tensor<1>) {
        self.tensors.insert(name.to_owned(), average);
    }
}

/// Which optimiser, with its hyper-parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    AdamW(AdamWConfig),
    /// Factored second moments.
    Adafactor(AdafactorConfig),
    /// Orthogonalised momentum for matrices, AdamW for the rest.
    Muon(MuonConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::AdamW(AdamWConfig::default())
    }
}

impl OptimizerConfig {
    /// A fresh optimiser.
    pub fn init(&self) -> Box<dyn Optimizer> {
        match self {
            Self::AdamW(config) => Box::new(AdamW::new(config.clone())),
            Self::Adafactor(config) => Box::new(Adafactor::new(config.clone())),
            Self::Muon(config) => Box::new(Muon::new(config.clone())),
        }
    }
}
