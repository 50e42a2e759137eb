//! `normalized_formula`: formulas without their fonts, delimiters and spaces.

use super::bare_formula::bare_formula;
use crate::omnidocbench::Protocol;
use crate::omnidocbench::python::strip;

/// Deleted as plain text in this order; `\rightarrow` thus becomes `arrow`.
const DELETED: [&str; 34] = [
    "\\mathbf",
    "\\mathrm",
    "\\mathnormal",
    "\\mathit",
    "\\mathbb",
    "\\mathcal",
    "\\mathscr",
    "\\mathfrak",
    "\\mathsf",
    "\\mathtt",
    "\\textbf",
    "\\text",
    "\\boldmath",
    "\\boldsymbol",
    "\\operatorname",
    "\\bm",
    "\\symbfit",
    "\\mathbfcal",
    "\\symbf",
    "\\scriptscriptstyle",
    "\\notag",
    "\\setlength",
    "\\coloneqq",
    "\\space",
    "\\thickspace",
    "\\thinspace",
    "\\medspace",
    "\\nobreakspace",
    "\\negmedspace",
    "\\quad",
    "\\qquad",
    "\\enspace",
    "\\substackw",
    " ",
];

/// Deleted after [`DELETED`] since protocol 1.5.
const DELETED_SINCE_1_5: [&str; 5] = ["$$", "\\left", "\\right", "\\displaystyle", "\\text"];

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
    without_looks(text.trim_matches('.').to_owned(), protocol).to_lowercase()
}

/// Without fonts, spaces and sizes, each deleted as plain text.
pub(super) fn without_looks(mut text: String, protocol: Protocol) -> String {
    let since: &[&str] = match protocol {
        Protocol::V1_0 => &[],
        Protocol::V1_5 | Protocol::V1_6 => &DELETED_SINCE_1_5,
    };
    let mut macros = Macros::of(&text);
    for piece in DELETED.iter().chain(since) {
        if macros.may_hold(piece) && text.contains(piece) {
            text = text.replace(piece, "");
            macros = Macros::of(&text);
        }
    }
    text
}

/// Which letters follow a backslash somewhere in a text, a bit each: most macros are not there, and need no search.
struct Macros(u64);

impl Macros {
    fn of(text: &str) -> Self {
        let pairs = text.as_bytes().windows(2);
        let letters = pairs.filter(|pair| pair[0] == b'\\');
        Self(letters.fold(0, |all, pair| all | Self::bit(pair[1])))
    }

    fn bit(letter: u8) -> u64 {
        1 << (letter % 64)
    }

    /// Whether `piece` may stand in the text; `false` is certain.
    fn may_hold(&self, piece: &str) -> bool {
        match piece.as_bytes() {
            [b'\\', letter, ..] => self.0 & Self::bit(*letter) != 0,
            _ => true,
        }
    }
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

/// Without `OPEN…}` on one line.
pub(super) fn without_calls(text: &str, open: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(start) = text[at..].find(open).map(|offset| at + offset) {
        let body = start + open.len();
        match text[body..].find(['}', '\n']).map(|offset| body + offset) {
            Some(end) if text[end..].starts_with('}') => {
                kept.push_str(&text[at..start]);
                at = end + 1;
            }
            end => {
                let end = end.unwrap_or(text.len());
                kept.push_str(&text[at..end]);
                at = end;
            }
        }
    }
    kept.push_str(&text[at..]);
    kept
}
