//! CDM: formulas compared by what they look like ("Image over Text", arXiv 2409.03643, as OmniDocBench runs it).
//!
//! A formula is brought to one spelling ([`tokenize`], [`normalize_latex`]), its visible tokens are told apart
//! ([`colour`]), and each gets the box of its ink on the page ([`draw`]). The boxes of two formulas are paired by token,
//! place and order ([`compare`]), pairs that no common shift and scale explains are rejected ([`consensus`]), and what is
//! left gives precision, recall and F1. The official code renders with XeLaTeX; here a small typesetter of our own does, or
//! XeLaTeX where it is installed ([`Renderer`]).

mod assign;
mod boxes;
mod braces;
mod colour;
mod consensus;
mod failure;
mod formula;
mod layout;
mod normalize;
mod renderer;
mod score;
mod tokenize;
mod xelatex;

pub use assign::Pair;
pub use boxes::{Drawing, TokenBox};
pub use braces::BraceError;
pub use colour::{Coloured, Painted, colour};
pub use consensus::{Point, consensus};
pub use failure::{CdmFailure, FormulaError, Side};
pub use formula::Formula;
pub use layout::{LayoutError, draw};
pub use normalize::normalize_latex;
pub use renderer::Renderer;
pub use score::{CdmScore, compare};
pub use tokenize::{TokenizeError, tokenize};
pub use xelatex::{MissingTool, Xelatex, XelatexError};

/// How many characters a formula may have: many times the longest of the benchmark.
pub const MAX_CHARACTERS: usize = 20_000;
/// How many visible tokens: the official code has no more colours.
pub const MAX_TOKENS: usize = 5_800;

/// Reads and sets a formula with the built-in typesetter.
///
/// # Errors
/// [`FormulaError`], which says why it cannot be scored.
pub fn render(latex: &str) -> Result<Drawing, FormulaError> {
    Renderer::BuiltIn.render(latex)
}

/// How well a predicted formula matches the true one, both drawn by the built-in typesetter.
///
/// # Errors
/// [`CdmFailure`] names the formula that cannot be scored, and why; the official code silently scores such a pair 0.
pub fn score(prediction: &str, ground_truth: &str) -> Result<CdmScore, CdmFailure> {
    Renderer::BuiltIn.score(prediction, ground_truth)
}
