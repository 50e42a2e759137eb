//! Formulas that a parser wrote as text, in cells or in pictures' descriptions (v1.6): guessed from what they hold.

use std::borrow::Cow;

use regex::Regex;

use crate::omnidocbench::normalize::{cell_texts, count, regex};
use crate::omnidocbench::python::{digit, is_space, strip};
use crate::omnidocbench::{Element, Fine, Kind};

/// Longest text, in characters, that may be a formula.
const LONGEST: usize = 220;
/// Longest text of a cell that may be one.
const LONGEST_CELL: usize = 120;

/// Signs that a text is a formula.
const SIGNS: &str = r"\\(?:frac|sqrt|sum|int|prod|times|div|square|cdots|left|right|approx|xrightarrow|rightarrow|longrightarrow)|[=<>≤≥≈÷×±∑∫√→^_□△…%/+\-]";
/// What is taken off before what is left of it is counted.
const MARKS: &str = r"\\[A-Za-z]+|[=<>≤≥÷×±∑∫√^_□△…%/()+\-]";
/// The four sorts of delimiters.
const DELIMITED: [&str; 4] = [
    r"(?s)\$\$(.*?)\$\$",
    r"(?s)\\\[(.*?)\\\]",
    r"(?s)\\\((.*?)\\\)",
    r"(?s)\$(.*?)\$",
];
/// Characters that become commands, and full-width brackets, in the order in which they are replaced.
const REPLACED: [(&str, &str); 16] = [
    ("……", " \\cdots \\cdots "),
    ("…", " \\cdots "),
    ("×", " \\times "),
    ("÷", " \\div "),
    ("≤", " \\leq "),
    ("≥", " \\geq "),
    ("≠", " \\neq "),
    ("≈", " \\approx "),
    ("□", " \\square "),
    ("△", " \\triangle "),
    ("（", "("),
    ("）", ")"),
    ("［", "["),
    ("］", "]"),
    ("｛", "{"),
    ("｝", "}"),
];
/// What the official code sets below an arrow when a text ends with it ("oxidation-reduction reaction").
const REACTION: &str = "氧化还原反应";

/// Words joined by single blanks; `None` of more than `most` characters.
pub(super) fn one_line(text: &str, most: usize) -> Option<String> {
    let mut line = String::new();
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        // Bytes are at most four a character: a text that is far too long is not copied.
        if line.len() > 4 * most {
            return None;
        }
    }
    line.chars().nth(most).is_none().then_some(line)
}

/// Without delimiters of maths; blanks take their places.
pub(super) fn undelimited(text: &str) -> String {
    static EACH: std::sync::LazyLock<Vec<Regex>> = std::sync::LazyLock::new(|| {
        let each = DELIMITED.iter().map(|pattern| Regex::new(pattern));
        each.filter_map(Result::ok).collect()
    });
    let mut text = Cow::Borrowed(text);
    for regex in EACH.iter() {
        if let Cow::Owned(bare) = regex.replace_all(&text, " $1 ") {
            text = Cow::Owned(bare);
        }
    }
    text.into_owned()
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| !is_space(*c)).collect()
}

/// Whether a text is like a formula.
fn is_like(text: &str) -> bool {
    regex!(SIGN, SIGNS);
    regex!(MARK, MARKS);
    regex!(WORD, "[A-Za-z]{4,}");
    regex!(INLINE, r"\$(.*?)\$|\\\((.*?)\\\)");
    regex!(DISPLAY, r"(?s)\$\$(.*?)\$\$|\\\[(.*?)\\\]");
    let Some(text) = one_line(text, LONGEST) else {
        return false;
    };
    let plain = undelimited(&text);
    let length = plain.chars().filter(|c| !is_space(*c)).count();
    if length == 0 {
        return false;
    }
    let signs = count(SIGN.as_ref(), &plain);
    let digits = plain.chars().filter(|c| digit(*c).is_some()).count();
    let delimited = count(INLINE.as_ref(), &text) + count(DISPLAY.as_ref(), &text);
    let chinese = plain
        .chars()
        .filter(|c| matches!(c, '\u{4e00}'..='\u{9fff}'))
        .count();
    let words = count(WORD.as_ref(), &plain);
    let rest = MARK.as_ref().map(|mark| mark.replace_all(&plain, " "));
    let rest = rest.unwrap_or_default();
    let rest = rest
        .chars()
        .filter(|c| !is_space(*c) && digit(*c).is_none())
        .count();
    let holds = |any: &[&str]| any.iter().any(|piece| plain.contains(piece));
    (delimited > 0 && rest <= 18 && signs >= 1)
        || (holds(&["□", "\\square"]) && signs >= 1 && words <= 1 && length <= 80)
        || (holds(&["\\xrightarrow", "\\longrightarrow", "→"]) && chinese <= 24 && length <= 120)
        || (signs >= 2 && digits >= 1 && words <= 2 && chinese <= 12 && length <= 100)
        || (signs >= 3 && words == 0 && chinese <= 18 && length <= 80)
}

