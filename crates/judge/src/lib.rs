//! Evaluation systems: document parsing, code models.

#[cfg(feature = "codearena")]
pub mod codearena;
#[cfg(feature = "omnidocbench")]
pub mod omnidocbench;
mod systems;

pub use systems::SYSTEMS;
