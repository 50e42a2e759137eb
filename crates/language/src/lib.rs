//! Decoding, steering, guarding and speaking: systems around language models.

mod cards;

pub use cards::CARDS;
