//! Display formulas as v1.6 takes them: numbers and captions beside them become text, calculations in a row become several.

use super::rescue::one_line;
use crate::omnidocbench::normalize::{count, regex, safe_latex_to_text};
use crate::omnidocbench::python::{digit, is_space, strip};
use crate::omnidocbench::{Element, Fine, Kind};

const SPACE: &str = r"(?:\\qquad|\\quad|\\enspace|\\,|\\;|\\:)";

/// Delimiters that a formula may stand in.
const PAIRS: [(&str, &str); 4] = [("\\[", "\\]"), ("\\(", "\\)"), ("$$", "$$"), ("$", "$")];

regex!(
    NUMBER,
    &format!(
        r"^\s*(?P<number>\\left\(\s*[0-9IVXivx]+\s*\\right\)|\(\s*[0-9IVXivx]+\s*\))\s*(?:{SPACE}\s*)*"
    )
);
regex!(
    CAPTION,
    &format!(r"(?P<space>{SPACE}\s*)(?P<caption>\\text\s*\{{[^{{}}]*\}}\.?)\s*$")
);
regex!(
    REMARK,
    &format!(r"(?P<space>{SPACE}\s*)(?P<caption>\([^)]*[A-Za-z][^)]*\)\.?)\s*$")
);

/// The elements that a formula found in a page becomes, in the official order.
pub(super) fn elements(formula: Element) -> Vec<Element> {
    let mut beside = Vec::new();
    let mut formula = formula;
    if let Some(line) = one_line(&formula.content, usize::MAX / 4) {
        let (open, inner, close) = envelope(&line);
        let mut work = inner;
        if let Some(found) = NUMBER.as_ref().and_then(|number| number.captures(work)) {
            let number = found.name("number").map_or("", |number| number.as_str());
            let length = number.chars().count().max(1);
            let [begin, end] = formula.position;
            beside.extend(text(number, [begin, end.min(begin + length)]));
            work = strip(&work[found.get(0).map_or(0, |all| all.end())..]);
        }
        let mut captioned = false;
        while let Some((before, caption)) = caption(work) {
            let length = caption.chars().count().max(1);
            let [begin, end] = formula.position;
            beside.extend(text(caption, [begin.max(end.saturating_sub(length)), end]));
            work = before.trim_end_matches(is_space);
            captioned = true;
        }
        let changed = captioned || work.len() < inner.len();
        let work = if changed { without_spaces(work) } else { work };
        if changed {
            formula.content = match work.is_empty() {
                true => line.clone(),
                false => wrapped(open, work, close),
            };
        }
        if changed && work.is_empty() {
            beside.clear();
        }
    }
    let mut out = calculations(&formula);
    if out.is_empty() {
        out.push(formula);
    }
    out.extend(beside);
    out
}

/// A formula in one line with its delimiters apart.
fn envelope(line: &str) -> (&str, &str, &str) {
    let found = PAIRS.iter().find_map(|&(open, close)| {
        let inner = line.strip_prefix(open)?.strip_suffix(close)?;
        Some((open, strip(inner), close))
    });
    found.unwrap_or(("", line, ""))
}

fn wrapped(open: &str, inner: &str, close: &str) -> String {
    match open.is_empty() {
        true => inner.to_owned(),
        false => format!("{open} {inner} {close}"),
    }
}

/// What stands before the caption at a formula's end, and the caption.
fn caption(formula: &str) -> Option<(&str, &str)> {
    [CAPTION.as_ref(), REMARK.as_ref()]
        .into_iter()
        .find_map(|pattern| {
            let found = pattern?.captures(formula)?;
            let caption = strip(found.name("caption")?.as_str());
            let space = found.name("space")?.start();
            is_caption(caption).then(|| (&formula[..space], caption))
        })
}

/// Whether a piece of LaTeX is words more than maths.
fn is_caption(latex: &str) -> bool {
    regex!(WORD, "[A-Za-z]{2,}");
    regex!(MATHS, r"\\[A-Za-z]+|[=<>≤≥÷×±∑∫√_^{}]");
    let plain = plain(latex);
    let letters = plain.chars().filter(char::is_ascii_alphabetic).count();
    let digits = plain.chars().filter(|c| digit(*c).is_some()).count();
    let maths = count(MATHS.as_ref(), latex);
    let core = plain
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let core = strip(core.unwrap_or(&plain)).replace(' ', "");
    let numeral = |c: char| c.is_ascii_digit() || "IVXivx".contains(c);
    if plain.is_empty() || (!core.is_empty() && core.chars().all(numeral)) {
        return false;
    }
    (letters >= 10 && count(WORD.as_ref(), &plain) >= 2 && maths <= 6)
        || (letters >= 14 && digits == 0 && maths <= 3)
}

