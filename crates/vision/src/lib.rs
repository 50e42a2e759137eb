//! Vision backbones and multimodal models.

mod systems;

pub use systems::SYSTEMS;