/// The text as a display formula.
fn as_formula(text: &str) -> Option<String> {
    regex!(
        ARROW,
        r"^(?P<from>.*?)\\xrightarrow\s*\{(?P<label>[^{}]+)\}(?P<to>.*)"
    );
    let line = one_line(text, usize::MAX / 4)?;
    let mut text = undelimited(&line);
    for (piece, by) in REPLACED {
        if text.contains(piece) {
            text = text.replace(piece, by);
        }
    }
    if let Some(found) = ARROW.as_ref().and_then(|arrow| arrow.captures(&text)) {
        let part = |name: &str| found.name(name).map_or("", |part| strip(part.as_str()));
        let (from, mut label, to) = (part("from"), part("label").to_owned(), part("to"));
        if !label.is_empty() && !label.contains('\\') {
            label = format!("\\text{{{label}}}");
        }
        let arrow = format!("\\xrightarrow{{{label}}}");
        let reaction = match to.strip_suffix(REACTION) {
            Some(to) => format!("{from} \\underset{{{REACTION}}}{{{arrow}}} {}", strip(to)),
            None => format!("{from} {arrow} {to}"),
        };
        text = strip(&reaction).to_owned();
    }
    let text = one_line(&escaped(&text), usize::MAX / 4)?;
    if text.is_empty() {
        return None;
    }
    let whole = ["\\begin{", "$$", "\\["];
    match whole.iter().any(|open| text.starts_with(open)) {
        true => Some(text),
        false => Some(format!("\\[ {text} \\]")),
    }
}

/// `%` and `&` with a backslash before each.
fn escaped(text: &str) -> String {
    let mut before = ' ';
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '&') && before != '\\' {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// A text as a formula, where it is like one: one with an arrow is a display formula, any other a candidate for one.
pub(super) fn candidate(text: &str, position: [usize; 2], fine: Fine) -> Option<Element> {
    let content = Some(text)
        .filter(|text| is_like(text))
        .and_then(as_formula)?;
    let arrow = ["\\xrightarrow", "\\longrightarrow"];
    let kind = match arrow.iter().any(|arrow| content.contains(arrow)) {
        true => Kind::EquationIsolated,
        false => Kind::FormulaRescue,
    };
    Some(Element {
        kind,
        position,
        content,
        fine: Some(fine),
        language: None,
    })
}

/// The cells of a table that are like formulas; the first stands where the table does.
pub(super) fn of_cells(html: &str, table: usize) -> Vec<Element> {
    let mut at = table;
    let mut found = Vec::new();
    for text in cell_texts(html) {
        if !is_calculation(&text) {
            continue;
        }
        let Some(content) = as_formula(&text) else {
            continue;
        };
        let end = at + text.chars().count().max(1);
        found.push(Element {
            kind: Kind::EquationIsolated,
            position: [at, end],
            content,
            fine: Some(Fine::TableFormula),
            language: None,
        });
        at = end + 1;
    }
    found
}

/// Whether the text of a cell calculates with numbers.
fn is_calculation(text: &str) -> bool {
    const OPERATORS: [&str; 10] = [
        "=", "+", "-", "×", "÷", "/", "≈", "\\times", "\\div", "\\approx",
    ];
    regex!(FRACTION, r"\d+\s*/\s*\d+");
    if text.is_empty() || text.chars().nth(LONGEST_CELL).is_some() || !is_like(text) {
        return false;
    }
    let digits = text.chars().filter(|c| digit(*c).is_some()).count();
    let fraction = text.contains("\\frac") || count(FRACTION.as_ref(), text) > 0;
    OPERATORS.iter().any(|sign| text.contains(sign)) && (digits >= 2 || fraction)
}

/// Whether an inline formula is but a name or a number, which no display formula is.
pub(super) fn is_label(formula: &Element) -> bool {
    const MATHS: [&str; 24] = [
        "=",
        "<",
        ">",
        "≤",
        "≥",
        "≈",
        "≠",
        "^",
        "+",
        "-",
        "/",
        "\\cdot",
        "\\frac",
        "\\sqrt",
        "\\sum",
        "\\int",
        "\\times",
        "\\div",
        "\\approx",
        "\\neq",
        "\\leq",
        "\\geq",
        "\\xrightarrow",
        "\\longrightarrow",
    ];
    if formula.fine != Some(Fine::EquationInline) {
        return false;
    }
    let plain = undelimited(&formula.content);
    let label = bare(&plain);
    if ["\\xrightarrow", "\\longrightarrow"]
        .iter()
        .any(|arrow| label.starts_with(arrow))
    {
        return true;
    }
    if label.is_empty() || label.chars().nth(24).is_some() {
        return false;
    }
    let greek = |c: char| "ΓγλμνxyzuvwMNOabcABC.,-".contains(c) || c.is_ascii_digit() || c == '_';
    let latin = |c: char| c.is_ascii_alphanumeric() || "._,-".contains(c);
    !MATHS.iter().any(|sign| plain.contains(sign))
        && (label.chars().all(latin) || label.chars().all(greek))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that the official code gave.
    #[test]
    fn texts_like_formulas_become_formulas() {
        let content = |text: &str| candidate(text, [0, 1], Fine::TextFormula).map(|f| f.content);
        for (text, formula) in [
            ("3 × 4 = 12", Some("\\[ 3 \\times 4 = 12 \\]")),
            ("50% of $x=1$", Some("\\[ 50\\% of x=1 \\]")),
            ("Plain words say nothing", None),
            (
                "A \\xrightarrow{heat} B",
                Some("\\[ A \\xrightarrow{\\text{heat}} B \\]"),
            ),
        ] {
            assert_eq!(content(text).as_deref(), formula, "{text}");
        }
    }

    #[test]
    fn cells_that_calculate_are_formulas() {
        let found = of_cells("<table><tr><td>1+2=3</td><td>a+b</td></tr></table>", 7);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].content.as_str(), found[0].position),
            ("\\[ 1+2=3 \\]", [7, 12])
        );
    }
}
