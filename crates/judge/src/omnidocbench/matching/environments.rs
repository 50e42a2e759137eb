//! Environments of several rows in a formula (v1.6): where they begin and end, and how they are parted at their rows.

use regex::Regex;

use crate::omnidocbench::normalize::regex;
use crate::omnidocbench::python::{is_space, strip};

regex!(
    BEGIN,
    r"^\\begin\{(?P<name>array|aligned|align|align\*|alignedat|alignedat\*|split|gather|gather\*|gathered|multline|multline\*|flalign|flalign\*|eqnarray|eqnarray\*|cases)\}\s*(?P<extra>(?:\{[^{}]*\}\s*)*)"
);
regex!(
    pub(super) NESTED,
    r"\\begin\{(?:array|aligned|align\*?|alignedat\*?|split|gathered?|multline\*?|flalign\*?|eqnarray\*?|cases)\}"
);

/// Whether a text holds what an expression says.
pub(super) fn matches(regex: Option<&Regex>, text: &str) -> bool {
    regex.is_some_and(|regex| regex.is_match(text))
}

/// An environment that a text begins with.
pub(super) struct Environment<'a> {
    pub name: &'a str,
    /// Its first argument: of an array the columns.
    pub columns: &'a str,
    /// What it holds.
    pub body: &'a str,
    /// What follows it.
    pub after: &'a str,
}

/// Whether a text begins with an environment of rows.
pub(super) fn begins(text: &str) -> bool {
    matches(BEGIN.as_ref(), text)
}

/// The environment of rows that a text begins with.
pub(super) fn environment(text: &str) -> Option<Environment<'_>> {
    let begin = BEGIN.as_ref()?.captures(text)?;
    let name = begin.name("name")?.as_str();
    let extra = begin.name("extra")?;
    let columns = extra
        .as_str()
        .strip_prefix('{')
        .and_then(|rest| rest.split('}').next());
    let [open, close] = ["begin", "end"].map(|what| format!("\\{what}{{{name}}}"));
    let mut depth = 1usize;
    let mut at = extra.end();
    let next_close = |at: usize| text[at..].find(&close).map(|offset| at + offset);
    let mut end = next_close(at)?;
    loop {
        if let Some(begin) = text[at..end].find(&open) {
            depth += 1;
            at += begin + open.len();
            continue;
        }
        depth -= 1;
        if depth == 0 {
            return Some(Environment {
                name,
                columns: columns.unwrap_or(""),
                body: &text[extra.end()..end],
                after: &text[end + close.len()..],
            });
        }
        at = end + close.len();
        end = next_close(at)?;
    }
}

/// Whether an odd number of backslashes stands before a byte.
pub(super) fn is_escaped(text: &str, at: usize) -> bool {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count()
        % 2
        == 1
}

/// The rows of a text, those of environments and groups in it apart; empty ones are left out.
pub(super) fn split_rows(text: &str) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = String::new();
    let (mut braces, mut environments, mut at) = (0usize, 0usize, 0);
    let mut keep = |row: &mut String| {
        if !strip(row).is_empty() {
            rows.push(strip(row).to_owned());
        }
        row.clear();
    };
    while let Some(found) = text[at..].find(['\\', '{', '}']).map(|offset| at + offset) {
        row.push_str(&text[at..found]);
        let rest = &text[found..];
        let tag = |name: &str| rest.starts_with(name).then(|| rest.find('}')).flatten();
        let (begin, end) = (tag("\\begin{"), tag("\\end{"));
        if let Some(close) = begin.or(end) {
            environments = match begin {
                Some(_) => environments + 1,
                None => environments.saturating_sub(1),
            };
            row.push_str(&rest[..=close]);
            at = found + close + 1;
        } else if rest.starts_with("\\\\") && braces == 0 && environments == 0 {
            keep(&mut row);
            at = text.len() - after_break(&rest[2..]).len();
        } else {
            // An escaped brace is printed, it groups nothing.
            match rest.as_bytes().first() {
                Some(b'{') if !is_escaped(text, found) => braces += 1,
                Some(b'}') if !is_escaped(text, found) => braces = braces.saturating_sub(1),
                _ => {}
            }
            row.push_str(&rest[..1]);
            at = found + 1;
        }
    }
    row.push_str(&text[at..]);
    keep(&mut row);
    rows
}

/// What follows the star and the space of a line break.
fn after_break(rest: &str) -> &str {
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix('*').unwrap_or(rest);
    match rest
        .strip_prefix('[')
        .and_then(|space| space.split_once(']'))
    {
        Some((_, after)) => after,
        None => rest,
    }
}

/// Without spacing commands at the end.
pub(super) fn without_space_at_end(text: &str) -> &str {
    const SPACES: [&str; 8] = ["\\qquad", "\\quad", "\\,", "\\;", "\\!", "\\>", "\\:", "~"];
    let mut text = text.trim_end_matches(is_space);
    while let Some(before) = SPACES.iter().find_map(|space| text.strip_suffix(space)) {
        text = before.trim_end_matches(is_space);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that the official code gave.
    #[test]
    fn rows_end_at_breaks_outside_of_groups_and_environments() {
        for (text, rows) in [
            (r"a \\[2pt] b \\* c", &["a", "b", "c"][..]),
            (
                r"{a \\ b} \\ \begin{cases} x \\ y \end{cases}",
                &[r"{a \\ b}", r"\begin{cases} x \\ y \end{cases}"],
            ),
            (r"\{a \\ b", &[r"\{a", "b"]),
        ] {
            assert_eq!(split_rows(text), rows, "{text}");
        }
    }
}
