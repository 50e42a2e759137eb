//! Python literals: the hub file keeps `messages` as the text of a Python list.
//!
//! Read are `None`, `True`, `False`, numbers, quoted strings with Python's escapes, lists, tuples and dictionaries with
//! string keys. Nothing is evaluated.

use serde_json::{Map, Number, Value};

/// Deepest nesting that is read; real messages nest twice.
const DEEPEST: usize = 64;

/// Why a text is no Python literal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Python literal: {what} at character {at}")]
pub struct LiteralError {
    /// What is wrong.
    pub what: &'static str,
    /// Where, in bytes.
    pub at: usize,
}

/// The value of a Python literal.
///
/// # Errors
/// [`LiteralError`], with the place.
pub fn parse(text: &str) -> Result<Value, LiteralError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("something follows the value")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        self.blanks();
        let there = self.peek() == Some(wanted);
        if there {
            self.next();
        }
        there
    }

    fn wrong(&self, what: &'static str) -> LiteralError {
        LiteralError { what, at: self.at }
    }

    fn value(&mut self, depth: usize) -> Result<Value, LiteralError> {
        if depth > DEEPEST {
            return Err(self.wrong("nested too deeply"));
        }
        self.blanks();
        match self.peek() {
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some('{') => self.dictionary(depth),
            Some('\'' | '"') => self.string().map(Value::String),
            Some(_) => self.word(),
            None => Err(self.wrong("the text ends")),
        }
    }

    fn list(&mut self, end: char, depth: usize) -> Result<Value, LiteralError> {
        self.next();
        let mut items = Vec::new();
        while !self.take(end) {
            items.push(self.value(depth + 1)?);
            if !self.take(',') {
                match self.take(end) {
                    true => break,
                    false => return Err(self.wrong("a comma or the end of the list is missing")),
                }
            }
        }
        Ok(Value::Array(items))
    }

    fn dictionary(&mut self, depth: usize) -> Result<Value, LiteralError> {
        self.next();
        let mut entries = Map::new();
        while !self.take('}') {
            self.blanks();
            if !matches!(self.peek(), Some('\'' | '"')) {
                return Err(self.wrong("a key is not a string"));
            }
            let key = self.string()?;
            if !self.take(':') {
                return Err(self.wrong("a colon is missing"));
            }
            entries.insert(key, self.value(depth + 1)?);
            if !self.take(',') {
                match self.take('}') {
                    true => break,
                    false => return Err(self.wrong("a comma or `}` is missing")),
                }
            }
        }
        Ok(Value::Object(entries))
    }

    fn string(&mut self) -> Result<String, LiteralError> {
        let quote = self.next();
        let mut out = String::new();
        loop {
            match self.next() {
                None => return Err(self.wrong("a string does not end")),
                c if c == quote => return Ok(out),
                Some('\\') => self.escape(&mut out)?,
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), LiteralError> {
        let Some(c) = self.next() else {
            return Err(self.wrong("a string does not end"));
        };
        match c {
            '\n' => {}
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '\\' | '\'' | '"' => out.push(c),
            'x' => out.push(self.code(2)?),
            'u' => out.push(self.code(4)?),
            'U' => out.push(self.code(8)?),
            '0'..='7' => {
                let mut value = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    self.next();
                    value = value * 8 + digit;
                }
                out.push(char::from_u32(value).unwrap_or('\u{fffd}'));
            }
            // Python keeps the backslash of escapes that it does not know.
            other => out.extend(['\\', other]),
        }
        Ok(())
    }

    /// A character by its code; halves of a surrogate pair, which Rust's strings cannot hold, become U+FFFD.
    fn code(&mut self, digits: usize) -> Result<char, LiteralError> {
        let mut value = 0_u32;
        for _ in 0..digits {
            let digit = self.next().and_then(|c| c.to_digit(16));
            let digit = digit.ok_or_else(|| self.wrong("an escape lacks digits"))?;
            value = value.wrapping_mul(16).wrapping_add(digit);
        }
        Ok(char::from_u32(value).unwrap_or('\u{fffd}'))
    }

    fn word(&mut self) -> Result<Value, LiteralError> {
        let start = self.at;
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        while self.peek().is_some_and(inside) {
            self.next();
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        let number = || word.parse::<f64>().ok().and_then(Number::from_f64);
        match word {
            "None" => Ok(Value::Null),
            "True" => Ok(Value::Bool(true)),
            "False" => Ok(Value::Bool(false)),
            _ => match (word.parse::<i64>(), number()) {
                (Ok(whole), _) => Ok(whole.into()),
                (_, Some(number)) => Ok(Value::Number(number)),
                _ => Err(LiteralError {
                    what: "a word that is not a value",
                    at: start,
                }),
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn python_writes_and_this_reads() {
        let text = r#"[{'role': 'user', 'content': 'it\'s \\ "x"\n\té \x41\u00e9\U0001F600 \101 \d'}, ("a", None, True, -2, 1e3,)]"#;
        assert_eq!(
            parse(text).unwrap(),
            json!([
                {"role": "user", "content": "it's \\ \"x\"\n\té Aé😀 A \\d"},
                ["a", null, true, -2, 1000.0]
            ])
        );
        assert_eq!(parse(" [] ").unwrap(), json!([]));
    }

    #[test]
    fn what_is_no_literal_is_refused_without_harm() {
        for wrong in [
            "",
            "[",
            "['a' 'b']",
            "{1: 2}",
            "'abc",
            "[1] x",
            "__import__('os')",
            r"'\x4'",
            "nan",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(parse(&deep).unwrap_err().what, "nested too deeply");
        let long = format!("'{}'", "x".repeat(10_000_000));
        assert_eq!(
            parse(&long).unwrap().as_str().map(str::len),
            Some(10_000_000)
        );
    }
}
