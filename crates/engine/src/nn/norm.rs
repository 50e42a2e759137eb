use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// The learned weight of an RMS norm, ones at the start.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[width]`.
    pub weight: Param<Tensor<1>>,
}

impl RmsNorm {
    /// A norm over `width` values.
    pub fn new(width: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_data(TensorData::ones::<f32, _>([width]), device),
        }
    }
}
