//! HTML cut into tags and text as Python's `html.parser` cuts it.

use std::borrow::Cow;
use std::sync::LazyLock;

use html5gum::{Token as Html5, Tokenizer};
use regex::Regex;

use crate::omnidocbench::python::is_space;

/// Name, lower-case, and value of an attribute; the value of one that stands alone is empty.
pub(super) type Attribute<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A piece of HTML.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// `<name …>`; `closed` for `<name …/>`.
    Start {
        name: Cow<'a, str>,
        attributes: Vec<Attribute<'a>>,
        closed: bool,
    },
    /// `</name>`.
    End(Cow<'a, str>),
    /// Text, references resolved.
    Text(Cow<'a, str>),
    /// A comment, declaration or instruction, as it is written again.
    Other(Cow<'a, str>),
}

/// All pieces of a text.
pub(super) fn tokens(html: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = html;
    // What is not closed further on is not looked for again and again.
    let last_tag = html.rfind('>');
    let last_comment = comment_end().and_then(|end| end.find_iter(html).last());
    let last_comment = last_comment.map(|found| found.start());
    let last_section = section_end().filter(|_| html.contains("<!["));
    let last_section = last_section.and_then(|end| end.find_iter(html).last());
    let last_section = last_section.map(|found| found.start());
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find(['<', '&']).unwrap_or(rest.len()));
        if !text.is_empty() {
            out.push(Token::Text(text.into()));
        }
        rest = after;
        let Some(first) = rest.chars().next() else {
            break;
        };
        let at = html.len() - rest.len();
        let closes = last_tag.is_some_and(|last| last > at);
        let comment_closes = last_comment.is_some_and(|last| last > at);
        let found = match first {
            '&' => Some(reference(rest)),
            _ if !closes || (rest.starts_with("<!--") && !comment_closes) => None,
            _ if is_section(rest) && last_section.is_none_or(|last| last < at) => None,
            _ => markup(rest),
        };
        let (token, length) = found.unwrap_or_else(|| loose(rest, closes));
        rest = rest.get(length..).unwrap_or("");
        let raw = match &token {
            Some(Token::Start { name, closed, .. }) if !closed => raw_text(name, rest),
            _ => None,
        };
        out.extend(token);
        if let Some((text, after)) = raw {
            out.push(Token::Text(unescape(text)));
            rest = after;
        }
    }
    out
}

/// The text of a `script` or `style`, in which nothing is a tag but its end, and what follows; without an end the official
/// tool loses all that follows.
fn raw_text<'a>(name: &str, rest: &'a str) -> Option<(&'a str, &'a str)> {
    static ENDS: LazyLock<[Option<Regex>; 2]> = LazyLock::new(|| {
        ["script", "style"].map(|name| Regex::new(&format!(r"(?i)</\s*{name}\s*>")).ok())
    });
    let end = match name {
        "script" => ENDS[0].as_ref(),
        "style" => ENDS[1].as_ref(),
        _ => return None,
    };
    let found = end?.find(rest);
    Some(found.map_or(("", ""), |found| rest.split_at(found.start())))
}

/// What begins with `<` and ends nowhere is text: up to the next `>`, else before the next `<`.
fn loose(rest: &str, closes: bool) -> (Option<Token<'_>>, usize) {
    let after = rest.get(1..).unwrap_or("");
    let length = match closes {
        true => after.find('>').map_or(1, |end| end + 2),
        false => after.find('<').map_or(1, |next| next + 1),
    };
    let text = rest.get(..length).unwrap_or("");
    (Some(Token::Text(text.into())), length)
}

/// A tag, comment, declaration or instruction; `None` when it is not closed.
fn markup(rest: &str) -> Option<(Option<Token<'_>>, usize)> {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some(c) if c.is_ascii_alphabetic() => start(rest),
        Some('/') => end(rest),
        Some('!') => declaration(rest),
        Some('?') => {
            let close = rest.find('>')?;
            Some((Some(Token::Other(rest.get(..=close)?.into())), close + 1))
        }
        _ => Some((Some(Token::Text("<".into())), 1)),
    }
}

