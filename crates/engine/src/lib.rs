//! Everything that two networks share: tensor operations and layers, base networks, diffusion, weights, training, packs of
//! data. Domain crates build on this one and on `base`, never on one another.

pub use burn;
pub use device::device;
pub use error::SystemError;

pub mod bench;
pub mod data;
#[cfg(feature = "language")]
pub mod decode;
mod device;
pub mod diffusion;
mod error;
pub mod models;
pub mod nn;
pub mod ops;
#[cfg(feature = "text")]
pub mod text;
pub mod train;
pub mod weights;
