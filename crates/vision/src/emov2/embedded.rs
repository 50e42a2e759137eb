//! The classifier inside the program: the ten kinds of clothes of Fashion-MNIST. How it was made is in `assets/models/README.md`.

use base::tensor_file::{Weights, WeightsError};
use burn::tensor::Device;

use super::pipeline::Classifier;

const MODEL: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/models/emov2-fashion.safetensors"
));

/// Opens it; nothing is copied but into the model.
///
/// # Errors
/// When the program was built with a broken file.
pub fn classifier(device: &Device) -> Result<Classifier, WeightsError> {
    Classifier::from_weights(&Weights::from_bytes(MODEL)?, true, device)
}
