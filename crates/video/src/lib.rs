//! Video generation and control.

#[cfg(feature = "stiv")]
pub mod stiv;
mod systems;

pub use systems::SYSTEMS;
