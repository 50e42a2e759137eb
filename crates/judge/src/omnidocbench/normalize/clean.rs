//! `clean_string`: the text that edit distances are measured on.

use crate::omnidocbench::python::is_word;

/// Deletes `\t`, `\n`, `/t` and `/n` as two characters, then everything but word characters.
///
/// The deletions run one after the other over the whole text, as in the official code, so that they may join characters to
/// new sequences; `km/t` loses its `/t`.
pub fn clean(text: &str) -> String {
    let kept = |c: &char| matches!(c, '\u{4e00}'..='\u{9fff}') || is_word(*c);
    if !text.bytes().any(|byte| matches!(byte, b'\\' | b'/')) {
        // Without these only tabs and line ends would be deleted first, which are no word characters anyway.
        let mut clean = String::with_capacity(text.len());
        clean.extend(text.chars().filter(kept));
        return clean;
    }
    let mut text = text.to_owned();
    for piece in ["\\t", "\\n", "\t", "\n", "/t", "/n"] {
        if text.contains(piece) {
            text = text.replace(piece, "");
        }
    }
    text.retain(|c| kept(&c));
    text
}
