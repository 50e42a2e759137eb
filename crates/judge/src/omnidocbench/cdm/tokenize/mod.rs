//! LaTeX maths in one spelling, one blank between tokens: `x_i` → `x _ { i }`, `\dfrac` → `\frac`, `pmatrix` → `\left( array \right)`.
//!
//! The official code pipes the formula through im2markup's normaliser (MIT), a printer on top of an early KaTeX parser (MIT).
//! This is the same grammar, with its habits: unknown commands are letters, `%` starts a comment, a row needs a non-empty cell.

mod arguments;
mod clean;
mod environments;
mod functions;
mod lexer;
mod parser;
mod print;
mod tree;

use thiserror::Error;

use clean::{clean_formula, clean_table, name_operators, rename_environments, squeeze};
use parser::Parser;

/// Why a formula was not understood. The official code then goes on with the formula as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenizeError {
    /// Nothing came out.
    #[error("there is nothing in it")]
    Empty,
    /// A character that LaTeX does not read.
    #[error("the character {0:?} cannot be read here")]
    Character(char),
    /// `\color` without the name of one.
    #[error("a colour is missing")]
    Colour,
    /// A length that is none.
    #[error("a length such as `2pt` is missing")]
    Size,
    /// Groups within groups, too deep.
    #[error("groups nest deeper than {} levels", parser::MAX_DEPTH)]
    Depth,
    /// Something else than what must follow.
    #[error("`{found}` stands where `{wanted}` should")]
    Expected {
        /// What must follow.
        wanted: String,
        /// What does.
        found: String,
    },
    /// `\limits` after something that has none.
    #[error("`\\limits` needs an operator before it")]
    Limits,
    /// A command without its argument.
    #[error("`{0}` lacks its argument")]
    Argument(String),
    /// `\left` without a delimiter.
    #[error("`{0}` needs a delimiter")]
    Delimiter(String),
    /// An environment outside the grammar.
    #[error("the environment `{0}` is not known")]
    Environment(String),
    /// Two `\over` in one group.
    #[error("a group holds more than one `\\over`")]
    TwoInfix,
    /// Understood, but without a normal form.
    #[error("`{0}` has no normal form")]
    Unprintable(String),
}

/// The formula in normal spelling.
///
/// # Errors
/// [`TokenizeError`] where the grammar does not cover it.
pub fn tokenize(latex: &str) -> Result<String, TokenizeError> {
    let post = if latex.contains("tabular") {
        table(latex)?
    } else {
        formula(latex)?
    };
    match post.is_empty() {
        true => Err(TokenizeError::Empty),
        false => Ok(post),
    }
}

fn formula(latex: &str) -> Result<String, TokenizeError> {
    let renamed = rename_environments(latex);
    // A carriage return ends a line; each line is read alone and the last one counts.
    let line = last_line(&renamed).ok_or(TokenizeError::Empty)?;
    let (tree, _) = Parser::new(&clean_formula(line))?.parse()?;
    let mut printed = String::new();
    print::print_all(&tree, false, &mut printed)?;
    Ok(name_operators(&squeeze(&clean::without_first_label(
        &clean::dollars(&printed),
    ))))
}

fn table(latex: &str) -> Result<String, TokenizeError> {
    let cleaned = clean_table(latex);
    let (_, consumed) = Parser::new(&cleaned)?.parse()?;
    Ok(squeeze(&clean::without_first_label(&consumed)))
}

/// The last line, as a reader of standard input sees them.
fn last_line(text: &str) -> Option<&str> {
    let text = text
        .strip_suffix("\r\n")
        .or_else(|| text.strip_suffix(['\n', '\r', '\u{2028}', '\u{2029}']))
        .unwrap_or(text);
    text.rsplit(['\n', '\r', '\u{2028}', '\u{2029}'])
        .next()
        .filter(|_| !text.is_empty())
}
