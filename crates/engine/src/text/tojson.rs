//! JSON as Python's `json.dumps` writes it, which chat templates expect of their filter `tojson`.

use std::io::{self, Write};

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};

/// Deepest nesting that is written.
const DEEPEST: usize = 100;

/// `value | tojson(indent=…, ensure_ascii=…, sort_keys=…)`: no HTML escapes, spaces after `,` and `:`.
pub(super) fn tojson(
    value: &Value,
    indent: Option<&Value>,
    options: Kwargs,
) -> Result<String, Error> {
    let wrong = |cause: &dyn std::fmt::Display| {
        Error::new(ErrorKind::BadSerialization, format!("tojson: {cause}"))
    };
    let named: Option<Value> = options.get("indent")?;
    let indent = indent
        .or(named.as_ref())
        .filter(|it| !it.is_none() && !it.is_undefined());
    let indent = match indent {
        None => None,
        Some(value) => match value.as_str() {
            Some(text) => Some(text.to_owned()),
            None => Some(" ".repeat(usize::try_from(value.clone()).unwrap_or(0).min(16))),
        },
    };
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    let sort: Option<bool> = options.get("sort_keys")?;
    // `separators` is accepted for the two forms that templates use.
    let separators: Option<Value> = options.get("separators")?;
    options.assert_all_used()?;
    let compact = separators.is_some_and(|it| {
        it.get_item_by_index(0)
            .is_ok_and(|it| it.as_str() == Some(","))
    });
    let mut json = serde_json::to_value(value).map_err(|cause| wrong(&cause))?;
    if depth(&json) > DEEPEST {
        return Err(wrong(&"nested too deeply"));
    }
    if sort == Some(true) {
        json.sort_all_objects();
    }
    let mut out = Vec::new();
    let style = Python {
        indent,
        level: 0,
        has_value: false,
        ascii: ascii == Some(true),
        compact,
    };
    let mut writer = serde_json::Serializer::with_formatter(&mut out, style);
    json.serialize(&mut writer).map_err(|cause| wrong(&cause))?;
    String::from_utf8(out).map_err(|cause| wrong(&cause))
}

fn depth(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Python's way to write JSON.
struct Python {
    indent: Option<String>,
    level: usize,
    /// Something was written since the last bracket opened.
    has_value: bool,
    ascii: bool,
    compact: bool,
}

impl Python {
    fn line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        let Some(indent) = &self.indent else {
            return Ok(());
        };
        out.write_all(b"\n")?;
        (0..self.level).try_for_each(|_| out.write_all(indent.as_bytes()))
    }

    fn next<W: ?Sized + Write>(&self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            let plain = self.indent.is_none() && !self.compact;
            out.write_all(if plain { b", " } else { b"," })?;
        }
        self.line(out)
    }

    fn begin<W: ?Sized + Write>(&mut self, out: &mut W, sign: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.has_value = false;
        out.write_all(sign)
    }

    /// Nothing stands between the brackets of what is empty.
    fn end<W: ?Sized + Write>(&mut self, out: &mut W, sign: &[u8]) -> io::Result<()> {
        self.level -= 1;
        if self.has_value {
            self.line(out)?;
        }
        self.has_value = true;
        out.write_all(sign)
    }
}

impl Formatter for Python {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(if self.compact { b":" } else { b": " })
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        out.write_all(python_float(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        if !self.ascii {
            return out.write_all(text.as_bytes());
        }
        for c in text.chars() {
            // The signs that mark a user's characters stay what they are (see `marks`).
            if c.is_ascii() || super::marks::is_sign(c) {
                write!(out, "{c}")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        serde_json::ser::CompactFormatter.write_char_escape(out, escape)
    }
}

/// A float as Python's `repr` writes it: the shortest digits, an exponent below 1e-4 and from 1e16.
fn python_float(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(rest) => ('-', rest),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_python_writes_it() {
        // json.dumps(x), json.dumps(x, indent=2, ensure_ascii=False), Python 3.11
        let text = r#"{"b": [1, 2.5, 1e16, 0.00001, true, null], "a": {"x": "<é🙂\n\"&'>"}, "e": [], "o": {}}"#;
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let value: Value = minijinja::value::Serde(&json).into();
        let write = |options: Vec<(&str, Value)>| {
            tojson(&value, None, options.into_iter().collect()).unwrap()
        };
        assert_eq!(
            write(vec![]),
            r#"{"b": [1, 2.5, 1e+16, 1e-05, true, null], "a": {"x": "<é🙂\n\"&'>"}, "e": [], "o": {}}"#
        );
        assert_eq!(
            write(vec![
                ("ensure_ascii", true.into()),
                ("sort_keys", true.into())
            ]),
            r#"{"a": {"x": "<\u00e9\ud83d\ude42\n\"&'>"}, "b": [1, 2.5, 1e+16, 1e-05, true, null], "e": [], "o": {}}"#
        );
        let small: serde_json::Value =
            serde_json::from_str(r#"{"a": [1, {"b": 2}], "e": [], "o": {}}"#).unwrap();
        let small: Value = minijinja::value::Serde(&small).into();
        assert_eq!(
            tojson(
                &small,
                Some(&Value::from(2)),
                Kwargs::from_iter(Vec::<(&str, Value)>::new())
            )
            .unwrap(),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"e\": [],\n  \"o\": {}\n}"
        );
    }
}
