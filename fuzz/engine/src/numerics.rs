//! Numbers about numbers.

#[path = "../../../crates/engine/src/numerics/alphabet.rs"]
mod alphabet;
#[path = "../../../crates/engine/src/numerics/assignment.rs"]
mod assignment;
#[path = "../../../crates/engine/src/numerics/edit_table.rs"]
mod edit_table;
#[path = "../../../crates/engine/src/numerics/levenshtein.rs"]
mod levenshtein;
#[path = "../../../crates/engine/src/numerics/pattern.rs"]
mod pattern;

pub use alphabet::{Alphabet, Symbol};
pub use assignment::assign;
pub use edit_table::levenshtein_table;
pub use levenshtein::{levenshtein, levenshtein_numbered};
pub use pattern::Pattern;
