//! Why a pair of formulas has no score.

use thiserror::Error;

use super::braces::BraceError;
use super::layout::LayoutError;
use super::xelatex::XelatexError;
use super::{MAX_CHARACTERS, MAX_TOKENS};

/// Which formula of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The parser's.
    Prediction,
    /// The annotated one.
    GroundTruth,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prediction => "predicted formula",
            Self::GroundTruth => "true formula",
        })
    }
}

/// A pair of formulas that cannot be scored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the {side} cannot be scored: {why}")]
pub struct CdmFailure {
    /// The formula that is to blame.
    pub side: Side,
    /// What is wrong with it.
    pub why: FormulaError,
}

/// What is wrong with a formula.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormulaError {
    /// Too long to be a formula.
    #[error("it has {0} characters; at most {MAX_CHARACTERS} are scored")]
    Long(usize),
    /// More tokens than colours.
    #[error("it has {0} visible tokens; at most {MAX_TOKENS} are scored")]
    Tokens(usize),
    /// A command without what it needs.
    #[error(transparent)]
    Brace(#[from] BraceError),
    /// It cannot be set.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// XeLaTeX drew nothing.
    #[error(transparent)]
    Xelatex(#[from] XelatexError),
}
