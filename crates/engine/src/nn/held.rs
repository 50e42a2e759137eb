//! Weights that are held in fewer bits than f32, in the place of the parameters that they stand for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use burn::module::{Module, Param, Reparameterization, Reparameterizer};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::ops::{self, QuantMatrix, RoundedMatrix};

/// How weights are held in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightKind {
    /// 32-bit floats.
    #[default]
    F32,
    /// The upper halves of 32-bit floats.
    Bf16,
    /// Blocks of 32 values of 8 bits with one scale.
    #[serde(rename = "q8_0")]
    Q8_0,
}

impl WeightKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Q8_0];
}

impl fmt::Display for WeightKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
        })
    }
}

impl FromStr for WeightKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is unknown; give f32, bf16 or q8_0"))
    }
}

/// What a LoRA adds to a weight: `scale · up · down`.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `[rank, in]`.
    pub down: Tensor<2>,
    /// `[out, rank]`.
    pub up: Tensor<2>,
    /// By what the product is multiplied, as the file says.
    pub scale: f32,
    /// By what it is multiplied once more, as the user says.
    pub weight: f32,
}

impl LowRank {
    /// Adds all `changes` to a weight `[out, in]`.
    pub fn add(changes: &[Self], values: &mut [f32]) {
        let mut sum = vec![0.0; if changes.is_empty() { 0 } else { values.len() }];
        for change in changes {
            let delta = change.up.clone().matmul(change.down.clone()) * change.scale;
            for (sum, delta) in sum.iter_mut().zip(delta.into_data().iter::<f32>()) {
                *sum += change.weight * delta;
            }
        }
        for (value, sum) in values.iter_mut().zip(sum) {
            *value += sum;
        }
    }

    /// What it adds to a product, `[.., in]` → `[.., out]`.
    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let device = x.device();
        let low = ops::linear(x, self.down.clone().to_device(&device), None);
        let high = ops::linear(low, self.up.clone().to_device(&device), None);
        high * (self.scale * self.weight)
    }
}

/// A weight `[out, in..]` in fewer bits than f32. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Matrix {
    /// In bf16.
    Rounded(Arc<RoundedMatrix>),
    /// In blocks, and what LoRAs add to it.
    Quant(Arc<QuantMatrix>, Arc<[LowRank]>),
}

impl Matrix {
    /// The values in f32, with what is added to them.
    pub fn values(&self) -> Vec<f32> {
        match self {
            Self::Rounded(weight) => weight.values(),
            Self::Quant(weight, changes) => {
                let mut values = weight.dequantize();
                LowRank::add(changes, &mut values);
                values
            }
        }
    }

    /// `[.., in]` → `[.., out]`.
    fn linear<const D: usize>(&self, x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
        match self {
            Self::Rounded(weight) => ops::rounded_linear(x, weight, bias),
            Self::Quant(weight, changes) => {
                let y = ops::quant_linear(x.clone(), weight, bias);
                changes
                    .iter()
                    .fold(y, |y, change| y + change.forward(x.clone()))
            }
        }
    }

    /// The values as a tensor.
    fn tensor<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.values(), shape), device)
    }
}

/// What a layer reads in the place of a parameter's values. The parameter has the same values in f32, made when they are asked
/// for, such as by saving, and gets no gradient; other values given to it later are not seen by the layer.
#[derive(Module, Debug)]
pub struct Held {
    #[module(skip)]
    matrix: Matrix,
}

impl Reparameterization for Held {
    const NAME: &'static str = "held";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        base
    }
}

/// Attaches a [`Held`] to one parameter.
struct Attach(Option<Held>);

impl Reparameterizer for Attach {
    type Reparam = Held;

    fn reparameterize<const D: usize>(
        &mut self,
        _: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Held>) {
        (param, self.0.take())
    }
}

/// `param` with its values in `matrix`.
pub(crate) fn hold<const D: usize>(param: &Param<Tensor<D>>, matrix: Matrix) -> Param<Tensor<D>> {
    let shape = param.lazy_shape();
    let read = {
        let (matrix, shape) = (matrix.clone(), shape.dims());
        move |device: &Device, _: bool| matrix.tensor(shape, device)
    };
    Param::uninitialized(param.id, read, param.lazy_device(), false, shape)
        .apply_reparameterization(Attach(Some(Held { matrix })))
}

/// `x · weightᵀ + bias` where `weight` is held; none where it is dense.
pub(super) fn linear<const D: usize>(
    x: &Tensor<D>,
    weight: &Param<Tensor<2>>,
    bias: Option<Tensor<1>>,
) -> Option<Tensor<D>> {
    let held = weight.reparameterization::<Held>()?;
    Some(held.matrix.linear(x.clone(), bias))
}

/// The values of a weight, which do not stay in memory in f32 where they are held.
pub(super) fn tensor<const D: usize>(weight: &Param<Tensor<D>>) -> Tensor<D> {
    match weight.reparameterization::<Held>() {
        Some(held) => {
            let device = weight.lazy_device();
            held.matrix.tensor(weight.lazy_shape().dims(), &device)
        }
        None => weight.val(),
    }
}
