//! Reduced-precision weight storage (bf16, quantised blocks) behind module parameters.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use burn::module::{Module, Param, Reparameterization, Reparameterizer};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::ops::{self, Bf16Matrix, QuantMatrix};

/// Data type of weights in memory.
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

/// The storage of a weight `[out, in..]` below f32 precision. Cheap to clone.
#[derive(Clone, Debug)]
pub enum WeightStorage {
    /// bf16.
    Bf16(Arc<Bf16Matrix>),
    /// Quantised blocks, and the LoRA deltas added to them.
    Quantised(Arc<QuantMatrix>, Arc<[LowRank]>),
}

impl WeightStorage {
    /// The values in f32, with what is added to them.
    pub fn values(&self) -> Vec<f32> {
        match self {
            Self::Bf16(weight) => weight.values(),
            Self::Quantised(weight, changes) => {
                let mut values = weight.dequantize();
                LowRank::add(changes, &mut values);
                values
            }
        }
    }

    /// `[.., in]` → `[.., out]`.
    fn linear<const D: usize>(&self, x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
        match self {
            Self::Bf16(weight) => ops::bf16_linear(x, weight, bias),
            Self::Quantised(weight, changes) => {
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
pub struct StoredWeight {
    #[module(skip)]
    storage: WeightStorage,
}

impl Reparameterization for StoredWeight {
    const NAME: &'static str = "stored";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        base
    }
}

/// Attaches a [`StoredWeight`] to one parameter.
struct Attach(Option<StoredWeight>);

impl Reparameterizer for Attach {
    type Reparam = StoredWeight;

    fn reparameterize<const D: usize>(
        &mut self,
        _: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<StoredWeight>) {
        (param, self.0.take())
    }
}

/// `param` with its values in `storage`.
pub(crate) fn store<const D: usize>(
    param: &Param<Tensor<D>>,
    storage: WeightStorage,
) -> Param<Tensor<D>> {
    let shape = param.lazy_shape();
    let read = {
        let (storage, shape) = (storage.clone(), shape.dims());
        move |device: &Device, _: bool| storage.tensor(shape, device)
    };
    Param::uninitialized(param.id, read, param.lazy_device(), false, shape)
        .apply_reparameterization(Attach(Some(StoredWeight { storage })))
}

/// `x · weightᵀ + bias` where `weight` is below f32 precision; none where it is f32.
pub(super) fn linear<const D: usize>(
    x: &Tensor<D>,
    weight: &Param<Tensor<2>>,
    bias: Option<Tensor<1>>,
) -> Option<Tensor<D>> {
    let stored = weight.reparameterization::<StoredWeight>()?;
    Some(stored.storage.linear(x.clone(), bias))
}

/// A convolution where `weight` is below f32 precision; none where it is f32.
pub(super) fn conv2d(
    x: &Tensor<4>,
    weight: &Param<Tensor<4>>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Option<Tensor<4>> {
    let stored = weight.reparameterization::<StoredWeight>()?;
    let shape = weight.lazy_shape().dims();
    Some(match &stored.storage {
        WeightStorage::Bf16(weight) => ops::bf16_conv2d(x.clone(), weight, shape, bias, options),
        storage => {
            let weight = storage.tensor(shape, &x.device());
            ops::conv2d(x.clone(), weight, bias, options)
        }
    })
}
