//! Federated learning and reward learning.

#[cfg(all(feature = "hyperfl", feature = "rapl"))]
pub mod bench;
#[cfg(any(feature = "hyperfl", feature = "rapl"))]
mod error;
#[cfg(feature = "hyperfl")]
pub mod hyperfl;
#[cfg(feature = "rapl")]
pub mod rapl;
mod systems;

pub use systems::SYSTEMS;
