//! LaTeX to plain text with the default rules of pylatexenc 3.0a30 (MIT; its tables are under `assets/pylatexenc`).

mod alphabet;
mod parse;
mod render;
mod table;
mod token;

/// How deep groups, maths and environments may lie in one another. Python gives up at about 140 groups.
const MAX_DEPTH: usize = 128;

/// Why a piece of LaTeX has no text; the official code leaves such a piece as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Groups, maths or environments lie too deep in one another.
    #[error("the LaTeX nests more than {MAX_DEPTH} levels; flatten it")]
    TooDeep,
    /// A backslash ends the text.
    #[error("a backslash ends the LaTeX; remove it or name a macro")]
    LonelyBackslash,
    /// A matrix holds no cell.
    #[error("a matrix is empty; give it a cell or remove it")]
    EmptyMatrix,
    /// `\href` is read without its arguments.
    #[error("`\\href` has no text here; write its text alone")]
    NoArguments,
    /// Maths opens or closes where a macro's argument should stand.
    #[error(
        "a macro is followed by a maths delimiter in place of its argument; put braces around the argument"
    )]
    MathArgument,
}

/// The text of a piece of LaTeX.
///
/// # Errors
/// Where pylatexenc fails too: on endless nesting, a backslash at the end, an empty matrix, `\href`,
/// maths in place of an argument.
pub fn latex_to_text(latex: &str) -> Result<String, Error> {
    match parse::parse(latex)? {
        Some(nodes) => render::Renderer::default().nodes(&nodes, false),
        None => Ok(String::new()),
    }
}
