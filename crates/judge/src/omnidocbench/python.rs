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
