//! Decoding, steering, guarding and speaking: systems around language models.

#[cfg(feature = "harp")]
pub mod harp;
mod systems;

pub use systems::SYSTEMS;
