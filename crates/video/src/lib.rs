//! Video generation and control.

mod cards;
pub mod stiv;

pub use cards::CARDS;
