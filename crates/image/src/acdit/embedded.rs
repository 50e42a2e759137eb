//! The model inside the program: pictures of the ten kinds of clothes of Fashion-MNIST, four blocks each. How it was made is in
//! `assets/models/README.md`.

use burn::tensor::Device;
use engine::weights::{Weights, WeightsError};

use super::pipeline::AcditPipeline;

const MODEL: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/models/acdit-fashion.safetensors"
));

/// Opens it.
///
/// # Errors
/// When the program was built with a broken file.
pub fn pipeline(device: &Device) -> Result<AcditPipeline, WeightsError> {
    AcditPipeline::open(&Weights::from_bytes(MODEL)?, None, device)
}
