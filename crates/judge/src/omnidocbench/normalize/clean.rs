//! `clean_string`: the text that edit distances are measured on.

use super::delimiters::without_circles;
use crate::omnidocbench::Protocol;
use crate::omnidocbench::python::is_word;

/// Deletes `\t`, `\n`, `/t` and `/n` as two characters, then everything but word characters.
///
/// The deletions run one after the other over the whole text, as in the official code, so that they may join characters to
/// new sequences; `km/t` loses its `/t`. Since v1.6 circled numbers and letters count as plain ones.
pub fn clean(text: &str, protocol: Protocol) -> String {
    match protocol >= Protocol::V1_6 {
        true => cleaned(&without_circles(text)),
        false => cleaned(text),
    }
}

fn cleaned(text: &str) -> String {
    if !text.bytes().any(|byte| matches!(byte, b'\\' | b'/')) {
        // Without these only tabs and line ends would be deleted first, which are no word characters anyway.
        return words(text);
    }
    let mut text = text.to_owned();
    for piece in ["\\t", "\\n", "\t", "\n", "/t", "/n"] {
        if text.contains(piece) {
            text = text.replace(piece, "");
        }
    }
    words(&text)
}

/// The word characters of a text, and every character of the block of Chinese ones.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        // ASCII words are whole runs of bytes.
        let is_other = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'_';
        let word = rest.bytes().position(is_other).unwrap_or(rest.len());
        let (word, others) = rest.split_at(word);
        words.push_str(word);
        let mut others = others.chars();
        match others.next() {
            Some(c) if is_kept(c) => words.push(c),
            Some(_) => {}
            None => return words,
        }
        rest = others.as_str();
    }
}

fn is_kept(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}') || is_word(c)
}
