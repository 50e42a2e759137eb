//! Who draws formulas.

use super::failure::{CdmFailure, FormulaError, Side};
use super::formula::Formula;
use super::layout::{LayoutError, draw};
use super::score::{CdmScore, compare};
use super::tokenize::TokenizeError;
use super::xelatex::Xelatex;
use super::{Drawing, MAX_CHARACTERS, MAX_TOKENS};

/// Who draws formulas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Renderer {
    /// Our own typesetter: needs nothing, scores are close to the official ones.
    #[default]
    BuiltIn,
    /// XeLaTeX and a rasteriser, as in the official tool; about a second a formula.
    Xelatex(Xelatex),
}

impl Renderer {
    /// Its name: `built-in` or `xelatex`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Xelatex(_) => "xelatex",
        }
    }

    /// Reads and sets a formula.
    ///
    /// # Errors
    /// [`FormulaError`], which says why it cannot be scored.
    pub fn render(&self, latex: &str) -> Result<Drawing, FormulaError> {
        let characters = latex.chars().count();
        if characters > MAX_CHARACTERS {
            return Err(FormulaError::Long(characters));
        }
        let formula = Formula::read(latex)?;
        // What the tokeniser gives up on is set as it was written, except where it is too deep for that.
        if formula.problem == Some(TokenizeError::Depth) {
            return Err(FormulaError::Layout(LayoutError::Depth));
        }
        let visible = formula.coloured.visible.len();
        if visible > MAX_TOKENS {
            return Err(FormulaError::Tokens(visible));
        }
        match self {
            Self::BuiltIn => Ok(draw(&formula.coloured)?),
            Self::Xelatex(tools) => Ok(tools.draw(&formula.coloured)?),
        }
    }

    /// How well a predicted formula matches the true one.
    ///
    /// # Errors
    /// [`CdmFailure`] names the formula that cannot be scored, and why; the official code silently scores such a pair 0.
    pub fn score(&self, prediction: &str, ground_truth: &str) -> Result<CdmScore, CdmFailure> {
        let side = |side| move |why| CdmFailure { side, why };
        let truth = self.render(ground_truth).map_err(side(Side::GroundTruth))?;
        let given = self.render(prediction).map_err(side(Side::Prediction))?;
        Ok(compare(&truth, &given))
    }
}
