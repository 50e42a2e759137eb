//! Vision backbones and multimodal models.

#[cfg(feature = "emov2")]
pub mod emov2;
mod systems;

pub use systems::SYSTEMS;