fn is_name_end(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\x0c' | ' ' | '/' | '>' | '\0')
}

/// A name in lower case.
fn lower(name: &str) -> Cow<'_, str> {
    match name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        true => name.into(),
        false => name.to_lowercase().into(),
    }
}

/// `<name attributes>`.
fn start(rest: &str) -> Option<(Option<Token<'_>>, usize)> {
    let name_end = rest.find(is_name_end)?;
    let name = lower(rest.get(1..name_end)?);
    let mut attributes: Vec<Attribute> = Vec::new();
    let mut at = name_end;
    loop {
        let here = rest.get(at..)?;
        let skipped = here.len() - here.trim_start_matches(is_space).len();
        at += skipped;
        let here = rest.get(at..)?;
        let first = here.chars().next()?;
        if first == '>' || here.starts_with("/>") {
            let length = at + if first == '>' { 1 } else { 2 };
            let token = Token::Start {
                name,
                attributes,
                closed: first != '>',
            };
            return Some((Some(token), length));
        }
        if first == '/' {
            at += 1;
            continue;
        }
        let Some((attribute, length)) = attribute(here)? else {
            // A quote without its partner: what was read so far is text.
            let text = rest.get(..at)?;
            return Some((Some(Token::Text(text.into())), at));
        };
        attributes.retain(|(known, _)| *known != attribute.0);
        attributes.push(attribute);
        at += length;
    }
}

/// `name`, `name=value`, `name="value"` and its length; the inner `None` when a quote is not closed, the outer one when
/// the text ends.
#[allow(clippy::option_option)]
fn attribute(here: &str) -> Option<Option<(Attribute<'_>, usize)>> {
    let first = here.chars().next()?.len_utf8();
    let rest = here.get(first..)?;
    let stop = |c: char| is_space(c) || matches!(c, '/' | '=' | '>');
    let name_end = first + rest.find(stop)?;
    let name = lower(here.get(..name_end)?);
    let after = here.get(name_end..)?;
    let value = after.trim_start_matches(is_space);
    let Some(value) = value.strip_prefix('=') else {
        return Some(Some(((name, "".into()), name_end)));
    };
    let value = value.trim_start_matches('=').trim_start_matches(is_space);
    let begin = here.len() - value.len();
    let quote = value.chars().next()?;
    if quote == '"' || quote == '\'' {
        let Some(length) = value.get(1..)?.find(quote) else {
            return Some(None);
        };
        let text = value.get(1..=length)?;
        return Some(Some(((name, unescape(text)), begin + length + 2)));
    }
    let length = value.find(|c: char| is_space(c) || c == '>')?;
    let text = value.get(..length)?;
    Some(Some(((name, unescape(text)), begin + length)))
}

/// `</name>`.
fn end(rest: &str) -> Option<(Option<Token<'_>>, usize)> {
    let close = rest.find('>')?;
    let inner = rest.get(2..close)?;
    let name = inner.trim_start_matches(is_space);
    let length = close + 1;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let token = (!inner.is_empty()).then(|| Token::Other(format!("<!--{inner}-->").into()));
        return Some((token, length));
    }
    let name_end = name.find(is_name_end).unwrap_or(name.len());
    let name = lower(name.get(..name_end)?);
    Some((Some(Token::End(name)), length))
}

/// The end of a comment: two dashes, blanks, an angle bracket. The pattern is constant, so that there is never none.
fn comment_end() -> Option<&'static Regex> {
    static END: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"--\s*>").ok());
    END.as_ref()
}

/// Whether a marked section of character data begins.
fn is_section(rest: &str) -> bool {
    let begin = rest.get(..9);
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case("<![cdata["))
}

/// The end of a marked section.
fn section_end() -> Option<&'static Regex> {
    static END: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\]\s*\]\s*>").ok());
    END.as_ref()
}

