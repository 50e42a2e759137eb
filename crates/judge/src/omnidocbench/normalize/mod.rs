//! The text, formula and table forms that are matched and measured.

mod clean;
mod formula;

pub use clean::clean;
pub use formula::formula;
