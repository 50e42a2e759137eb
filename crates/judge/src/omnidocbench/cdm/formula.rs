//! One formula on its way from LaTeX to coloured tokens.

use super::braces::BraceError;
use super::colour::{Coloured, colour};
use super::normalize::normalize_latex;
use super::tokenize::{TokenizeError, tokenize};

/// Stands for `\%` while `%` starts comments.
const PERCENT: &str = "<PERCENTAGETOKEN>";

/// The stages of one formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// Normal spelling; the formula itself where it was not understood.
    pub tokenized: String,
    /// Why it was not understood.
    pub problem: Option<TokenizeError>,
    /// Drawable tokens.
    pub normalized: String,
    /// The same with a colour for each visible token.
    pub coloured: Coloured,
}

impl Formula {
    /// Takes a formula apart.
    ///
    /// # Errors
    /// [`BraceError`] where a command lacks its argument.
    pub fn read(latex: &str) -> Result<Self, BraceError> {
        let latex = latex.replace('\n', " ").replace("\\%", PERCENT);
        let (tokenized, problem) = match tokenize(&latex) {
            Ok(tokens) => (tokens, None),
            Err(problem) => (latex, Some(problem)),
        };
        let tokenized = tokenized.replace("< P E R C E N T A G E T O K E N >", "\\%");
        let normalized = normalize_latex(&tokenized)?;
        let coloured = colour(&normalized)?;
        Ok(Self {
            tokenized,
            problem,
            normalized,
            coloured,
        })
    }
}
