//! What stands around formulas and beside them (v1.6): delimiters, numbers, circled characters.

use std::borrow::Cow;

use crate::omnidocbench::python::{is_space, strip};

/// A regular expression that is known to be one.
macro_rules! regex {
    ($vis:vis $name:ident, $pattern:expr) => {
        $vis static $name: std::sync::LazyLock<Option<::regex::Regex>> =
            std::sync::LazyLock::new(|| ::regex::Regex::new($pattern).ok());
    };
}
pub(crate) use regex;

/// Pairs of delimiters, in the order in which they are tried.
const PAIRS: [(&str, &str); 4] = [("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")];

/// A formula without the delimiters around it, however many.
pub fn without_delimiters(text: &str) -> &str {
    let mut text = strip(text);
    loop {
        let inner = PAIRS.iter().find_map(|(open, close)| {
            let inner = text.strip_prefix(open)?;
            inner.strip_suffix(close)
        });
        match inner {
            Some(inner) => text = strip(inner),
            None => return text,
        }
    }
}

/// A formula without `\tag{…}`, `\tag*{…}`, `\notag` and `\nonumber`; a `\tag{` that does not end loses its name.
pub fn without_tags(text: &str) -> String {
    const TAG: &str = "\\tag";
    if !text.contains(TAG) && !text.contains("\\no") {
        return text.to_owned();
    }
    let closes = closing(text);
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(start) = text[at..].find(TAG).map(|offset| at + offset) {
        let after = start + TAG.len();
        let open = group_after_star(text, after);
        match open.map(|open| closes[open]) {
            Some(Some(close)) => {
                kept.push_str(&text[at..start]);
                at = close + 1;
            }
            Some(None) => {
                kept.push_str(&text[at..start]);
                at = after;
            }
            None => {
                kept.push_str(&text[at..after]);
                at = after;
            }
        }
    }
    kept.push_str(&text[at..]);
    kept.replace("\\notag", "").replace("\\nonumber", "")
}

/// Where a group opens at `at`, after blanks and a star; `None` where there is none, or where a longer name goes on.
fn group_after_star(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    if rest.starts_with(char::is_alphabetic) {
        return None;
    }
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix('*').unwrap_or(rest);
    let rest = rest.trim_start_matches(is_space);
    rest.starts_with('{').then(|| text.len() - rest.len())
}

/// Without `NAME{…}` of a name that ends with its brace; the first that does not end keeps its braces, and ends the search.
pub fn without_groups(text: &str, name: &str) -> String {
    if !text.contains(name) {
        return text.to_owned();
    }
    let closes = closing(text);
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(start) = text[at..].find(name).map(|offset| at + offset) {
        kept.push_str(&text[at..start]);
        let open = start + name.len() - 1;
        at = match closes[open] {
            Some(close) => close + 1,
            None => {
                at = open;
                break;
            }
        };
    }
    kept.push_str(&text[at..]);
    kept
}

/// Of each byte that opens a group, the byte that closes it.
fn closing(text: &str) -> Vec<Option<usize>> {
    let mut closes = vec![None; text.len()];
    let mut open = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open.push(at),
            b'}' => {
                if let Some(begin) = open.pop() {
                    closes[begin] = Some(at);
                }
            }
            _ => {}
        }
    }
    closes
}

/// Circled numbers and letters, and `\textcircled{…}`, become what they circle.
pub fn without_circles(text: &str) -> Cow<'_, str> {
    regex!(CIRCLED, r"\\textcircled\s*\{\s*([^{}]+?)\s*\}");
    let text = match CIRCLED.as_ref().filter(|_| text.contains("\\textcircled")) {
        Some(circled) => circled.replace_all(text, "$1"),
        None => Cow::Borrowed(text),
    };
    let is_circled = |c: char| matches!(c, '①'..='⑳' | 'Ⓐ'..='ⓩ');
    if !text.contains(is_circled) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let letter = |from: char, base: u8| {
            let letter = u32::from(c) - u32::from(from) + u32::from(base);
            char::from_u32(letter).unwrap_or(c)
        };
        match c {
            '①'..='⑳' => {
                let number = u32::from(c) - u32::from('①') + 1;
                plain.push_str(&number.to_string());
            }
            'Ⓐ'..='Ⓩ' => plain.push(letter('Ⓐ', b'A')),
            'ⓐ'..='ⓩ' => plain.push(letter('ⓐ', b'a')),
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_go_layer_by_layer() {
        for (text, bare) in [
            ("$$ \\[ x \\] $$", "x"),
            ("$a$ b $c$", "a$ b $c"),
            ("$$", ""),
            ("$", "$"),
            ("\\(x\\]", "\\(x\\]"),
        ] {
            assert_eq!(without_delimiters(text), bare, "{text}");
        }
    }

    #[test]
    fn tags_go_with_what_they_hold() {
        for (text, bare) in [
            (r"a \tag{1{2}} b", "a  b"),
            (r"a\tag * {1}\notag", "a"),
            (r"\tagged{x} \tag{y", r"\tagged{x} {y"),
            (r"\tag{\tag{a}", "{"),
        ] {
            assert_eq!(without_tags(text), bare, "{text}");
        }
        assert_eq!(
            without_groups(r"\phantom{a{b}}c\phantom{d", r"\phantom{"),
            "c{d"
        );
    }

    #[test]
    fn circles_go() {
        assert_eq!(without_circles("①⑳Ⓐⓩ \\textcircled{ 3 }"), "120Az 3");
    }
}
