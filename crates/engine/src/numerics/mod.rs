//! Numbers about numbers: statistics and distances, from libraries wherever one fits.

mod frechet;
pub mod statistics;

pub use frechet::{FrechetError, frechet};
