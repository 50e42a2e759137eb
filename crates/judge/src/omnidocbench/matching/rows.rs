//! Formulas of several rows become one formula a row (v1.6): which environments are taken apart, and which stay whole.

use super::environments::{
    Environment, NESTED, environment, is_escaped, matches, split_rows, without_space_at_end,
};
use crate::omnidocbench::normalize::{regex, without_delimiters, without_tags};
use crate::omnidocbench::python::{is_space, strip};

/// A row of a formula.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// What it says.
    pub content: String,
    /// Its first character in the formula, and its last.
    pub place: [usize; 2],
}

/// The rows of a formula; `None` where it stays whole.
pub(super) fn rows(formula: &str) -> Option<Vec<Row>> {
    if !formula.contains("\\\\") {
        return None;
    }
    let whole = strip(without_delimiters(formula));
    let (body, rest) = taken_apart(whole).unwrap_or_else(|| (whole, String::new()));
    let rest = strip(&rest);
    let start = characters(formula, formula.find(body).unwrap_or(0));
    // Where the rest ends: seen after the environment's end, as the official code looks for it.
    let rest_end = (!rest.is_empty())
        .then(|| {
            let body_end = formula.find(body)? + body.len();
            let end_tag = body_end + formula[body_end..].find("\\end{")?;
            let after = end_tag + formula[end_tag..].find('}')? + 1;
            let found = after + formula[after..].find(rest)?;
            Some(characters(formula, found + rest.len()))
        })
        .flatten();
    let mut rows = Vec::new();
    let (mut from, mut before, mut counted) = (0, 0, 0);
    for raw in split_rows(body) {
        let content = strip(&without_tags(&raw)).to_owned();
        if content.is_empty() {
            continue;
        }
        // Where the row's text is first seen again.
        let at = body[from..].find(&content).map_or(from, |at| from + at);
        before += characters(&body[counted..], at - counted);
        counted = at;
        let length = content.chars().count();
        from = forward(body, at, length);
        let first = start + before;
        rows.push(Row {
            place: [first, (first + length).saturating_sub(1)],
            content,
        });
    }
    if rows.len() < 2 {
        return None;
    }
    let rest = without_tags(rest);
    if let Some(last) = rows.last_mut() {
        if !strip(&rest).is_empty() {
            last.content = format!("{} {}", last.content, strip(&rest));
        }
        if let Some(end) = rest_end {
            last.place[1] = end.saturating_sub(1);
        }
    }
    Some(rows)
}

/// Characters before a byte.
fn characters(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |text| text.chars().count())
}

/// The byte that stands `length` characters after another; the text's end at most.
fn forward(text: &str, at: usize, length: usize) -> usize {
    let rest = text.get(at..).unwrap_or("");
    at + rest
        .char_indices()
        .nth(length)
        .map_or(rest.len(), |(at, _)| at)
}

/// The body of the environment that a formula is, and what follows it; `None` where there is none, or it stays whole.
fn taken_apart(formula: &str) -> Option<(&str, String)> {
    regex!(OPEN, r"^(?:\\left\s*\\\{|\\left\.)\s*");
    regex!(CLOSE, r"\s*\\right(?:\.|\\\})\s*$");
    let open = OPEN.as_ref()?.find(formula);
    let inner = formula.get(open.map_or(0, |open| open.end())..)?;
    let inner = inner.trim_start_matches(is_space);
    let close = CLOSE.as_ref()?.find(inner);
    let core = inner.get(..close.map_or(inner.len(), |close| close.start()))?;
    let core = if close.is_some() {
        core.trim_end_matches(is_space)
    } else {
        core
    };
    let found = environment(core)?;
    let rows = split_rows(found.body);
    if stays(&found, &rows, open.is_some() || close.is_some()) {
        return None;
    }
    let rest = without_labels(found.after);
    if split_rows(&rest).len() > 1 {
        return None;
    }
    Some((found.body, rest))
}

/// Whether an environment is one formula in spite of its rows.
fn stays(found: &Environment, rows: &[String], braced: bool) -> bool {
    let nested = || matches(NESTED.as_ref(), found.body);
    let rest = rows.get(1..).unwrap_or_default();
    match found.name {
        "cases" => !is_reasoning(found.body, rows),
        "aligned" | "align" | "align*" | "alignedat" | "alignedat*" => {
            let case = rest.iter().any(|row| is_case(row));
            (nested() && case)
                || (braced
                    && (nested()
                        || rows.iter().filter(|row| has_left_side(row)).count() >= 2
                        || rest.iter().any(|row| is_explained(row))
                        || case))
        }
        "array" => {
            let columns: String = found
                .columns
                .chars()
                .filter(|c| !is_space(*c) && *c != '|')
                .collect();
            let known = columns.chars().all(|c| matches!(c, 'l' | 'c' | 'r'));
            let split = match columns.len() {
                1 => known,
                2 => known && columns.contains(['l', 'r']),
                _ => false,
            };
            !split
                || (nested() && rest.iter().any(|row| is_case(row)))
                || (braced && columns.chars().all(|c| c == 'l') && rows.len() > 1)
        }
        _ => false,
    }
}

/// Whether rows of cases are steps of an argument.
fn is_reasoning(body: &str, rows: &[String]) -> bool {
    let Some((first, rest)) = rows.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return false;
    };
    !rows.iter().any(|row| cells(row).len() > 1)
        && matches(LOGIC.as_ref(), body)
        && (matches(NESTED.as_ref(), body)
            || rest.iter().any(|row| is_logic(row) || is_explained(row))
            || is_logic(first))
}

