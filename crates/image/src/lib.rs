//! Picture and manga generation, editing and watermarking.

#[cfg(feature = "acdit")]
pub mod acdit;
mod systems;
#[cfg(feature = "wind")]
pub mod wind;

pub use systems::SYSTEMS;
