//! Tokens of LaTeX maths, as KaTeX's early lexer reads them.

use super::TokenizeError;

/// What the text is read as: blanks vanish in maths and count in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Math,
    Text,
    Colour,
    Size,
}

/// One token and the byte where the next begins. An empty text is the end of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub text: String,
    pub end: usize,
}

impl Token {
    pub(super) fn is_end(&self) -> bool {
        self.text.is_empty()
    }
}

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\r' | '\n' | '\t')
}

/// Whether a bare character is a token of its own; control characters, line separators and private ones are not.
fn stands_alone(c: char) -> bool {
    matches!(c, '!'..='[' | ']'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{f900}'..='\u{ffff}')
        || u32::from(c) > 0xffff
}

/// The byte after the blanks (as JavaScript's `\s` knows them) that start at `at`.
pub(super) fn after_blanks(input: &str, at: usize) -> usize {
    let rest = input.get(at..).unwrap_or_default();
    at + rest.len()
        - rest
            .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
            .len()
}

/// The token of `input` at byte `at`.
pub(super) fn lex(input: &str, at: usize, mode: Mode) -> Result<Token, TokenizeError> {
    match mode {
        Mode::Math => symbol(input, at + leading_blanks(input, at)),
        Mode::Text => match leading_blanks(input, at) {
            0 => symbol(input, at),
            blanks => Ok(Token {
                text: " ".into(),
                end: at + blanks,
            }),
        },
        Mode::Colour => colour(input, after_blanks(input, at)),
        Mode::Size => size(input, after_blanks(input, at)),
    }
}

fn leading_blanks(input: &str, at: usize) -> usize {
    let rest = input.get(at..).unwrap_or_default();
    rest.len() - rest.trim_start_matches(blank).len()
}

fn symbol(input: &str, at: usize) -> Result<Token, TokenizeError> {
    let rest = input.get(at..).unwrap_or_default();
    let mut chars = rest.chars();
    let length = match chars.next() {
        None => 0,
        Some('\\') => {
            let letters = rest[1..]
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len() - 1);
            match (letters, chars.next()) {
                (0, Some(c)) if u32::from(c) <= 0xffff => 1 + c.len_utf8(),
                (0, _) => return Err(TokenizeError::Character('\\')),
                _ => 1 + letters,
            }
        }
        Some('-') if rest.starts_with("--") => {
            rest.len().min(3) - usize::from(!rest.starts_with("---") && rest.len() > 2)
        }
        Some(c) if stands_alone(c) => c.len_utf8(),
        Some(c) => return Err(TokenizeError::Character(c)),
    };
    Ok(Token {
        text: rest[..length].to_string(),
        end: at + length,
    })
}

fn colour(input: &str, at: usize) -> Result<Token, TokenizeError> {
    let rest = input.get(at..).unwrap_or_default();
    let word = |text: &str, digits: bool| {
        text.find(|c: char| !(c.is_ascii_alphabetic() || digits && c.is_ascii_digit()))
            .unwrap_or(text.len())
    };
    let length = match rest.strip_prefix('#') {
        Some(code) if word(code, true) > 0 => 1 + word(code, true),
        _ => word(rest, false),
    };
    match length {
        0 => Err(TokenizeError::Colour),
        _ => Ok(Token {
            text: rest[..length].to_string(),
            end: at + length,
        }),
    }
}

fn size(input: &str, at: usize) -> Result<Token, TokenizeError> {
    let rest = input.get(at..).unwrap_or_default();
    let Some((_, _, length)) = dimension(rest) else {
        return Err(TokenizeError::Size);
    };
    Ok(Token {
        text: rest[..length].to_string(),
        end: at + length,
    })
}

/// The number and unit at the start of `text`, such as `-1.5 ex`, and how many bytes they take.
pub(super) fn dimension(text: &str) -> Option<(f64, &str, usize)> {
    let digits = |at: usize| {
        text[at..]
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len() - at)
    };
    let negative = text.starts_with('-');
    let start = after_blanks(text, usize::from(negative));
    let whole = digits(start);
    let mut end = start + whole;
    if text[end..].starts_with('.') {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    let number: f64 = text[start..end].parse().ok()?;
    let unit = after_blanks(text, end);
    let name = text.get(unit..unit + 2)?;
    name.bytes().all(|b| b.is_ascii_lowercase()).then_some((
        if negative { 0.0 - number } else { number },
        name,
        unit + 2,
    ))
}
