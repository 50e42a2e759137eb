//! Everything that two systems share: tensors' operations and layers, diffusion, weights, training,
//! data, media, randomness and proofs. Domain crates build on this one and never on one another.

pub use burn;

pub mod bench;
pub mod card;
pub mod command;
pub mod data;
pub mod decode;
pub mod diffusion;
pub mod endpoint;
pub mod files;
pub mod fixtures;
pub mod hash;
pub mod media;
pub mod memory;
pub mod models;
pub mod nn;
pub mod numerics;
pub mod ops;
pub mod proof;
pub mod rng;
pub mod text;
pub mod train;
pub mod weights;
