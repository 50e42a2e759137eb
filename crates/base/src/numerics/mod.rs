//! Numbers about numbers: statistics and distances, from libraries wherever one fits.

mod alphabet;
mod assignment;
mod edit_table;
mod frechet;
mod levenshtein;
mod pattern;
pub mod statistics;

pub use alphabet::{Alphabet, Symbol};
pub use assignment::assign;
pub use edit_table::levenshtein_table;
pub use frechet::{FrechetError, frechet};
pub use levenshtein::{levenshtein, levenshtein_numbered};
pub use pattern::Pattern;
