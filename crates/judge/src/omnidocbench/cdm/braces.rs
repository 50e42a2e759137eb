//! Braces: finding the one that closes another, and giving every command those around its arguments.

use thiserror::Error;

/// Commands with one argument that draw something themselves.
pub(super) const DRAWN_ONE: &[&str] = &[
    "\\widetilde",
    "\\overline",
    "\\hat",
    "\\widehat",
    "\\tilde",
    "\\Tilde",
    "\\dot",
    "\\bar",
    "\\vec",
    "\\underline",
    "\\underbrace",
    "\\check",
    "\\breve",
    "\\Bar",
    "\\Vec",
    "\\mathring",
    "\\ddot",
];
/// Commands with one argument that only style it.
pub(super) const STYLED_ONE: &[&str] = &[
    "\\boldsymbol",
    "\\pmb",
    "\\textbf",
    "\\mathrm",
    "\\mathbf",
    "\\mathbb",
    "\\mathcal",
    "\\textmd",
    "\\texttt",
    "\\textnormal",
    "\\text",
    "\\textit",
    "\\textup",
    "\\mathop",
    "\\mathbin",
    "\\smash",
    "\\operatorname",
    "\\textrm",
    "\\mathfrak",
    "\\emph",
    "\\textsf",
    "\\textsc",
];
/// Commands with two arguments that draw something themselves.
pub(super) const DRAWN_TWO: &[&str] = &["\\frac", "\\binom"];
/// Commands with two arguments that only place them.
pub(super) const PLACED_TWO: &[&str] = &["\\overset", "\\underset", "\\stackrel"];
/// Commands with an optional argument in brackets before the one in braces.
pub(super) const BRACKETED: &[&str] = &["\\xrightarrow", "\\xleftarrow", "\\sqrt"];

/// A command or group that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BraceError {
    /// A group without an end.
    #[error("a group that opens with `{0}` never closes")]
    Open(String),
    /// A command without its argument.
    #[error("`{0}` lacks its argument")]
    Argument(String),
}

/// Where the bracket that opens at `start` closes.
pub(super) fn close_of<T: AsRef<str>>(
    tokens: &[T],
    start: usize,
    (open, close): (&str, &str),
) -> Result<usize, BraceError> {
    let mut depth = 0_isize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        let token = token.as_ref();
        if token == open {
            depth += 1;
        } else if token == close {
            depth -= 1;
            if depth == 0 {
                return Ok(at);
            }
        }
    }
    match depth > 0 {
        true => Err(BraceError::Open(open.into())),
        false => Err(BraceError::Argument(open.into())),
    }
}

/// Gives every command the braces around its arguments.
pub(super) fn add_braces(text: &str) -> Result<String, BraceError> {
    let mut tokens: Vec<&str> = text.split(' ').collect();
    let one = |token: &str| DRAWN_ONE.contains(&token) || STYLED_ONE.contains(&token);
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        if one(token) {
            let mut argument = at + 1;
            while tokens.get(argument).copied().is_some_and(one) {
                argument += 1;
            }
            let count = argument - at;
            let first = *tokens
                .get(argument)
                .ok_or_else(|| BraceError::Argument(token.into()))?;
            let end = if first == "{" {
                close_of(&tokens, argument, ("{", "}"))?
            } else {
                argument
            };
            let inner = if first == "{" {
                &tokens[argument + 1..end]
            } else {
                &tokens[argument..=end]
            };
            let mut replaced = Vec::with_capacity(inner.len() + 3 * count);
            for &command in &tokens[at..argument] {
                replaced.extend([command, "{"]);
            }
            replaced.extend_from_slice(inner);
            replaced.extend(std::iter::repeat_n("}", count));
            tokens.splice(at..=end, replaced);
        } else if BRACKETED.contains(&token) {
            match tokens.get(at + 1) {
                Some(&"[") => {
                    let end = close_of(&tokens, at + 1, ("[", "]"))?;
                    brace(&mut tokens, end + 1, token)?;
                }
                _ => brace(&mut tokens, at + 1, token)?,
            }
        } else if DRAWN_TWO.contains(&token) || PLACED_TWO.contains(&token) {
            brace(&mut tokens, at + 1, token)?;
            let end = close_of(&tokens, at + 1, ("{", "}"))?;
            brace(&mut tokens, end + 1, token)?;
        }
        at += 1;
    }
    Ok(tokens.join(" "))
}

/// Puts braces around the token at `at` unless it opens a group.
fn brace(tokens: &mut Vec<&str>, at: usize, command: &str) -> Result<(), BraceError> {
    let token = *tokens
        .get(at)
        .ok_or_else(|| BraceError::Argument(command.into()))?;
    if token != "{" {
        tokens.splice(at..=at, ["{", token, "}"]);
    }
    Ok(())
}
