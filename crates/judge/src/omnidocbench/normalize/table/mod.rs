//! Tables in one form: `html_table`, and the texts of cells.

mod soup;
mod tokens;

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::omnidocbench::python::strip;
use soup::{Event, events, is_empty};

/// Attributes whose values are lists, joined by single blanks.
const LISTS: [&str; 4] = ["class", "accesskey", "dropzone", "headers"];

/// Attributes that say how a table looks.
const LOOKS: [&str; 5] = ["style", "height", "width", "align", "class"];

/// Tags that go, their contents stay.
const MARKS: [&str; 10] = [
    "<sup>", "</sup>", "<sub>", "</sub>", "<span>", "</span>", "<div>", "</div>", "<p>", "</p>",
];

/// What stands around a table's rows.
const BEFORE: &str = "<html><body><table border=\"1\" >";
const AFTER: &str = "</table></body></html>";

/// The tables of a text in the form that they are compared in; empty when there is no `<table`.
///
/// Header cells become cells, formulas their `alttext` between dollars; looks, bodies and marks go; characters are
/// normalised (NFKC). From the first table's start to the last one's end everything counts as one table.
pub fn html_table(html: &str) -> String {
    if !html.replace(' ', "").contains("<table") {
        return String::new();
    }
    let mut text = rewritten(html);
    text.retain(|c| c != '\n');
    if is_nfkc_quick(text.chars()) != IsNormalized::Yes {
        text = text.nfkc().collect();
    }
    let mut rows: String = patterns()
        .map(|patterns| {
            let found = patterns.table.captures_iter(strip(&text));
            let inner = found.filter_map(|found| Some(found.get(1)?.as_str()));
            let mut rows: String = inner.collect();
            for (name, looks) in &patterns.looks {
                if rows.contains(name) {
                    rows = looks.replace_all(&rows, "").into_owned();
                }
            }
            delete(&mut rows, "<tbody>");
            delete(&mut rows, "</tbody>");
            patterns.blanks.replace_all(&rows, " ").into_owned()
        })
        .unwrap_or_default();
    for mark in MARKS {
        delete(&mut rows, mark);
    }
    if let Some(patterns) = patterns()
        && rows.contains("<colgroup>")
    {
        rows = patterns.columns.replace_all(&rows, "").into_owned();
    }
    format!("{BEFORE}{rows}{AFTER}")
}

/// Deletes `piece` wherever it stands.
fn delete(text: &mut String, piece: &str) {
    if text.contains(piece) {
        *text = text.replace(piece, "");
    }
}

struct Patterns {
    table: Regex,
    /// What an attribute begins with, and the whole of it.
    looks: Vec<(String, Regex)>,
    blanks: Regex,
    columns: Regex,
}

/// The patterns; they are constant, so that there is never none.
fn patterns() -> Option<&'static Patterns> {
    static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
        let looks = LOOKS.iter().map(|name| {
            let begin = format!(" {name}=\"");
            let whole = Regex::new(&format!("{begin}.*?\""))?;
            Ok::<_, regex::Error>((begin, whole))
        });
        Some(Patterns {
            table: Regex::new(r"(?is)<table\b[^>]*>(.*)</table>").ok()?,
            looks: looks.collect::<Result<_, _>>().ok()?,
            blanks: Regex::new(r"[\s\x1c-\x1f]+").ok()?,
            columns: Regex::new("<colgroup>.*?</colgroup>").ok()?,
        })
    });
    PATTERNS.as_ref()
}

