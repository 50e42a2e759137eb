//! HTML read as libxml2 2.9 reads it, which the official requirements pin: an older way to cut tags and text, before
//! HTML 5's; the tree is built by the same rules.

use super::build::{Builder, NAME, Start};
use crate::omnidocbench::normalize::unescape;

/// Entities of HTML 4, which alone are known, and only with their semicolons.
const ENTITIES: &str = include_str!("entities.txt");

/// Bytes after which text is handed on.
const TEXT: usize = 1000;

/// A document that is being read.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// White space of HTML.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether XML allows a character.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':')
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_' | b'.')
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn byte(&self, offset: usize) -> u8 {
        let byte = self.text.as_bytes().get(self.at + offset);
        byte.copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        while is_blank(self.byte(0)) {
            self.at += 1;
        }
    }

    /// Goes on to the next byte for which `stops`, or to the end.
    fn skip_to(&mut self, stops: impl Fn(u8) -> bool) {
        let found = self.rest().bytes().position(stops);
        self.at += found.unwrap_or(self.rest().len());
    }

    /// Reads all of it.
    pub(super) fn read(mut self, builder: &mut Builder) {
        self.skip_blanks();
        while self.at < self.text.len() && !builder.halted {
            let raw = builder
                .current()
                .filter(|name| matches!(*name, "script" | "style"));
            match (self.byte(0), self.byte(1)) {
                (b'<', b'/') => self.end(builder),
                _ if raw.is_some() => self.script(builder),
                (b'<', b'!') if self.is_doctype() => self.skip_past('>'),
                (b'<', b'!') if self.rest().starts_with("<!--") => self.comment(),
                (b'<', b'?') => self.instruction(),
                (b'<', next) if next.is_ascii_alphabetic() => self.start(builder),
                (b'<', _) => {
                    builder.append("<");
                    self.at += 1;
                }
                (b'&', _) => {
                    let text = self.reference();
                    builder.paragraph(&text);
                }
                _ => self.characters(builder),
            }
        }
    }

    fn skip_past(&mut self, c: char) {
        let length = self.rest().find(c).map_or(self.rest().len(), |at| at + 1);
        self.at += length;
    }

    fn is_doctype(&self) -> bool {
        let head = self.rest().get(..9);
        head.is_some_and(|head| head.eq_ignore_ascii_case("<!doctype"))
    }

    /// A comment; without an end all that follows is one.
    fn comment(&mut self) {
        let body = self.rest().get(4..).unwrap_or("");
        let ends = ["-->", "--!>"]
            .iter()
            .filter_map(|end| Some((body.find(end)?, end.len())));
        self.at += match ends.min() {
            Some((at, length)) => 4 + at + length,
            None => self.rest().len(),
        };
    }

    /// A processing instruction, which counts as a comment.
    fn instruction(&mut self) {
        self.at += 2;
        if self.byte(0) == 0 || is_name_start(self.byte(0)) || self.byte(0) >= 0x80 {
            self.skip_past('>');
        }
    }

    /// A name of a tag or an attribute, in lower case.
    fn name(&mut self) -> Option<String> {
        if !is_name_start(self.byte(0)) && self.byte(0) != b'.' {
            return None;
        }
        let name = self
            .rest()
            .bytes()
            .take_while(|byte| is_name(*byte))
            .take(NAME);
        let name: String = name
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
        self.at += name.len();
        Some(name)
    }

    fn start(&mut self, builder: &mut Builder) {
        self.at += 1;
        let mut tag = Start {
            name: self.name().unwrap_or_default(),
            ..Start::default()
        };
        self.skip_blanks();
        while self.at < self.text.len() && !self.ends_tag() {
            match self.name() {
                Some(name) => {
                    self.skip_blanks();
                    let mut value = String::new();
                    if self.byte(0) == b'=' {
                        self.at += 1;
                        self.skip_blanks();
                        value = self.value();
                    }
                    if !tag.attributes.iter().any(|(known, _)| *known == name) {
                        tag.attributes.push((name, value));
                    }
                }
                // No name: what stands there goes, up to a blank or the tag's end.
                None => {
                    while self.at < self.text.len() && !is_blank(self.byte(0)) && !self.ends_tag() {
                        self.at += 1;
                    }
                }
            }
            self.skip_blanks();
        }
        tag.attributes.sort();
        tag.closed = self.byte(0) == b'/';
        let whole = self.at < self.text.len();
        self.at += match (whole, tag.closed) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        builder.start(tag);
        if !whole {
            builder.pop();
        }
    }

    fn ends_tag(&self) -> bool {
        self.byte(0) == b'>' || (self.byte(0) == b'/' && self.byte(1) == b'>')
    }

    fn value(&mut self) -> String {
        let quote = Some(self.byte(0)).filter(|byte| matches!(byte, b'"' | b'\''));
        self.at += usize::from(quote.is_some());
        let mut value = String::new();
        while let Some(c) = self.rest().chars().next() {
            let byte = self.byte(0);
            let ends = match quote {
                Some(quote) => byte == quote,
                None => byte == b'>' || is_blank(byte),
            };
            if ends {
                break;
            }
            if c == '&' {
                value.push_str(&self.reference());
            } else {
                value.push(c);
                self.at += c.len_utf8();
            }
        }
        self.at += usize::from(quote.is_some() && self.at < self.text.len());
        value
    }

    fn end(&mut self, builder: &mut Builder) {
        self.at += 2;
        let Some(name) = self.name() else {
            return;
        };
        self.skip_to(|byte| byte == b'>');
        self.at = self.text.len().min(self.at + 1);
        builder.end(&name);
    }

    /// The text of a `script` or `style`, up to its end tag.
    fn script(&mut self, builder: &mut Builder) {
        let name = builder.current().unwrap_or("").to_owned();
        let rest = self.rest();
        let ends = |at: &usize| {
            let tag = rest.as_bytes().get(at + 2..at + 2 + name.len());
            tag.is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
        };
        let end = rest.match_indices("</").map(|(at, _)| at).find(ends);
        let text = rest.get(..end.unwrap_or(rest.len())).unwrap_or("");
        self.at += text.len();
        builder.append(&text.chars().filter(|c| is_char(*c)).collect::<String>());
    }

    /// A reference's text.
    fn reference(&mut self) -> String {
        self.at += 1;
        if self.byte(0) == b'#' {
            return self.number();
        }
        let c = self.rest().chars().next();
        if !c.is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | ':')) {
            return "&".to_owned();
        }
        let is_end = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
        let name = self.rest();
        let name = name
            .get(..name.find(is_end).unwrap_or(name.len()))
            .unwrap_or("");
        self.at += name.len();
        let known =
            self.byte(0) == b';' && ENTITIES.split_ascii_whitespace().any(|one| one == name);
        if !known {
            return format!("&{name}");
        }
        self.at += 1;
        unescape(&format!("&{name};")).into_owned()
    }

    /// The character of a numeric reference; nothing where there is none.
    fn number(&mut self) -> String {
        self.at += 1;
        let base = match self.byte(0) {
            b'x' | b'X' => 16,
            _ => 10,
        };
        self.at += usize::from(base == 16);
        let mut value = 0u32;
        while let Some(digit) = char::from(self.byte(0)).to_digit(base) {
            if value < 0x0011_0000 {
                value = value * base + digit;
            }
            self.at += 1;
        }
        self.at += usize::from(self.byte(0) == b';');
        let found = char::from_u32(value).filter(|c| is_char(*c));
        found.map_or_else(String::new, String::from)
    }

    /// Text up to the next tag or reference; blanks alone before a tag open no paragraph.
    fn characters(&mut self, builder: &mut Builder) {
        let rest = self.rest();
        let text = rest
            .get(..rest.find(['<', '&']).unwrap_or(rest.len()))
            .unwrap_or("");
        self.at += text.len();
        let before_tag = matches!(self.byte(0), b'<' | 0);
        let kept: String = text.chars().filter(|c| is_char(*c)).collect();
        let mut rest = kept.as_str();
        while !rest.is_empty() {
            let cut = (TEXT..rest.len()).find(|at| rest.is_char_boundary(*at));
            let (piece, after) = rest.split_at(cut.unwrap_or(rest.len()));
            let last = after.is_empty();
            match piece.bytes().all(is_blank) && last && before_tag {
                true => builder.append(piece),
                false => builder.paragraph(piece),
            }
            rest = after;
        }
    }
}
