//! Decoding, steering, guarding and speaking: systems around language models.

#[cfg(feature = "frames")]
pub mod frames;
mod systems;

pub use systems::SYSTEMS;