/// LaTeX as plain text, blanks joined.
fn plain(latex: &str) -> String {
    let text = safe_latex_to_text(strip(latex)).replace('\u{a0}', " ");
    one_line(&text, usize::MAX / 4).unwrap_or_default()
}

/// What stands beside a formula, as text.
fn text(latex: &str, position: [usize; 2]) -> Option<Element> {
    let content = plain(latex);
    (!content.is_empty()).then_some(Element {
        kind: Kind::TextAll,
        position,
        content,
        fine: Some(Fine::EquationCaption),
        language: None,
    })
}

/// Without spacing commands at the end.
fn without_spaces(formula: &str) -> &str {
    const SPACES: [&str; 6] = ["\\qquad", "\\quad", "\\enspace", "\\,", "\\;", "\\:"];
    let mut formula = strip(formula);
    while let Some(before) = SPACES.iter().find_map(|space| formula.strip_suffix(space)) {
        formula = strip(before);
    }
    formula
}

/// Calculations that stand in a row, parted by `\quad`, each as a formula; none where any part is no calculation.
fn calculations(formula: &Element) -> Vec<Element> {
    regex!(QUAD, r"\s*(?:\\qquad|\\quad)\s*");
    let Some(line) = one_line(&formula.content, usize::MAX / 4) else {
        return Vec::new();
    };
    let (open, inner, close) = envelope(&line);
    let Some(quad) = QUAD.as_ref().filter(|_| inner.contains("quad")) else {
        return Vec::new();
    };
    let parts = quad.split(inner).map(strip);
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.len() < 2 || !parts.iter().all(|part| is_calculation(part)) {
        return Vec::new();
    }
    let [begin, end] = formula.position;
    let each = ((end - begin).max(parts.len()) / parts.len()).max(1);
    let part = |(at, part): (usize, &&str)| {
        let start = begin + at * each;
        let end = match at + 1 == parts.len() {
            true => end,
            false => end.min(start + each),
        };
        Element {
            position: [start, end.max(start)],
            content: wrapped(open, part, close),
            ..formula.clone()
        }
    };
    parts.iter().enumerate().map(part).collect()
}

/// Whether a part calculates with numbers, and with nothing higher.
fn is_calculation(part: &str) -> bool {
    const RELATIONS: [&str; 8] = ["=", "\\approx", "≈", "\\neq", "≠", "\\leq", "≤", "\\geq"];
    regex!(
        HIGHER,
        r"\\(mathbf|left|right|cdot|lambda|Gamma|varGamma|text|matrix|pmatrix|bmatrix)"
    );
    regex!(FRACTION, r"\d+\s*/\s*\d+");
    if part.chars().nth(160).is_some()
        || part.contains("\\begin{")
        || part.contains("\\end{")
        || count(HIGHER.as_ref(), part) > 0
    {
        return false;
    }
    let digits = part.chars().filter(|c| digit(*c).is_some()).count();
    let fraction = part.contains("\\frac") || count(FRACTION.as_ref(), part) > 0;
    let relation = RELATIONS.iter().any(|sign| part.contains(sign)) || part.contains('≥');
    relation && (digits >= 2 || fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that the official code gave.
    #[test]
    fn what_stands_beside_a_formula_becomes_text() {
        let found = |content: &str| {
            let found = elements(Element {
                kind: Kind::EquationIsolated,
                position: [10, 10 + content.len()],
                content: content.to_owned(),
                fine: None,
                language: None,
            });
            let shown = found.into_iter().map(|e| (e.content, e.position));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(
            found(r"\[(12) \quad x=y \qquad \text{the law of Hooke}\]"),
            [
                ("\\[ x=y \\]".to_owned(), [10, 59]),
                ("(12)".to_owned(), [10, 14]),
                ("\\text{the law of Hooke}".to_owned(), [36, 59]),
            ]
        );
        assert_eq!(
            found(r"\[1+2=3 \quad 4/2=2\]"),
            [
                ("\\[ 1+2=3 \\]".to_owned(), [10, 20]),
                ("\\[ 4/2=2 \\]".to_owned(), [20, 31])
            ]
        );
        assert_eq!(found("\\[x  y\\]"), [("\\[x  y\\]".to_owned(), [10, 18])]);
    }
}