/// The text with tags in order, header cells as cells, without `thead` and `span`, and formulas as text.
fn rewritten(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    // How deep inside a formula.
    let mut formula = 0usize;
    for event in events(html) {
        match event {
            Event::Start(name, attributes) => {
                if formula > 0 {
                    formula += 1;
                    continue;
                }
                match name.as_str() {
                    "math" => {
                        let alt = attributes.iter().find(|(name, _)| name == "alttext");
                        let alt = alt.map_or("", |(_, value)| value);
                        out.push_str(&format!("${alt}$"));
                        formula = 1;
                    }
                    "thead" | "span" => {}
                    _ => tag(&mut out, &name, &attributes),
                }
            }
            Event::End(_) if formula > 0 => formula -= 1,
            Event::End(name) => match name.as_str() {
                "thead" | "span" => {}
                "th" => out.push_str("</td>"),
                _ if is_empty(&name) => {}
                _ => ["</", name.as_str(), ">"]
                    .iter()
                    .for_each(|part| out.push_str(part)),
            },
            Event::Text(text) | Event::Other(text) if formula == 0 => out.push_str(&text),
            Event::Text(_) | Event::Other(_) => {}
        }
    }
    out
}

fn tag(out: &mut String, name: &str, attributes: &[(String, String)]) {
    out.push('<');
    out.push_str(if name == "th" { "td" } else { name });
    for (key, value) in attributes {
        let words = || value.split_whitespace().collect::<Vec<_>>().join(" ");
        let value = if LISTS.contains(&key.as_str()) {
            words()
        } else {
            value.clone()
        };
        let quote = if value.contains('"') && !value.contains('\'') {
            "'"
        } else {
            "\""
        };
        for part in [" ", key.as_str(), "=", quote, value.as_str(), quote] {
            out.push_str(part);
        }
    }
    out.push_str(if is_empty(name) { "/>" } else { ">" });
}

/// The texts of cells (`td`) that hold nothing but one text, however many tags are around it.
pub fn table_cells(html: &str) -> Vec<String> {
    /// An open element: its children so far, and its text if it has one child that leads to one.
    struct Open {
        /// The cell's place among all cells.
        cell: Option<usize>,
        children: usize,
        text: Option<String>,
    }
    let mut cells: Vec<Option<String>> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let add = |open: &mut Vec<Open>, text: Option<String>| {
        if let Some(parent) = open.last_mut() {
            parent.children += 1;
            parent.text = text.filter(|_| parent.children == 1);
        }
    };
    for event in events(html) {
        match event {
            Event::Start(name, _) => {
                let cell = (name == "td").then_some(cells.len());
                if cell.is_some() {
                    cells.push(None);
                }
                open.push(Open {
                    cell,
                    children: 0,
                    text: None,
                });
            }
            Event::Text(text) => add(&mut open, Some(text)),
            Event::Other(text) => {
                let inner = text
                    .strip_prefix("<!--")
                    .and_then(|t| t.strip_suffix("-->"));
                add(&mut open, Some(inner.unwrap_or(&text).to_owned()));
            }
            Event::End(_) => {
                let Some(done) = open.pop() else { continue };
                if let Some(place) = done.cell.and_then(|at| cells.get_mut(at)) {
                    place.clone_from(&done.text);
                }
                add(&mut open, done.text);
            }
        }
    }
    cells
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_one_text_are_read() {
        let html = "<table><tr><td>a</td><td><b>b</b></td><td>c<br>d</td><td></td><td> </td></tr>";
        assert_eq!(table_cells(html), ["a", "b", " "]);
    }

    #[test]
    fn ten_thousand_nested_tables_are_no_trouble() {
        let html = "<table><tr><td>".repeat(10_000);
        assert!(html_table(&html).len() > html.len());
        assert!(table_cells(&html).is_empty());
    }

    #[test]
    fn a_long_line_of_open_tags_takes_linear_time() {
        let begun = std::time::Instant::now();
        for piece in [
            "<td a=\"",
            "<a",
            "&",
            "</",
            "<!--",
            "<!-",
            "<?",
            "< style=\"",
            "<!-->",
            "<a b=\">",
        ] {
            html_table(&format!("<table>{}", piece.repeat(300_000)));
        }
        // About a second of work; a quadratic reader takes hours, a busy machine a minute.
        assert!(begun.elapsed().as_secs() < 120, "{:?}", begun.elapsed());
    }
}
