//! Loading linear layers and convolutions with reduced-precision weight storage.

use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use kernels::QuantMatrix;

use super::module::Plan;
use super::{KeyMap, Weights, WeightsError};
use crate::nn::{LowRank, WeightKind, WeightStorage, store};
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

    /// `values` of `shape`, with `changes` added, where `kind` is asked for; or what is wrong with them.
    fn store(
        self,
        values: Vec<f32>,
        shape: &[usize],
        kind: WeightKind,
        changes: Vec<LowRank>,
    ) -> Result<Filling, String> {
        let kind = self.kind(shape, kind);
        if kind == WeightKind::Q8_0 {
            let matrix = QuantMatrix::rounded(&values, matrix(shape));
            let matrix = Arc::new(matrix.map_err(|error| error.to_string())?);
            let storage = WeightStorage::Quantised(matrix, changes.into());
            return Ok(Filling::Stored(storage));
        }
        let values = added(values, &changes);
        if kind == WeightKind::F32 {
            return Ok(Filling::Values(values));
        }
        let matrix = match (self, shape) {
            (Self::Conv, [output, input, kernel @ ..]) => {
                Bf16Matrix::conv(&values, [*output, *input, kernel.iter().product()])
            }
            _ => Bf16Matrix::new(&values, matrix(shape)),
        };
        let matrix = Arc::new(matrix.map_err(|error| error.to_string())?);
        Ok(Filling::Stored(WeightStorage::Bf16(matrix)))
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
        if layer == Some(Layer::Linear)
            && weights.shape(name) == Some(shape)
            && let Some((kind, bytes)) = weights.blocks(name)
        {
            let matrix = QuantMatrix::from_gguf(kind, bytes, matrix(shape));
            let matrix = Arc::new(matrix.map_err(|error| broken(name, &error))?);
            let storage = WeightStorage::Quantised(matrix, changes.into());
            return Ok(Filling::Stored(storage));
        }
        let values = weights.values(name)?;
        match layer {
            Some(layer) => layer.store(values, shape, (self.kind)(path), changes),
            None => Ok(Filling::Values(added(values, &changes))),
        }
        .map_err(|reason| broken(name, &reason))
    }
}

fn broken(name: &str, reason: &dyn std::fmt::Display) -> WeightsError {
    WeightsError::Content {
        name: name.to_owned(),
        reason: reason.to_string(),
    }
}

/// Rows and columns of a weight as a matrix.
fn matrix(shape: &[usize]) -> [usize; 2] {
    [shape[0], shape[1..].iter().product()]
}

fn added(mut values: Vec<f32>, changes: &[LowRank]) -> Vec<f32> {
    LowRank::add(changes, &mut values);
    values
}

/// `module` with the weights of [`crate::nn::Linear`] and [`crate::nn::Conv2d`] stored as `kind` says by their paths, as
/// [`load_with`] does. One lazy weight at a time is in memory in f32.
///
/// # Errors
/// [`WeightsError::Content`] when a weight cannot be stored so.
pub fn store_as<M: Module>(
    module: M,
    kind: &dyn Fn(&str) -> WeightKind,
) -> Result<M, WeightsError> {
    let mut storer = Storer {
        path: Vec::new(),
        layer: None,
        kind,
        error: None,
    };
    let module = module.map(&mut storer);
    storer.error.map_or(Ok(module), Err)
}

struct Storer<'a> {
    path: Vec<String>,
    layer: Option<Layer>,
    kind: &'a dyn Fn(&str) -> WeightKind,
    error: Option<WeightsError>,
}

impl ModuleMapper for Storer<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.layer = Layer::of(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Some(layer) = self.layer else {
            return param;
        };
        let (shape, kind) = (param.lazy_shape(), (self.kind)(&path));
        if kind == WeightKind::F32 {
            return param;
        }
        let values = param.clone().val().into_data().iter::<f32>().collect();
        match layer.store(values, shape.as_slice(), kind, Vec::new()) {
            Ok(Filling::Stored(storage)) => store(&param, storage),
            Ok(Filling::Values(_)) => param,
            Err(reason) => {
                self.error.get_or_insert(broken(&path, &reason));
                param
            }
        }
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
