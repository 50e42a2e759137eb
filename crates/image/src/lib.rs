//! Image and manga generation, editing and watermarking.

#[cfg(feature = "acdit")]
pub mod acdit;
#[cfg(any(feature = "fiva", feature = "grape"))]
mod asked_model;
#[cfg(any(
    feature = "fiva",
    feature = "grape",
    feature = "lora-rar",
    feature = "sd",
    feature = "wind"
))]
mod base_model;
#[cfg(any(feature = "fiva", feature = "grape"))]
mod fit;
#[cfg(feature = "fiva")]
pub mod fiva;
#[cfg(feature = "grape")]
pub mod grape;
#[cfg(feature = "lora-rar")]
pub mod lora_rar;
#[cfg(feature = "sd")]
pub mod sd;
mod systems;
#[cfg(any(
    feature = "acdit",
    feature = "fiva",
    feature = "lora-rar",
    feature = "sd"
))]
mod training;
#[cfg(any(feature = "lora-rar", feature = "sd"))]
pub mod tuning;
#[cfg(feature = "wind")]
pub mod wind;

pub use systems::SYSTEMS;
