//! Cases that are steps of an argument (v1.6): they are compared as arrays.

use super::environments::{begins, environment, matches, split_rows};
use super::rows::{LOGIC, cells};
use crate::omnidocbench::python::{is_space, strip};

/// How deep environments may lie in one another to be looked into.
const DEPTH: usize = 64;

/// A formula whose cases are steps of an argument, with these as arrays behind a brace; `None` where there are none.
pub(super) fn with_arrays(formula: &str) -> Option<String> {
    match formula.contains("\\begin{cases}") {
        true => rewritten(formula, 0),
        false => None,
    }
}

fn rewritten(text: &str, depth: usize) -> Option<String> {
    if depth > DEPTH {
        return None;
    }
    const OPEN: &str = "\\begin{";
    let mut out = String::with_capacity(text.len());
    let (mut at, mut changed) = (0, false);
    while let Some(begin) = text[at..].find(OPEN).map(|offset| at + offset) {
        out.push_str(&text[at..begin]);
        at = begin;
        if !begins(&text[begin..]) {
            out.push_str(OPEN);
            at = begin + OPEN.len();
            continue;
        }
        let Some(found) = environment(&text[begin..]) else {
            break;
        };
        let body = rewritten(found.body, depth + 1);
        changed |= body.is_some();
        let body = body.as_deref().unwrap_or(found.body);
        let near = found.after.char_indices().nth(200);
        let near = &found.after[..near.map_or(found.after.len(), |(at, _)| at)];
        let end = text.len() - found.after.len();
        if found.name == "cases" && is_argument(body, near) {
            changed = true;
            out.push_str("\\left\\{ \\begin{array}{l} ");
            out.push_str(strip(body));
            out.push_str(" \\end{array} \\right.");
        } else {
            let close = end - "\\end{}".len() - found.name.len();
            let inner = close - found.body.len();
            out.push_str(&text[begin..inner]);
            out.push_str(body);
            out.push_str(&text[close..end]);
        }
        at = end;
    }
    out.push_str(&text[at..]);
    changed.then_some(out)
}

/// Whether cases are written as an array before they are compared: they are steps of an argument, or followed by rows.
fn is_argument(body: &str, after: &str) -> bool {
    let rows = split_rows(body);
    let after = after.trim_start_matches(is_space);
    let follows = begins(after);
    rows.len() > 1
        && !rows.iter().any(|row| cells(row).len() > 1)
        && (matches(LOGIC.as_ref(), body) || matches(LOGIC.as_ref(), after) || follows)
}

#[cfg(test)]
mod tests {
    use super::with_arrays;

    #[test]
    fn cases_that_argue_become_arrays() {
        assert_eq!(
            with_arrays(r"\begin{cases} a \\ \Rightarrow b \end{cases} x").as_deref(),
            Some(r"\left\{ \begin{array}{l} a \\ \Rightarrow b \end{array} \right. x")
        );
        assert_eq!(with_arrays(r"\begin{cases} a \\ b \end{cases}"), None);
        let deep = r"\begin{cases} a \\ ".repeat(10_000) + &r"\end{cases}".repeat(10_000);
        assert_eq!(with_arrays(&deep), None);
    }
}
