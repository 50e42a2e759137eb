//! Numbers about numbers.

#[path = "../../../crates/engine/src/numerics/assignment.rs"]
mod assignment;
#[path = "../../../crates/engine/src/numerics/edit_table.rs"]
mod edit_table;
#[path = "../../../crates/engine/src/numerics/levenshtein.rs"]
mod levenshtein;

pub use assignment::assign;
pub use edit_table::levenshtein_table;
pub use levenshtein::{Pattern, levenshtein};
