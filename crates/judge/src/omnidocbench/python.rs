//! What Python means by a blank and by a word character: the official numbers depend on both.

use unicode_normalization::char::is_combining_mark;

/// Whether `str.isspace` and `\s` hold: Rust's white space and the four ASCII separators U+001C to U+001F.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Whether `\w` holds: letters, everything with a numeric value, and the underscore, but no combining mark.
///
/// Rust's `is_alphanumeric` also holds for the marks and circled letters of the property `Other_Alphabetic`.
pub fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let circled = matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f149}' | '\u{1f150}'..='\u{1f169}' | '\u{1f170}'..='\u{1f189}');
    c.is_alphanumeric() && !is_combining_mark(c) && !circled
}

/// `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.strip()` on characters.
pub fn strip_chars(text: &[char]) -> &[char] {
    let start = text
        .iter()
        .position(|&c| !is_space(c))
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|&c| !is_space(c))
        .map_or(start, |last| last + 1);
    &text[start..end]
}

/// The zeros of all scripts' decimal digits (Unicode 15.1, category Nd); the other nine follow each.
const ZEROS: [u32; 68] = [
    0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6,
    0x0d66, 0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80,
    0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16a60,
    0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4d0,
    0x1e950, 0x1fbf0,
];

/// The value of a decimal digit of any script.
pub fn digit(c: char) -> Option<u32> {
    let below = ZEROS.partition_point(|zero| *zero <= u32::from(c));
    let value = u32::from(c) - ZEROS.get(below.checked_sub(1)?)?;
    (value < 10).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_no_word_characters_but_numbers_are() {
        for c in ['a', 'é', '中', '½', '²', '①', 'Ⅳ', '_', '٣'] {
            assert!(is_word(c), "{c:?}");
        }
        for c in ['\u{301}', '\u{903}', 'Ⓐ', '-', '，', ' '] {
            assert!(!is_word(c), "{c:?}");
        }
    }

    #[test]
    fn separators_are_blanks() {
        assert_eq!(strip("\u{1c}\u{3000} a b\u{85}\n"), "a b");
        assert!(
            !is_space('\u{200b}'),
            "the zero-width space is none in Python"
        );
    }
}
