//! Values of a file as tensors on a device.

use base::fixtures::Case;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Weights, WeightsError};

/// Tensors out of a safetensors file.
pub trait ReadTensor {
    /// A float tensor of rank `D` on `device`; a scalar in the file counts as shape `[1]`.
    ///
    /// # Errors
    /// As [`Weights::values`], and [`WeightsError::Rank`] when the file's tensor has another rank.
    fn tensor<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Tensor<D>, WeightsError>;
}

impl ReadTensor for Weights {
    fn tensor<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Tensor<D>, WeightsError> {
        let values = self.values(name)?;
        let mut shape = self.shape(name).unwrap_or_default().to_vec();
        if shape.is_empty() {
            shape.push(1);
        }
        if shape.len() != D {
            return Err(WeightsError::Rank {
                origin: self.origin().to_owned(),
                name: name.to_owned(),
                shape,
                rank: D,
            });
        }
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

/// Tensors of a recorded case, for parity tests.
pub trait CaseTensor {
    /// The tensor called `name`. Panics when it is absent, holds no floats or is not of rank `D`.
    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D>;
}

impl CaseTensor for Case {
    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        self.weights()
            .tensor(name, device)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}
