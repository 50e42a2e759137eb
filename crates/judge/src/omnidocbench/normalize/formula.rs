//! `normalized_formula`: formulas without their fonts, delimiters and spaces.

use super::bare_formula::bare_formula;
use super::styling::{Macros, without_calls, without_styling};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::python::strip;

/// The formula as it is matched and measured.
pub fn formula(text: &str, protocol: Protocol) -> String {
    if protocol >= Protocol::V1_6 {
        return bare_formula(text);
    }
    let mut body = text;
    if protocol == Protocol::V1_5 {
        body = strip(body).trim_matches('$').trim_matches('\n');
    }
    let mut text = in_brackets(body).map_or(body, strip).to_owned();
    let mut macros = Macros::of(&text);
    for open in ["\\tag{", "\\hspace{", "\\begin{", "\\end{", "\\arraycolsep"] {
        if macros.may_hold(open) && text.contains(open) {
            text = without_calls(&text, open);
            macros = Macros::of(&text);
        }
    }
    without_styling(text.trim_matches('.').to_owned(), protocol).to_lowercase()
}

/// What stands on one line between the first `\[` and the nearest `\]` that is not `\\]`, at least one character.
fn in_brackets(text: &str) -> Option<&str> {
    let mut at = 0;
    loop {
        let body = at + text[at..].find("\\[")? + 2;
        let line = text[body..]
            .find('\n')
            .map_or(text.len(), |length| body + length);
        let inner = &text[body..line];
        let close = inner
            .match_indices("\\]")
            .find(|&(close, _)| close > 0 && !inner[..close].ends_with('\\'));
        match close {
            Some((close, _)) => return Some(&inner[..close]),
            // A later `\[` on this line finds no more than this one.
            None => at = line,
        }
    }
}
