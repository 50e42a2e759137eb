//! Federated learning and reward learning.

#[cfg(feature = "hyperfl")]
pub mod hyperfl;
#[cfg(feature = "rapl")]
pub mod rapl;
mod systems;

pub use systems::SYSTEMS;
