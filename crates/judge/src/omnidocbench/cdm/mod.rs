//! CDM: formulas compared by what they look like.

mod assign;
mod boxes;
mod braces;
mod colour;
mod consensus;
mod formula;
mod normalize;
mod score;
mod tokenize;

pub use assign::Pair;
pub use boxes::{Drawing, TokenBox};
pub use braces::BraceError;
pub use colour::{Coloured, Painted, colour};
pub use consensus::consensus;
pub use formula::Formula;
pub use normalize::normalize_latex;
pub use score::{CdmScore, compare};
pub use tokenize::{TokenizeError, tokenize};
