//! Federated learning and reward learning.

mod cards;

pub use cards::CARDS;
