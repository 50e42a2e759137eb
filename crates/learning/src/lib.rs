//! Federated learning and reward learning.

mod systems;

pub use systems::SYSTEMS;
