//! A formula as a LaTeX document, a colour a token.

use crate::omnidocbench::cdm::colour::Coloured;

/// Colours are multiples of this, the first one not black.
const STEP: usize = 15;

/// Values of a colour's part.
const VALUES: usize = 255 / STEP + 1;

/// The colour of the token at `index`: red, green and blue. White, the last of all, has no token.
pub(super) fn colour(index: usize) -> [u8; 3] {
    let number = index + 1;
    [number / (VALUES * VALUES), number / VALUES, number].map(|part| (part % VALUES * STEP) as u8)
}

/// The document: 12 pt, display style, on a landscape page that is larger where there are more tokens.
pub(super) fn document(formula: &Coloured) -> String {
    let paper = match formula.visible.len() {
        1301.. => "a3paper",
        601.. => "a4paper",
        _ => "a5paper",
    };
    format!(
        "\\documentclass[12pt]{{article}}\n\
         \\usepackage[landscape,{paper},scale=0.98]{{geometry}}\n\
         \\usepackage{{amsmath,upgreek,amssymb,xcolor}}\n\
         {CHINESE}\
         \\pagestyle{{empty}}\n\
         \\begin{{document}}\n\\begin{{displaymath}}\n{}\n\\end{{displaymath}}\n\\end{{document}}\n",
        body(formula)
    )
}

/// Chinese in formulas, where package and a font are installed.
const CHINESE: &str = "\\IfFileExists{xeCJK.sty}{\\usepackage{xeCJK}\\xeCJKsetup{CJKmath=true}\n\
    \\IfFontExistsTF{Source Han Sans SC}{\\setCJKmainfont{Source Han Sans SC}}{\\IfFontExistsTF{Noto Sans CJK SC}\
    {\\setCJKmainfont{Noto Sans CJK SC}}{}}}{}\n";

/// The tokens, each visible one in its colour.
fn body(formula: &Coloured) -> String {
    let mut out = String::new();
    for token in &formula.tokens {
        if token.braced {
            out.push('{');
        }
        if let Some(index) = token.colour {
            let [red, green, blue] = colour(index);
            out.push_str(&format!("\\mathcolor[RGB]{{{red},{green},{blue}}}{{"));
        }
        out.push_str(&token.text);
        if token.colour.is_some() && token.alone {
            out.push_str(if token.braced { "}}" } else { "}" });
        }
        out.push(' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::colour;
    use crate::omnidocbench::cdm::{Formula, MAX_TOKENS};

    #[test]
    fn colours_differ_and_none_is_black_or_white() {
        let all: std::collections::BTreeSet<[u8; 3]> = (0..MAX_TOKENS).map(colour).collect();
        assert_eq!(all.len(), MAX_TOKENS);
        assert!(!all.contains(&[0; 3]) && !all.contains(&[255; 3]));
        assert_eq!((colour(0), colour(17)), ([0, 0, 15], [0, 15, 0]));
    }

    #[test]
    fn each_token_stands_in_its_colour() {
        let body = |latex: &str| {
            Formula::read(latex)
                .map(|formula| super::body(&formula.coloured))
                .unwrap_or_default()
        };
        assert!(
            body("x^2").contains("\\mathcolor[RGB]{0,0,15}{x} ^ { \\mathcolor[RGB]{0,0,30}{2} }")
        );
        let fraction = body("\\frac{a}{b}");
        assert!(
            fraction.contains("\\mathcolor[RGB]{0,0,15}{\\frac {"),
            "{fraction}"
        );
        assert_eq!(fraction.matches('{').count(), fraction.matches('}').count());
    }
}
