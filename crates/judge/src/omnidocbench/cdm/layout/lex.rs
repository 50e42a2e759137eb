//! Coloured tokens as TeX reads them.

use super::super::colour::Coloured;

/// One token of TeX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tex {
    /// A command without its backslash.
    Command(String),
    Char(char),
    Open,
    Close,
    /// A token's colour begins; it groups nothing.
    Paint(usize),
    /// The last colour ends.
    Unpaint,
}

/// All tokens of a coloured formula; every `Close` has its `Open`.
pub(super) fn lex(formula: &Coloured) -> Vec<Tex> {
    let mut out = Vec::new();
    for token in &formula.tokens {
        if token.braced {
            out.push(Tex::Open);
        }
        if let Some(colour) = token.colour {
            out.push(Tex::Paint(colour));
        }
        split(&token.text, &mut out);
        if token.colour.is_some() && token.alone {
            out.push(Tex::Close);
            if token.braced {
                out.push(Tex::Close);
            }
        }
    }
    pair(out)
}

fn split(text: &str, out: &mut Vec<Tex>) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '\\' => {
                let word = &rest[1..];
                let letters = word
                    .find(|c: char| !c.is_ascii_alphabetic())
                    .unwrap_or(word.len());
                let name = if letters > 0 {
                    letters
                } else {
                    word.chars().next().map_or(0, char::len_utf8)
                };
                out.push(Tex::Command(word[..name].to_string()));
                length += name;
            }
            '{' => out.push(Tex::Open),
            '}' => out.push(Tex::Close),
            c if c.is_whitespace() || c == '$' => {}
            c => out.push(Tex::Char(c)),
        }
        rest = &rest[length..];
    }
}

/// Closing braces that end a colour become its end; those that close nothing vanish, open ones are closed at the end.
fn pair(tokens: Vec<Tex>) -> Vec<Tex> {
    let mut open = Vec::new();
    let mut out = Vec::with_capacity(tokens.len());
    for token in tokens {
        match token {
            Tex::Open => open.push(Tex::Close),
            Tex::Paint(_) => open.push(Tex::Unpaint),
            Tex::Close => match open.pop() {
                Some(end) => {
                    out.push(end);
                    continue;
                }
                None => continue,
            },
            _ => {}
        }
        out.push(token);
    }
    out.extend(open.into_iter().rev());
    out
}
