//! Evaluation systems: document parsing, code models.

mod cards;

pub use cards::CARDS;
