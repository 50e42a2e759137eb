//! Decoding, steering, guarding and speaking: systems around language models.

mod systems;

pub use systems::SYSTEMS;
