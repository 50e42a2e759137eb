//! `normalized_formula` of v1.6: besides fonts and spaces, tags, alignment and needless braces go.

use regex::Regex;

use super::delimiters::{regex, without_circles, without_delimiters, without_groups, without_tags};
use super::styling::{without_calls, without_styling};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::python::{is_space, strip};

/// Most rounds in which braces are taken off; each takes a level.
const ROUNDS: usize = 200;

/// What a group holds that loses its braces.
const OPERATORS: [&str; 10] = ["=", "+", "-", "\\\\", "^", "_", "[", "]", "(", ")"];

/// Plain texts that are replaced, in order.
const REPLACED: [(&str, &str); 5] = [
    ("\\mid", "|"),
    ("\\vert", "|"),
    ("\\{", ""),
    ("\\}", ""),
    ("~", ""),
];

/// The formula as it is matched and measured under v1.6.
pub fn bare_formula(text: &str) -> String {
    regex!(SPACES, r"\\[!,;:]");
    regex!(COLUMNS, r"\{[lcr| ]+\}");
    let text = without_circles(text);
    let text = without_tags(without_delimiters(&text));
    let text = in_delimiters(&text).map_or(text.as_str(), strip);
    let mut text = without(SPACES.as_ref(), &without_groups(text, "\\phantom{"));
    text = without_alignment(&text);
    for (piece, by) in REPLACED {
        text = text.replace(piece, by);
    }
    for open in ["\\hspace{", "\\begin{", "\\end{", "\\arraycolsep"] {
        if text.contains(open) {
            text = without_calls(&text, open);
        }
    }
    text = without(COLUMNS.as_ref(), &text);
    text = without_styling(text.trim_matches('.').to_owned(), Protocol::V1_6);
    text = without_braces(text).to_lowercase();
    text.retain(|c| !is_space(c));
    text
}

fn without(regex: Option<&Regex>, text: &str) -> String {
    regex.map_or_else(
        || text.to_owned(),
        |regex| regex.replace_all(text, "").into_owned(),
    )
}

/// Without `&`, unless a backslash stands before it.
fn without_alignment(text: &str) -> String {
    let mut before = ' ';
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '&' || before == '\\' {
            kept.push(c);
        }
        before = c;
    }
    kept
}

/// What stands on one line in the first `\[…\]` or `\(…\)` whose end no backslash stands before.
fn in_delimiters(text: &str) -> Option<&str> {
    text.split('\n').find_map(|line| {
        // What has no end on the line has none for a later beginning either.
        let (mut brackets, mut parentheses) = (true, true);
        let mut at = 0;
        while let Some(start) = line[at..].find('\\').map(|offset| at + offset) {
            let (close, may) = match line.as_bytes().get(start + 1) {
                Some(b'[') => ("\\]", &mut brackets),
                Some(b'(') => ("\\)", &mut parentheses),
                _ => {
                    at = start + 1;
                    continue;
                }
            };
            let inner = &line[start + 2..];
            let mut ends = inner.match_indices(close).filter(|_| *may);
            match ends.find(|&(end, _)| end > 0 && !inner[..end].ends_with('\\')) {
                Some((end, _)) => return Some(&inner[..end]),
                None => *may = false,
            }
            at = start + 1;
        }
        None
    })
}

/// Without braces around plain words, sums and relations, and with single braces in place of several.
fn without_braces(mut text: String) -> String {
    regex!(SIMPLE, r"\{([A-Za-z0-9.+\-]+)\}");
    regex!(OPEN, r"\{\{+");
    regex!(CLOSE, r"\}\}+");
    regex!(GROUP, r"\{([^{}]{1,160})\}");
    let (Some(simple), Some(open), Some(close), Some(group)) = (
        SIMPLE.as_ref(),
        OPEN.as_ref(),
        CLOSE.as_ref(),
        GROUP.as_ref(),
    ) else {
        return text;
    };
    for _ in 0..ROUNDS {
        let before = text.clone();
        text = simple.replace_all(&text, "$1").replace("{}", "");
        text = open.replace_all(&text, "{").into_owned();
        text = close.replace_all(&text, "}").into_owned();
        let bare = |found: &regex::Captures| {
            let inner = found.get(1).map_or("", |inner| inner.as_str());
            match OPERATORS.iter().any(|sign| inner.contains(sign)) {
                true => inner.to_owned(),
                false => found.get(0).map_or("", |whole| whole.as_str()).to_owned(),
            }
        };
        text = group.replace_all(&text, bare).into_owned();
        if text == before {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::bare_formula;

    /// Values that the official code gave.
    #[test]
    fn needless_marks_go() {
        for (formula, bare) in [
            (r"$$\frac{a}{b} \tag{1}$$", r"\fracab"),
            (
                r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
                r"a=b\\c=d",
            ),
            (r"\left\{ x \right\} \mid y", "x|y"),
            (
                r"\mathbf{x}_{i+1} \, \alpha_{\beta}",
                r"x_i+1\alpha_{\beta}",
            ),
            (r"① \sqrt{{{x}}}", r"1\sqrtx"),
        ] {
            assert_eq!(bare_formula(formula), bare, "{formula}");
        }
    }
}
