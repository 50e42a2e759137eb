//! Picture and manga generation, editing and watermarking.

mod systems;

pub use systems::SYSTEMS;
