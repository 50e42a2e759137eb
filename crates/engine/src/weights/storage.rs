//! Loading linear layers and convolutions with reduced-precision weight storage.

use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use kernels::{QuantError, QuantMatrix};

use super::module::Plan;
use super::{KeyMap, Weights, WeightsError};
use crate::nn::{LowRank, WeightKind, WeightStorage};
use crate::ops::Bf16Matrix;

/// Values that have one scale.
const BLOCK: usize = 32;

/// What LoRAs add to the parameter at a path, of a shape.
pub type Changes<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<LowRank>, WeightsError> + 'a;

/// How [`load_with`] stores weights.
pub struct Loading<'a> {
    /// Data type of the weight at a path.
    pub kind: &'a dyn Fn(&str) -> WeightKind,
    /// What is added to weights.
    pub changes: &'a mut Changes<'a>,
}

/// [`super::load`] with the weights of [`crate::nn::Linear`] and [`crate::nn::Conv2d`] stored as `loading` says. One weight at a
/// time is in memory in f32.
///
/// Convolutions, and layers whose inputs are no multiple of 32, are stored in bf16 at most. Weights of linear layers that the file
/// has in quantised blocks stay as they are, whatever kind is asked for; what is added to them is computed beside them. A
/// reduced-precision weight gets no gradient.
///
/// # Errors
/// As [`super::load`], and those of `loading.changes`.
pub fn load_with<M: Module>(
    module: M,
    weights: &Weights,
    keys: &KeyMap,
    loading: Loading<'_>,
) -> Result<M, WeightsError> {
    Plan::whole(&module, weights, keys)?.carry_out(module, weights, Some(loading))
}

/// A layer whose weight may be stored otherwise than in f32.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Layer {
    Linear,
    Conv,
}

impl Layer {
    /// Whose field `name` is, in a struct that Burn calls `container`.
    pub(super) fn of(name: &str, container: &str) -> Option<Self> {
        match (name, container) {
            ("weight", "Struct:Linear") => Some(Self::Linear),
            ("weight", "Struct:Conv2d") => Some(Self::Conv),
            _ => None,
        }
    }

    /// The kind in which a weight of `shape` is stored where `kind` is asked for.
    fn kind(self, shape: &[usize], kind: WeightKind) -> WeightKind {
        let whole = shape.last().is_some_and(|size| size.is_multiple_of(BLOCK));
        match kind {
            WeightKind::Q8_0 if self == Self::Conv || !whole => WeightKind::Bf16,
            kind => kind,
        }
    }
}

/// What a parameter is filled with.
pub(super) enum Filling {
    Values(Vec<f32>),
    Stored(WeightStorage),
}

impl Loading<'_> {
    /// The weight called `name` in the file, for the parameter at `path`.
    pub(super) fn read(
        &mut self,
        weights: &Weights,
        name: &str,
        (path, layer): (&str, Option<Layer>),
        shape: &[usize],
    ) -> Result<Filling, WeightsError> {
        let changes = (self.changes)(path, shape)?;
        let broken = |error: QuantError| WeightsError::Content {
            name: name.to_owned(),
            reason: error.to_string(),
        };
        let size = [shape[0], shape[1..].iter().product()];
        let quant = |matrix: Result<QuantMatrix, QuantError>, changes: Vec<LowRank>| {
            let matrix = matrix.map_err(broken)?;
            Ok(Filling::Stored(WeightStorage::Quantised(
                Arc::new(matrix),
                changes.into(),
            )))
        };
        if layer == Some(Layer::Linear)
            && weights.shape(name) == Some(shape)
            && let Some((kind, bytes)) = weights.blocks(name)
        {
            return quant(QuantMatrix::from_gguf(kind, bytes, size), changes);
        }
        let mut values = weights.values(name)?;
        let kind = layer.map(|layer| layer.kind(shape, (self.kind)(path)));
        if kind == Some(WeightKind::Q8_0) {
            return quant(QuantMatrix::rounded(&values, size), changes);
        }
        LowRank::add(&changes, &mut values);
        Ok(match (kind, layer) {
            (Some(WeightKind::Bf16), Some(Layer::Linear)) => {
                let matrix = Bf16Matrix::new(&values, size);
                let matrix = matrix.map_err(|error| WeightsError::Content {
                    name: name.to_owned(),
                    reason: error.to_string(),
                })?;
                Filling::Stored(WeightStorage::Bf16(Arc::new(matrix)))
            }
            (Some(WeightKind::Bf16), _) => {
                let matrix = Bf16Matrix::unpacked(&values, size);
                Filling::Stored(WeightStorage::Bf16(Arc::new(matrix)))
            }
            _ => Filling::Values(values),
        })
    }
}

/// Bytes that the parameters of `module` take where [`load_with`] is asked for `kind`, about: what is packed is filled up a little.
pub fn loaded_bytes<M: Module>(module: &M, kind: &dyn Fn(&str) -> WeightKind) -> usize {
    let mut sizes = Sizes {
        path: Vec::new(),
        layer: None,
        kind,
        sum: 0,
    };
    module.visit(&mut sizes);
    sizes.sum
}

struct Sizes<'a> {
    path: Vec<String>,
    layer: Option<Layer>,
    kind: &'a dyn Fn(&str) -> WeightKind,
    sum: usize,
}

impl ModuleVisitor for Sizes<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.layer = Layer::of(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape();
        let count = shape.num_elements();
        let kind = self.layer.map_or(WeightKind::F32, |layer| {
            layer.kind(shape.as_slice(), (self.kind)(&self.path.join(".")))
        });
        self.sum += match kind {
            WeightKind::F32 => 4 * count,
            WeightKind::Bf16 => 2 * count,
            WeightKind::Q8_0 => count / BLOCK * 34,
        };
    }
}
