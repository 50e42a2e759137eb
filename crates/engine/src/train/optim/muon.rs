//! Momentum orthogonalised by Newton–Schulz rounds (Jordan et al. 2024, "Muon"), with the step size of Liu et al.
//! (arXiv:2502.16982), for the matrices in the middle of a network.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{AdamW, AdamWConfig, Optimizer, OptimizerState, ParamState, Slot, StepSize};
use crate::ops;

/// Coefficients of a round `a·X + (b·A + c·A²)·X`, `A = X·Xᵀ`: they take singular values near 1 in few rounds, without
/// settling exactly there.
const ROUND: [f64; 3] = [3.4445, -4.775, 2.0315];
/// Root mean square of a step per unit of learning rate: about AdamW's, so that learning rates carry over.
const SIZE: f64 = 0.2;
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
    /// What steps vectors and the parameters named in `apart`.
    pub adamw: AdamWConfig,
    /// Fields, anywhere on a parameter's path, whose matrices are AdamW's: embeddings, the first and the last layer.
    pub apart: Vec<String>,
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self {
            momentum: 0.95,
            weight_decay: 0.01,
            rounds: 5,
            adamw: AdamWConfig::default(),
            apart: Vec::new(),
        }
    }
}

/// Orthogonalised momentum for matrices, AdamW for the rest. Products are of the precision that
/// [`ops::set_precision`] sets.
#[derive(Debug)]
pub struct Muon {
    config: MuonConfig,
    momenta: BTreeMap<String, Momentum>,
    rest: AdamW,
}

#[derive(Debug)]
struct Momentum {
    steps: u64,
    mean: Tensor<1>,
}

impl Muon {
    /// An optimiser that has not taken a step.
    pub fn new(config: MuonConfig) -> Self {
        Self {
            rest: AdamW::new(config.adamw.clone()),
            config,
            momenta: BTreeMap::new(),
        }
    }

    fn apart(&self, path: &str) -> bool {
        path.split('.')
            .any(|field| self.config.apart.iter().any(|name| name == field))
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
        let &[height, width] = slot.shape else {
            return self.rest.update(slot, values, gradient, size);
        };
        if self.apart(slot.path) {
            return self.rest.update(slot, values, gradient, size);
        }
        let MuonConfig {
            momentum,
            weight_decay,
            rounds,
            ..
        } = self.config;
        let Momentum { steps, mean } = self.momenta.remove(slot.path).unwrap_or_else(|| Momentum {
            steps: 0,
            mean: values.zeros_like(),
        });
        let gradient = gradient.mul_scalar(size.gradient_scale);
        let mean = mean.mul_scalar(momentum).add(gradient.clone());
        // Nesterov: a look ahead along the momentum.
        let ahead = mean.clone().mul_scalar(momentum).add(gradient);
        let mean = Momentum {
            steps: steps + 1,
            mean,
        };
        self.momenta.insert(slot.path.to_owned(), mean);
        let turned = orthogonal(ahead.reshape([height, width]), rounds);
        let rate = size.learning_rate;
        let stride = rate * SIZE * (height.max(width) as f64).sqrt();
        values
            .mul_scalar(1.0 - rate * weight_decay)
            .sub(turned.reshape([height * width]).mul_scalar(stride))
    }

    fn state(&self) -> OptimizerState {
        let part = |momentum: &Momentum| ParamState {
            steps: momentum.steps,
            tensors: BTreeMap::from([(MOMENTUM.to_owned(), momentum.mean.clone())]),
        };
        let mut state = self.rest.state();
        state.extend(
            self.momenta
                .iter()
                .map(|(path, momentum)| (path.clone(), part(momentum))),
        );
        state
    }

    fn restore(&mut self, state: OptimizerState) {
        let (momenta, rest): (OptimizerState, OptimizerState) = state
            .into_iter()
            .partition(|(_, part)| part.tensors.contains_key(MOMENTUM));
        self.rest.restore(rest);
        self.momenta = momenta
            .into_iter()
            .filter_map(|(path, mut part)| {
                let momentum = Momentum {
                    steps: part.steps,
                    mean: part.tensors.remove(MOMENTUM)?,
                };
                Some((path, momentum))
            })
            .collect();
    }
}

/// The matrix nearest to orthogonal, about: `U·Vᵀ` of the singular value decomposition `U·S·Vᵀ`, with singular values
/// between 0.7 and 1.2. A matrix of zeros stays one.
fn orthogonal(matrix: Tensor<2>, rounds: usize) -> Tensor<2> {
    let [height, width] = matrix.dims();
    // Rows are the shorter side: `A` is the smaller product then.
    let tall = height > width;
    let x = if tall { matrix.transpose() } else { matrix };
    let norm = f64::from(x.clone().powi_scalar(2).sum().into_scalar::<f32>()).sqrt();
    if norm == 0.0 {
        return Tensor::zeros([height, width], &x.device());
    }
    let [a, b, c] = ROUND;
    let mut x = x.mul_scalar(1.0 / (norm + 1e-7));
    for _ in 0..rounds {
        // `linear(x, w)` is `x·wᵀ`, and both `A` and `A²` are symmetric.
        let gram = ops::linear(x.clone(), x.clone(), None);
        let square = ops::linear(gram.clone(), gram.clone(), None);
        let mix = gram.mul_scalar(b).add(square.mul_scalar(c));
        let mixed = ops::linear(mix, x.clone().transpose(), None);
        x = x.mul_scalar(a).add(mixed);
    }
    if tall { x.transpose() } else { x }
}
