//! Numbers about numbers: statistics and distances, from libraries wherever one fits.

mod assignment;
mod edit_table;
mod frechet;
mod levenshtein;
pub mod statistics;

pub use assignment::assign;
pub use edit_table::levenshtein_table;
pub use frechet::{FrechetError, frechet};
pub use levenshtein::{Pattern, levenshtein};
