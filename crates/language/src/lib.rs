//! Decoding, steering, guarding and speaking: systems around language models.

#[cfg(feature = "guardian")]
pub mod guardian;
mod systems;

pub use systems::SYSTEMS;
