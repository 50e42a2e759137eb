//! Evaluation systems: document parsing, code models.

mod cards;
pub mod codearena;
pub mod omnidocbench;

pub use cards::CARDS;
