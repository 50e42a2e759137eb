//! Maths to text as v1.6 has it: what hardly is LaTeX, or is broken, stays as it is.

use regex::Regex;

use super::delimiters::regex;
use super::latex_to_text;
use crate::omnidocbench::python::strip;

/// Longer LaTeX, in characters, is not read.
const LONGEST: usize = 8000;

/// Commands that make plain words maths.
const MATHS: [&str; 10] = [
    "\\frac", "\\sqrt", "\\left", "\\right", "\\begin", "\\end", "\\sum", "\\int", "\\alpha",
    "\\beta",
];

/// How often an expression occurs.
pub(crate) fn count(regex: Option<&Regex>, text: &str) -> usize {
    regex.map_or(0, |regex| regex.find_iter(text).count())
}

/// The text of a formula; where it has none, or is not read, the formula as it is.
pub fn safe_latex_to_text(latex: &str) -> String {
    let bare = strip(latex);
    if bare.is_empty() {
        return latex.to_owned();
    }
    if !bare.contains(['\\', '{', '}', '$']) {
        return bare.to_owned();
    }
    if is_prose(bare) || is_weak(bare) || is_broken(bare) {
        return latex.to_owned();
    }
    latex_to_text(bare).unwrap_or_else(|_| latex.to_owned())
}

fn words(text: &str) -> usize {
    regex!(WORD, "[A-Za-z]{3,}");
    count(WORD.as_ref(), text)
}

/// Whether it is words in all likelihood.
fn is_prose(text: &str) -> bool {
    regex!(SIGNAL, r"\\[A-Za-z]+|[_^{}$]|\\[\[\]()]\]|&|%|#");
    if text.chars().take(32).count() < 32
        || text.contains(['{', '}', '$', '^', '_'])
        || MATHS.iter().any(|name| text.contains(name))
    {
        return false;
    }
    count(SIGNAL.as_ref(), text) <= 2 && words(text) >= 6 && text.matches(' ').count() >= 5
}

/// Whether it holds no maths worth reading.
fn is_weak(text: &str) -> bool {
    regex!(COMMAND, r"\\[A-Za-z]+");
    if matches!(text, "\\" | "\\\\") {
        return true;
    }
    let commands = count(COMMAND.as_ref(), text);
    let signals = text.chars().filter(|c| "{}$^_=&%#".contains(*c)).count();
    let words = words(text);
    (text.ends_with('\\') && !text.ends_with("\\\\") && commands == 0)
        || (text.contains('\\') && commands == 0 && signals == 0)
        || (words >= 2 && commands == 0 && signals <= 1)
        || (words >= 4 && commands <= 1 && signals <= 2)
}

/// Whether braces, environments or delimiters do not fit together, or it is too long.
fn is_broken(text: &str) -> bool {
    regex!(LEFT, r"\\left\b");
    regex!(RIGHT, r"\\right\b");
    let occurs = |piece: &str| text.matches(piece).count();
    text.chars().nth(LONGEST).is_some()
        || !braces_fit(text)
        || !environments_fit(text)
        || count(LEFT.as_ref(), text) != count(RIGHT.as_ref(), text)
        || occurs("\\(") != occurs("\\)")
        || occurs("\\[") != occurs("\\]")
        || dollars(text) % 2 == 1
}

/// How many dollars no backslash stands before.
fn dollars(text: &str) -> usize {
    let found = text.match_indices('$');
    found.filter(|(at, _)| !text[..*at].ends_with('\\')).count()
}

fn braces_fit(text: &str) -> bool {
    let (mut depth, mut escaped) = (0usize, false);
    for c in text.chars() {
        if std::mem::take(&mut escaped) && "{}[]()".contains(c) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' if depth == 0 => return false,
            '}' => depth -= 1,
            _ => {}
        }
    }
    depth == 0
}

fn environments_fit(text: &str) -> bool {
    regex!(ENVIRONMENT, r"\\(begin|end)\{([^{}]+)\}");
    let mut open = Vec::new();
    let found = ENVIRONMENT
        .iter()
        .flat_map(|regex| regex.captures_iter(text));
    for (_, [what, name]) in found.map(|found| found.extract()) {
        match what {
            "begin" => open.push(name),
            _ if open.pop() == Some(name) => {}
            _ => return false,
        }
    }
    open.is_empty()
}

#[cfg(test)]
mod tests {
    use super::safe_latex_to_text;

    /// Values that the official code gave.
    #[test]
    fn what_is_broken_or_no_maths_stays() {
        for (latex, text) in [
            (r"\alpha^2", "α^2"),
            ("x^2 ", "x^2"),
            (r"\left( x", r"\left( x"),
            (r"{a\}", r"{a\}"),
            (r"\text{two words} x", "two words x"),
            (r"plain words with \_ here", r"plain words with \_ here"),
            (r"\begin{a}x\end{b}", r"\begin{a}x\end{b}"),
        ] {
            assert_eq!(safe_latex_to_text(latex), text, "{latex}");
        }
    }
}
