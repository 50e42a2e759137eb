//! A small typesetter for maths: where TeX would put the ink of each token.
//!
//! It follows The TeXbook, appendix G, with the fonts of a 12 pt LaTeX document (Computer Modern, AMS, Latin Modern), and
//! looks up which pixels each character inks wholly at 200 dots per inch. Formulas stand alone on a landscape A5 page as in
//! the official rendering, because where a character falls between pixels decides which of them are full.

mod array;
mod atoms;
mod boxes;
mod build;
mod commands;
mod delimiter;
mod fonts;
mod fractions;
mod lex;
mod marks;
mod measured;
mod page;
mod style;
mod symbols;

use thiserror::Error;

use super::boxes::Drawing;
use super::colour::Coloured;
use build::{Builder, End};
use style::Style;

/// Why a formula could not be set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Too deeply nested.
    #[error("groups nest too deep")]
    Depth,
    /// No token left ink.
    #[error("nothing in it can be seen")]
    Blank,
    /// The name of an environment is not one word: TeX stops there.
    #[error("the name of an environment is not one word: XeLaTeX makes no page of it")]
    Environment,
    /// A command that LaTeX has and this typesetter has not: what it shows would be missing.
    #[error("the built-in renderer cannot draw `\\{0}`: use `--cdm-renderer xelatex`")]
    Command(String),
}

/// Sets a formula in display style.
///
/// # Errors
/// [`LayoutError`] where it nests too deep, shows nothing, or holds a command that cannot be drawn.
pub fn draw(formula: &Coloured) -> Result<Drawing, LayoutError> {
    let mut builder = Builder::new(lex::lex(formula));
    let mut set = builder.list(Style::DISPLAY, End::Group)?;
    if let Some(tag) = builder.tag.take() {
        page::add_tag(&mut set, tag);
    }
    page::draw(set, &formula.visible).ok_or(LayoutError::Blank)
}
