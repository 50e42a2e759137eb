//! The exponential moving average of a model's weights.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::weights::follow_path;

/// Averages of the trainable float parameters, flat and without autodiff. Frozen parameters are not copied.
#[derive(Clone, Debug)]
pub struct Ema {
    decay: f64,
    averages: BTreeMap<String, Tensor<1>>,
}

impl Ema {
    /// An average that starts at the weights of `model`.
    pub fn new<M: Module>(model: &M, decay: f64) -> Self {
        let mut ema = Self {
            decay,
            averages: BTreeMap::new(),
        };
        ema.blend(model, 0.0);
        ema
    }

    /// The decay of update `t` (from 0): `min(decay, (1 + t) / (10 + t))`, so that the start is forgotten.
    pub fn decay_at(&self, t: u64) -> f64 {
        let t = t as f64;
        self.decay.min((1.0 + t) / (10.0 + t))
    }

    /// Moves the average towards `model` as update `t` (from 0).
    pub fn update<M: Module>(&mut self, model: &M, t: u64) {
        self.blend(model, self.decay_at(t));
    }

    fn blend<M: Module>(&mut self, model: &M, decay: f64) {
        model.visit(&mut Blend {
            path: Vec::new(),
            averages: &mut self.averages,
            decay,
        });
    }

    /// `model` with the averages in place of its trainable parameters, without autodiff.
    pub fn model<M: Module>(&self, model: &M) -> M {
        model.valid().map(&mut Fill {
            path: Vec::new(),
            averages: &self.averages,
        })
    }

    /// The averages by parameter path.
    pub fn averages(&self) -> &BTreeMap<String, Tensor<1>> {
        &self.averages
    }

    /// Replaces the averages, for resuming.
    pub fn restore(&mut self, averages: BTreeMap<String, Tensor<1>>) {
        self.averages = averages;
    }
}

struct Blend<'a> {
    path: Vec<String>,
    averages: &'a mut BTreeMap<String, Tensor<1>>,
    decay: f64,
}

impl ModuleVisitor for Blend<'_> {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if !value.is_require_grad() {
            return;
        }
        let path = self.path.join(".");
        let count = value.shape().num_elements();
        let value = value.inner().reshape([count]);
        let average = match self.averages.remove(&path) {
            // p + d(a − p) is da + (1 − d)p, in the average's own buffer.
            Some(average) => average.sub(value.clone()).mul_scalar(self.decay).add(value),
            None => value,
        };
        self.averages.insert(path, average);
    }
}

struct Fill<'a> {
    path: Vec<String>,
    averages: &'a BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for Fill<'_> {
    follow_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.averages.get(&self.path.join(".")) {
            Some(average) => param.map(|value| average.clone().reshape(value.dims())),
            None => param,
        }
    }
}