/// `<!-- … -->`, `<![CDATA[ … ]]>`, `<!doctype …>` and the like.
fn declaration(rest: &str) -> Option<(Option<Token<'_>>, usize)> {
    if let Some(comment) = rest.strip_prefix("<!--") {
        let end = comment_end()?.find(comment)?;
        let text = comment.get(..end.start())?;
        let text = format!("<!--{text}-->");
        return Some((Some(Token::Other(text.into())), 4 + end.end()));
    }
    if rest
        .get(..9)
        .is_some_and(|begin| begin.eq_ignore_ascii_case("<![cdata["))
    {
        let inner = rest.get(9..)?;
        let end = section_end()?.find(inner)?;
        let text = format!("<![CDATA[{}]]>", inner.get(..end.start())?);
        return Some((Some(Token::Other(text.into())), 9 + end.end()));
    }
    let close = rest.find('>')?;
    let inner = rest.get(2..close)?;
    let is_known = inner
        .get(..7)
        .is_some_and(|word| word.eq_ignore_ascii_case("doctype"));
    let text = match is_known {
        true => format!("<!{inner}>"),
        false => format!("<!--{inner}-->"),
    };
    Some((Some(Token::Other(text.into())), close + 1))
}

/// A character reference at the beginning of `rest`, or a bare `&`.
fn reference(rest: &str) -> (Option<Token<'_>>, usize) {
    let bare = || (Some(Token::Text("&".into())), 1);
    let after = rest.get(1..).unwrap_or("");
    let is_number = after.starts_with('#');
    let name = after.trim_start_matches('#');
    let hex = is_number && name.starts_with(['x', 'X']);
    let digits = if hex {
        name.get(1..).unwrap_or("")
    } else {
        name
    };
    let inside = |c: char| match (is_number, hex) {
        (true, true) => c.is_ascii_hexdigit(),
        (true, false) => c.is_ascii_digit(),
        _ => c.is_ascii_alphanumeric() || matches!(c, '-' | '.'),
    };
    let length = digits.find(|c| !inside(c)).unwrap_or(digits.len());
    let word = digits.get(..length).unwrap_or("");
    let valid = match is_number {
        true => !word.is_empty(),
        false => word.starts_with(|c: char| c.is_ascii_alphabetic()),
    };
    // At the very end of the text a reference is not taken for one.
    if !valid || digits.len() == length {
        return bare();
    }
    let mut used = rest.len() - digits.len() + length;
    if rest.get(used..).is_some_and(|left| left.starts_with(';')) {
        used += 1;
    }
    let text = match is_number {
        true => numbered(word, if hex { 16 } else { 10 }),
        false => {
            // Only whole names count; of `&lt0` the digit is a part of the name.
            let found = unescaped(&format!("&{word};"));
            match found.ends_with(';') && word != "semi" {
                true => format!("&{word}"),
                false => found,
            }
        }
    };
    (Some(Token::Text(text.into())), used)
}

/// The character of a number; below 256 that of Windows-1252.
fn numbered(digits: &str, radix: u32) -> String {
    const REPLACEMENT: &str = "\u{fffd}";
    match u32::from_str_radix(digits, radix) {
        Ok(code @ 0x80..=0x9f) => unescaped(&format!("&#{code};")),
        Ok(code) => char::from_u32(code).map_or(REPLACEMENT.to_owned(), String::from),
        Err(_) => REPLACEMENT.to_owned(),
    }
}

/// A text with all character references resolved.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    match text.contains('&') {
        true => unescaped(text).into(),
        false => text.into(),
    }
}

fn unescaped(text: &str) -> String {
    // Angle brackets would begin tags.
    let safe = text.replace('<', "&lt;");
    let mut out = String::new();
    for Ok(token) in Tokenizer::new(&safe) {
        if let Html5::String(piece) = token {
            out.push_str(&String::from_utf8_lossy(&piece));
        }
    }
    out
}