regex!(
    pub(super) LOGIC,
    r"\\(?:Rightarrow|Leftrightarrow|Longrightarrow|Longleftrightarrow|longrightarrow|longleftrightarrow|implies|therefore|because|uparrow|downarrow|Updownarrow|forall|exists)\b|单调|否定"
);

/// A row without the `&` that it begins with.
fn lead(row: &str) -> &str {
    row.trim_start_matches(|c| c == '&' || is_space(c))
}

fn is_logic(row: &str) -> bool {
    matches(LOGIC.as_ref(), lead(row))
}

fn is_case(row: &str) -> bool {
    regex!(
        CASE,
        r"^(?:\(?\d+\)?|\\(?:Rightarrow|Leftrightarrow|Longrightarrow|Longleftrightarrow|implies|therefore|uparrow|downarrow|Updownarrow|leftarrow|rightarrow))"
    );
    matches(CASE.as_ref(), strip(&without_tags(lead(row))))
}

fn is_explained(row: &str) -> bool {
    regex!(WORDS, r"\\(?:text|mathrm|operatorname)\s*\{");
    matches(WORDS.as_ref(), lead(row))
}

fn has_left_side(row: &str) -> bool {
    let cells = cells(row);
    cells.len() > 1
        && cells
            .first()
            .is_some_and(|cell| !strip(&without_tags(cell)).is_empty())
}

/// The cells of a row, those of environments in it apart.
pub(super) fn cells(row: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let (mut from, mut at, mut depth) = (0, 0, 0usize);
    while let Some(found) = row[at..].find(['\\', '&']).map(|offset| at + offset) {
        let rest = &row[found..];
        let tag = |name: &str| rest.starts_with(name).then(|| rest.find('}')).flatten();
        if let Some(end) = tag("\\begin{") {
            depth += 1;
            at = found + end + 1;
        } else if let Some(end) = tag("\\end{") {
            depth = depth.saturating_sub(1);
            at = found + end + 1;
        } else {
            if rest.starts_with('&') && depth == 0 && !is_escaped(row, found) {
                cells.push(&row[from..found]);
                from = found + 1;
            }
            at = found + 1;
        }
    }
    cells.push(&row[from..]);
    cells
}

/// What follows an environment, without labels and numbers at its end.
fn without_labels(after: &str) -> String {
    regex!(TAG, r"\\tag\*?\s*\{[^{}]*\}");
    regex!(LABEL, r"\\label\s*\{[^{}]*\}");
    let unlabelled = LABEL.as_ref().map(|label| label.replace_all(after, ""));
    let unlabelled = unlabelled.unwrap_or(after.into());
    let mut rest = unlabelled.as_ref();
    loop {
        rest = rest.trim_end_matches(is_space);
        let tag = TAG.as_ref().and_then(|tag| tag.find(rest));
        if let Some(tag) = tag.filter(|tag| tag.end() == rest.len()) {
            rest = without_space_at_end(&rest[..tag.start()]);
            continue;
        }
        let open = match rest.chars().next_back() {
            Some(')') => Some('('),
            Some(']') => Some('['),
            _ => None,
        };
        let Some(start) = open.and_then(|open| rest.rfind(open)) else {
            return rest.to_owned();
        };
        let number = strip(&rest[start + 1..rest.len() - 1]);
        if !is_number(number, &rest[..start]) {
            return rest.to_owned();
        }
        rest = without_space_at_end(&rest[..start]);
    }
}

/// Whether what stands in brackets is a formula's number: a space stands before it, and it is no short word.
fn is_number(label: &str, before: &str) -> bool {
    regex!(SPACE, r"(?:\\qquad|\\quad|\\,|\\;|\\!|\\>|\\:|~)+");
    regex!(NUMBER, r"^(?:[A-Za-z0-9.\-#]+|(?:\\[A-Za-z#]+)+)$");
    let near = before.char_indices().rev().nth(9).map_or(0, |(at, _)| at);
    let parted =
        before.is_empty() || before.ends_with(is_space) || matches(SPACE.as_ref(), &before[near..]);
    let word = label.len() <= 3 && label.bytes().all(|byte| byte.is_ascii_lowercase());
    parted && !word && matches(NUMBER.as_ref(), label)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that the official code gave.
    #[test]
    fn rows_are_taken_apart_where_they_are_formulas() {
        let found = |formula: &str| {
            let rows = rows(formula)?.into_iter();
            Some(rows.map(|row| (row.content, row.place)).collect::<Vec<_>>())
        };
        let row = |content: &str, place| (content.to_owned(), place);
        assert_eq!(
            found(r"\[\begin{aligned} a &= b \\ c &= d \tag{1} \end{aligned} \quad (2)\]"),
            Some(vec![row("a &= b", [18, 23]), row("c &= d", [28, 33])])
        );
        assert_eq!(
            found(r"\[ x \\ y \]"),
            Some(vec![row("x", [3, 3]), row("y", [8, 8])])
        );
        assert_eq!(
            found(r"\begin{gather} a \\ b \end{gather} = c"),
            Some(vec![row("a", [15, 15]), row("b = c", [20, 37])])
        );
        for whole in [
            r"\begin{cases} a \\ b \end{cases}",
            r"\begin{array}{cc} a & b \\ c & d \end{array}",
            r"\left\{\begin{aligned} a &= b \\ c &= d \end{aligned}\right.",
            r"\begin{pmatrix} a \\ b \end{pmatrix}",
            "x",
        ] {
            assert_eq!(found(whole), None, "{whole}");
        }
    }
}
