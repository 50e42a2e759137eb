//! Vision backbones and multimodal models.

mod cards;

pub use cards::CARDS;
