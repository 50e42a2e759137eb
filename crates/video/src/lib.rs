//! Video generation and control.

mod cards;
pub mod stiv;

/// Cards of the planned systems; [`stiv::CARD`] is the built one.
pub use cards::CARDS;
