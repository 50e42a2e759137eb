//! Federated learning and reward learning.

#[cfg(feature = "hyperfl")]
pub mod hyperfl;
mod systems;

pub use systems::SYSTEMS;
