//! Step 7: formulas between `$$`, `\[ \]`, `$` and `\( \)`.

use super::find::Finder;
use crate::omnidocbench::python::{is_space, strip_chars};
use crate::omnidocbench::{Element, Fine, Kind, Protocol};

/// A formula found, and whether it is taken out of the text.
pub struct Found {
    /// The formula as an element, rewritten to `\[…\]`.
    pub element: Element,
    /// Display formulas are taken out of the text, inline ones stay part of it.
    pub taken_out: bool,
}

/// Finds the next formula: the official alternatives in their order.
struct Delimiters<'a> {
    text: &'a [char],
    dollars: Finder<'a>,
    dollar: Finder<'a>,
    bracket: Option<Finder<'a>>,
    parenthesis: Finder<'a>,
}

/// Which alternative matched, with the body's start and end.
enum Body {
    Dollars(usize, usize),
    Brackets,
    Dollar(usize, usize),
    Parentheses(usize, usize),
}

impl<'a> Delimiters<'a> {
    fn new(text: &'a [char], with_brackets: bool) -> Self {
        Self {
            text,
            dollars: Finder::new(text, &['$', '$']),
            dollar: Finder::new(text, &['$']),
            bracket: with_brackets.then(|| Finder::new(text, &['\\', ']'])),
            parenthesis: Finder::new(text, &['\\', ')']),
        }
    }

    /// Start, end and body of the first formula at or after `from`.
    fn next(&mut self, from: usize) -> Option<(usize, usize, Body)> {
        let mut at = from;
        while let Some(&c) = self.text.get(at) {
            let following = self.text.get(at + 1);
            if c == '$' {
                if following == Some(&'$')
                    && let Some(end) = self.dollars.next(at + 2)
                {
                    return Some((at, end + 2, Body::Dollars(at + 2, end)));
                }
                if let Some(end) = self.dollar.next(at + 1) {
                    return Some((at, end + 1, Body::Dollar(at + 1, end)));
                }
            } else if c == '\\' && following == Some(&'[') {
                if let Some(end) = self.bracket.as_mut().and_then(|finder| finder.next(at + 2)) {
                    return Some((at, end + 2, Body::Brackets));
                }
            } else if c == '\\'
                && following == Some(&'(')
                && let Some(end) = self.parenthesis.next(at + 2)
            {
                return Some((at, end + 2, Body::Parentheses(at + 2, end)));
            }
            at += 1;
        }
        None
    }
}

/// All formulas of the text, in order.
pub fn formulas(text: &[char], protocol: Protocol) -> Vec<Found> {
    let mut delimiters = Delimiters::new(text, true);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((start, end, _)) = delimiters.next(at) {
        found.push(read(&text[start..end], [start, end], protocol));
        at = end;
    }
    found
}

fn read(matched: &[char], position: [usize; 2], protocol: Protocol) -> Found {
    let line: Vec<char> = match protocol {
        Protocol::V1_0 => matched.iter().copied().filter(|&c| !is_space(c)).collect(),
        Protocol::V1_5 | Protocol::V1_6 => strip_chars(matched)
            .iter()
            .map(|&c| if c == '\n' { ' ' } else { c })
            .collect(),
    };
    let (content, inline) = rewrite(&line);
    Found {
        element: Element {
            kind: Kind::EquationIsolated,
            position,
            content,
            fine: inline.then_some(Fine::EquationInline),
            language: None,
        },
        taken_out: !inline,
    }
}

/// Rewrites every dollar or parenthesis formula of a match to `\[…\]`. The first one decides what the match is, also when it
/// stands inside `\[…\]`; bodies of the other sort become empty (the official replacement names only one sort of body).
fn rewrite(line: &[char]) -> (String, bool) {
    let mut delimiters = Delimiters::new(line, false);
    let mut written = String::with_capacity(line.len());
    let mut inline = None;
    let mut at = 0;
    while let Some((start, end, body)) = delimiters.next(at) {
        let (double, from, to) = match body {
            Body::Dollars(from, to) => (true, from, to),
            Body::Dollar(from, to) | Body::Parentheses(from, to) => (false, from, to),
            Body::Brackets => (false, start, start),
        };
        let inline = *inline.get_or_insert(!double || from == to);
        written.extend(&line[at..start]);
        written.push_str("\\[");
        if double != inline {
            written.extend(&line[from..to]);
        }
        written.push_str("\\]");
        at = end;
    }
    written.extend(&line[at..]);
    (written, inline.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(text: &str) -> Vec<(String, bool)> {
        let text: Vec<char> = text.chars().collect();
        formulas(&text, Protocol::V1_5)
            .into_iter()
            .map(|found| (found.element.content, found.taken_out))
            .collect()
    }

    #[test]
    fn sorts_of_formulas() {
        assert_eq!(
            contents("$$a$$ \\[b\\] $c$ \\(d\\)"),
            [
                ("\\[a\\]".into(), true),
                ("\\[b\\]".into(), true),
                ("\\[c\\]".into(), false),
                ("\\[d\\]".into(), false)
            ]
        );
    }

    #[test]
    fn a_dollar_inside_brackets_makes_the_match_inline() {
        assert_eq!(
            contents("\\[a $b$ c\\]"),
            [("\\[a \\[b\\] c\\]".into(), false)]
        );
    }

    #[test]
    fn empty_and_lonely_dollars() {
        assert_eq!(contents("$$ a"), [("\\[\\]".into(), false)]);
        assert!(contents("costs $5").is_empty());
    }
}
