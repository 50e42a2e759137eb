//! The texts of cells as v1.6 compares them: signs in one form, no maths around simple texts.

use unicode_normalization::UnicodeNormalization;

use crate::omnidocbench::python::{is_space, strip};

/// Commands and what they become, in the order in which they are replaced, also within longer names.
const COMMANDS: [(&str, &str); 30] = [
    ("\\checkmark", "√"),
    ("\\checked", "√"),
    ("\\surd", "√"),
    ("\\times", "×"),
    ("\\xmark", "×"),
    ("\\crossmark", "×"),
    ("\\pm", "±"),
    ("\\mp", "∓"),
    ("\\alpha", "α"),
    ("\\beta", "β"),
    ("\\gamma", "γ"),
    ("\\gama", "γ"),
    ("\\mu", "μ"),
    ("\\lambda", "λ"),
    ("\\theta", "θ"),
    ("\\eta", "η"),
    ("\\pi", "π"),
    ("\\rho", "ρ"),
    ("\\sigma", "σ"),
    ("\\omega", "ω"),
    ("\\delta", "δ"),
    ("\\Delta", "Δ"),
    ("\\epsilon", "ε"),
    ("\\varepsilon", "ε"),
    ("\\phi", "φ"),
    ("\\varphi", "φ"),
    ("\\tau", "τ"),
    ("\\partial", "∂"),
    ("\\varnothing", "∅"),
    ("\\emptyset", "∅"),
];

/// What comes after [`COMMANDS`].
const SIGNS: [(&str, &str); 5] = [
    ("\\sim", "～"),
    ("\\%", "%"),
    ("\\#", "#"),
    ("\\&", "&"),
    ("\\_", "_"),
];

/// Pairs of delimiters that go.
const PAIRS: [(&str, &str); 4] = [("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")];

/// Longest text, in characters, that loses its delimiters.
const LONGEST: usize = 128;

/// A cell's text, or a part of it between tags.
pub(super) fn cell(text: &str) -> String {
    let text: String = text.nfkc().filter(|c| *c != '\u{200b}').collect();
    let text = signs(&text);
    let text = signs(without_delimiters(&text));
    match strip(&text) {
        "-" | "–" | "−" | "－" | "—" => "—".to_owned(),
        _ => {
            let words = text.split(is_space).filter(|word| !word.is_empty());
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Commands and look-alikes as one sign each.
fn signs(text: &str) -> String {
    let mut text = text.to_owned();
    let replace = |text: &mut String, table: &[(&str, &str)]| {
        for (piece, by) in table {
            if text.contains(piece) {
                *text = text.replace(piece, by);
            }
        }
    };
    if text.contains('\\') {
        replace(&mut text, &COMMANDS);
        replace(&mut text, &SIGNS[..1]);
    }
    let sign = |c| match c {
        '✓' | '✔' | '☑' | '✅' | '🗸' => '√',
        '✗' | '✘' | '✕' | '✖' | '☒' | '❌' | '╳' | '⨯' => '×',
        'Ø' => '∅',
        '∼' | '〜' => '～',
        c => c,
    };
    let mut text: String = text.chars().map(sign).collect();
    replace(&mut text, &SIGNS[1..]);
    text
}

/// A short text without the delimiters of maths around it, where nothing else in it looks like markup.
fn without_delimiters(text: &str) -> &str {
    let mut text = strip(text);
    loop {
        let inner = PAIRS.iter().find_map(|(open, close)| {
            let inner = strip(text.strip_prefix(open)?.strip_suffix(close)?);
            let plain = !inner.is_empty()
                && inner.chars().nth(LONGEST).is_none()
                && !inner.contains(['<', '>', '$']);
            plain.then_some(inner)
        });
        match inner {
            Some(inner) => text = inner,
            None => return text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    /// Values that the official code gave.
    #[test]
    fn texts_of_cells_have_one_form() {
        for (text, one) in [
            (" $ \\checkmark $ ", "√"),
            ("✗", "×"),
            ("–", "—"),
            ("a – b", "a – b"),
            ("$\\alpha$ and $\\beta$", "$α$ and $β$"),
            ("50\\%  \n x", "50% x"),
            ("\\(x\\)", "x"),
            ("½", "1⁄2"),
        ] {
            assert_eq!(cell(text), one, "{text}");
        }
    }
}
