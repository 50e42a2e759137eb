//! Formulas without their font, size and spacing commands.

use crate::omnidocbench::Protocol;

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

/// Without fonts, spaces and sizes, each deleted as plain text.
pub(super) fn without_styling(mut text: String, protocol: Protocol) -> String {
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
pub(super) struct Macros(u64);

impl Macros {
    pub(super) fn of(text: &str) -> Self {
        let pairs = text.as_bytes().windows(2);
        let letters = pairs.filter(|pair| pair[0] == b'\\');
        Self(letters.fold(0, |all, pair| all | Self::bit(pair[1])))
    }

    fn bit(letter: u8) -> u64 {
        1 << (letter % 64)
    }

    /// Whether `piece` may stand in the text; `false` is certain.
    pub(super) fn may_hold(&self, piece: &str) -> bool {
        match piece.as_bytes() {
            [b'\\', letter, ..] => self.0 & Self::bit(*letter) != 0,
            _ => true,
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
