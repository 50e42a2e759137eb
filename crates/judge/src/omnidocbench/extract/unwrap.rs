//! Step 10: titles, sections and texts in LaTeX are replaced by what their braces hold.

use super::find::{Finder, find, find_char, line_end};
use crate::omnidocbench::python::{is_space, strip_chars};

/// Unwraps `\title{}`, `\text{}` and `\section{}` in the official order.
pub fn unwrap(text: Vec<char>) -> Vec<char> {
    if !text.contains(&'\\') {
        return text;
    }
    let text = on_one_line(text, "\\title", false);
    let text = across_lines(text, "\\title", Between::Blanks);
    let text = across_lines(text, "\\text", Between::Blanks);
    let text = on_one_line(text, "\\section", true);
    across_lines(text, "\\section", Between::Star)
}

/// What may stand between a macro and its brace.
#[derive(Clone, Copy, PartialEq)]
enum Between {
    Blanks,
    Star,
}

/// `MACRO{body}` on one line becomes `body`, untrimmed.
fn on_one_line(text: Vec<char>, name: &str, star: bool) -> Vec<char> {
    let name: Vec<char> = name.chars().collect();
    if find(&text, 0, &name).is_none() {
        return text;
    }
    let text = text.as_slice();
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(start) = find(text, at, &name) {
        let mut open = start + name.len();
        if star && text.get(open) == Some(&'*') {
            open += 1;
        }
        if text.get(open) != Some(&'{') {
            kept.extend_from_slice(&text[at..open]);
            at = open;
            continue;
        }
        let line = line_end(text, open);
        match find_char(text, open, line, '}') {
            Some(close) => {
                kept.extend_from_slice(&text[at..start]);
                kept.extend_from_slice(&text[open + 1..close]);
                at = close + 1;
            }
            // No brace closes on this line: none does for the macros that follow on it either.
            None => {
                kept.extend_from_slice(&text[at..line]);
                at = line;
            }
        }
    }
    kept.extend_from_slice(&text[at..]);
    kept
}

/// `MACRO { body }` over several lines becomes `body`, trimmed.
fn across_lines(text: Vec<char>, name: &str, between: Between) -> Vec<char> {
    let name: Vec<char> = name.chars().collect();
    if find(&text, 0, &name).is_none() {
        return text;
    }
    let text = text.as_slice();
    let mut closes = Finder::new(text, &['}']);
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(start) = find(text, at, &name) {
        let mut open = start + name.len();
        match between {
            Between::Blanks => open += text[open..].iter().take_while(|&&c| is_space(c)).count(),
            Between::Star => open += usize::from(text.get(open) == Some(&'*')),
        }
        let close = (text.get(open) == Some(&'{'))
            .then(|| closes.next(open + 1))
            .flatten();
        match close {
            Some(close) => {
                kept.extend_from_slice(&text[at..start]);
                kept.extend_from_slice(strip_chars(&text[open + 1..close]));
                at = close + 1;
            }
            None => {
                kept.extend_from_slice(&text[at..open]);
                at = open;
            }
        }
    }
    kept.extend_from_slice(&text[at..]);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_hold_what_stays() {
        for (given, wanted) in [
            ("\\title{A b}\\section*{ C }", "A b C "),
            ("\\text { x\n}y", "xy"),
            ("\\section{a\n b }", "a\n b"),
            ("\\textbf{x} \\title{open", "\\textbf{x} \\title{open"),
        ] {
            let unwrapped: String = unwrap(given.chars().collect()).iter().collect();
            assert_eq!(unwrapped, wanted, "{given:?}");
        }
    }
}
