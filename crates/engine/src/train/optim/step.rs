//! One optimisation step of a whole module.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

use super::{Optimizer, Slot, StepSize};
use crate::weights::follow_path;

/// Elements that are squared and summed at a time: small enough for the cache, and fixed, so that the sum
/// does not depend on the number of threads.
const CHUNK: usize = 1 << 18;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stepped {
    /// The global norm of the gradients before clipping.
    pub grad_norm: f64,
    /// Whether the norm was not finite, so that parameters and state were left alone.
    pub skipped: bool,
}

/// Steps every parameter of `module` that has a gradient, clipped to a global norm of `clip` if given.
/// A gradient that is not finite skips the whole step: parameters and state stay as they are.
pub fn step<M: Module>(
    module: M,
    gradients: Gradients,
    optimizer: &mut dyn Optimizer,
    learning_rate: f64,
    clip: Option<f64>,
) -> (M, Stepped) {
    let gradients = gather(&module, gradients);
    apply(module, gradients, optimizer, learning_rate, clip)
}

/// The gradients of the parameters of `module` by path, flat. The rest of the tape goes before the update needs memory.
pub(in crate::train) fn gather<M: Module>(
    module: &M,
    gradients: Gradients,
) -> BTreeMap<String, Tensor<1>> {
    let mut gather = Gather {
        path: Vec::new(),
        gradients,
        found: BTreeMap::new(),
    };
    module.visit(&mut gather);
    gather.found
}

/// [`step`] along gradients that [`gather`] gave.
pub(in crate::train) fn apply<M: Module>(
    module: M,
    gradients: BTreeMap<String, Tensor<1>>,
    optimizer: &mut dyn Optimizer,
    learning_rate: f64,
    clip: Option<f64>,
) -> (M, Stepped) {
    let grad_norm = gradients.values().map(sum_of_squares).sum::<f64>().sqrt();
    let skipped = !grad_norm.is_finite();
    let stepped = Stepped { grad_norm, skipped };
    if skipped {
        return (module, stepped);
    }
    let mut update = Update {
        path: Vec::new(),
        gradients,
        optimizer,
        size: StepSize {
            learning_rate,
            // As PyTorch's `clip_grad_norm_`.
            gradient_scale: clip.map_or(1.0, |clip| (clip / (grad_norm + 1e-6)).min(1.0)),
        },
    };
    (module.map(&mut update), stepped)
}

/// The sum of squares of a flat tensor, the same whatever the thread count.
pub(super) fn sum_of_squares(tensor: &Tensor<1>) -> f64 {
    let count = tensor.shape().num_elements();
    (0..count)
        .step_by(CHUNK)
        .map(|start| {
            let part = tensor.clone().slice(start..count.min(start + CHUNK));
            part.clone().mul(part).sum().into_scalar::<f32>() as f64
        })
        .sum()
}

/// Takes every parameter's gradient out of the tape, flat.
struct Gather {
    path: Vec<String>,
    gradients: Gradients,
    found: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Gather {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(&mut self.gradients) {
            let count = gradient.shape().num_elements();
            self.found
                .insert(self.path.join("."), gradient.reshape([count]));
        }
    }
}

struct Update<'a> {
    path: Vec<String>,
    gradients: BTreeMap<String, Tensor<1>>,
    optimizer: &'a mut dyn Optimizer,
    size: StepSize,
}

impl ModuleMapper for Update<'_> {
    follow_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Some(gradient) = self.gradients.remove(&path) else {
            return param;
        };
        param.map(|tensor| {
            let strategy = tensor.gradient_checkpointing_strategy();
            let dims = tensor.dims();
            let count = dims.iter().product::<usize>();
            let slot = Slot {
                path: &path,
                shape: &dims,
            };
            let values = tensor.inner().reshape([count]);
            let values = self
                .optimizer
                .update(slot, values, gradient, self.size)
                .reshape(dims)
                .autodiff();
            match strategy {
                Some(strategy) => values.with_gradient_checkpointing_strategy(strategy),
                None => values,
            }
            .require_grad()
        })
    }
}
