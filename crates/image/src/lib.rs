//! Picture and manga generation, editing and watermarking.

mod cards;

pub use cards::CARDS;
