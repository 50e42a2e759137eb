//! Picture and manga generation, editing and watermarking.

#[cfg(feature = "acdit")]
pub mod acdit;
mod systems;

pub use systems::SYSTEMS;
