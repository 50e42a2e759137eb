//! Tables in one form: `html_table`, and the texts of cells.

mod beautiful_soup;
mod cell;
mod texts;
mod tokens;

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::omnidocbench::Protocol;
use crate::omnidocbench::python::{is_space, is_word, strip};
use beautiful_soup::{Event, events, is_empty};
use tokens::Attribute;

pub(crate) use tokens::unescape;

pub use texts::{cell_texts, layout_text, table_cells};

/// Attributes whose values are lists in every tag.
const LISTS: [&str; 3] = ["class", "accesskey", "dropzone"];

/// What attributes begin with that say how a table looks.
const LOOKS: [&str; 5] = [
    " style=\"",
    " height=\"",
    " width=\"",
    " align=\"",
    " class=\"",
];

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
/// normalised (NFKC). From the first table's start to the last one's end everything counts as one table. Since v1.6 the
/// texts of cells are normalised as well.
pub fn html_table(html: &str, protocol: Protocol) -> String {
    let is_table = |html: &str| html.contains("<table");
    if !is_table(html) && !is_table(&html.replace(' ', "")) {
        return String::new();
    }
    let mut text = match protocol {
        Protocol::V1_0 | Protocol::V1_5 => rewritten(html, Form::Text),
        Protocol::V1_6 => rewritten(&rewritten(html, Form::Markup), Form::Cells),
    };
    text.retain(|c| c != '\n');
    if !text.is_ascii() && is_nfkc_quick(text.chars()) != IsNormalized::Yes {
        text = text.nfkc().collect();
    }
    let mut rows = inside(strip(&text)).to_owned();
    for look in LOOKS {
        cut(&mut rows, look, "\"");
    }
    delete(&mut rows, "<tbody>");
    delete(&mut rows, "</tbody>");
    rows = single_blanks(&rows);
    for mark in MARKS {
        delete(&mut rows, mark);
    }
    cut(&mut rows, "<colgroup>", "</colgroup>");
    format!("{BEFORE}{rows}{AFTER}")
}

/// Deletes `piece` wherever it stands.
fn delete(text: &mut String, piece: &str) {
    if text.contains(piece) {
        *text = text.replace(piece, "");
    }
}

/// Deletes each stretch from `begin` to the next `end`.
fn cut(text: &mut String, begin: &str, end: &str) {
    let mut rest = text.as_str();
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once(begin)
        && let Some((_, after)) = after.split_once(end)
    {
        kept.push_str(before);
        rest = after;
    }
    if rest.len() < text.len() {
        kept.push_str(rest);
        *text = kept;
    }
}

/// What stands between the first `<table…>` and the last `</table>`, in whatever case; nothing where one is missing.
fn inside(text: &str) -> &str {
    let tag = |name: &'static str| {
        let tags = text.match_indices('<');
        tags.filter(move |(at, _)| {
            let found = text.as_bytes().get(*at..at + name.len());
            found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
        })
    };
    // A longer name is another tag's.
    let is_whole = |at: usize| {
        let after = text.get(at + "<table".len()..).unwrap_or("");
        !after.starts_with(is_word)
    };
    let begin = tag("<table").map(|(at, _)| at).find(|at| is_whole(*at));
    let begin = begin.and_then(|at| Some(at + text.get(at..)?.find('>')? + 1));
    let end = tag("</table>").next_back().map(|(at, _)| at);
    let rows = begin.zip(end).and_then(|(begin, end)| text.get(begin..end));
    rows.unwrap_or("")
}

/// Stretches of blanks as single blanks.
fn single_blanks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = false;
    for c in text.chars() {
        let before = std::mem::replace(&mut blank, is_space(c));
        match blank {
            false => out.push(c),
            true if !before => out.push(' '),
            true => {}
        }
    }
    out
}

/// How markup is written again.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// References resolved.
    Text,
    /// As markup, to be read once more.
    Markup,
    /// References resolved, texts of cells normalised (v1.6).
    Cells,
}

/// Markup as it is written again.
struct Writer {
    text: String,
    form: Form,
    /// An element without contents so far, of a kind that has none: how its tag ends is not known yet.
    bare: bool,
}

impl Writer {
    /// A text or a value, as markup where that is asked for.
    fn push_text(&mut self, text: &str) {
        match self.form == Form::Markup && text.contains(['&', '<', '>']) {
            true => {
                let text = text.replace('&', "&amp;").replace('<', "&lt;");
                self.push(&text.replace('>', "&gt;"));
            }
            false => self.push(text),
        }
    }

    fn push(&mut self, text: &str) {
        if std::mem::take(&mut self.bare) {
            self.text.push('>');
        }
        self.text.push_str(text);
    }

    fn start(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.push("<");
        self.push(if name == "th" { "td" } else { name });
        // The official tool's library writes attributes in the order of their names.
        let mut attributes: Vec<&Attribute<'_>> = attributes.iter().collect();
        attributes.sort();
        for (key, value) in attributes {
            let words = || value.split(is_space).filter(|word| !word.is_empty());
            let value = match is_list(name, key) {
                true => Cow::from(words().collect::<Vec<_>>().join(" ")),
                false => Cow::from(value.as_ref()),
            };
            let quote = if value.contains('"') && !value.contains('\'') {
                "'"
            } else {
                "\""
            };
            [" ", key.as_ref(), "=", quote]
                .iter()
                .for_each(|part| self.push(part));
            match quote == "\"" && value.contains('"') && self.form == Form::Markup {
                true => self.push_text(&value.replace('"', "&quot;")),
                false => self.push_text(&value),
            }
            self.push(quote);
        }
        self.bare = is_empty(name);
        if !self.bare {
            self.push(">");
        }
    }

    fn end(&mut self, name: &str) {
        if std::mem::take(&mut self.bare) {
            self.text.push_str("/>");
            return;
        }
        let name = if name == "th" { "td" } else { name };
        ["</", name, ">"].iter().for_each(|part| self.push(part));
    }
}

/// Whether an attribute's value is a list, joined by single blanks.
fn is_list(tag: &str, attribute: &str) -> bool {
    LISTS.contains(&attribute) || attribute == "headers" && matches!(tag, "td" | "th")
}

/// The text with tags in order, header cells as cells, without `thead` and `span`, and formulas as text.
fn rewritten(html: &str, form: Form) -> String {
    let mut out = Writer {
        text: String::new(),
        form,
        bare: false,
    };
    // How deep inside a formula, and in how many cells.
    let (mut formula, mut cells) = (0usize, 0usize);
    for event in events(html) {
        match event {
            Event::Start(name, attributes) => {
                if formula > 0 {
                    formula += 1;
                    continue;
                }
                match name.as_ref() {
                    "math" => {
                        let alt = attributes.iter().find(|(name, _)| name == "alttext");
                        let alt = alt.map_or("", |(_, value)| value.as_ref());
                        ["$", alt, "$"].iter().for_each(|part| out.push_text(part));
                        formula = 1;
                    }
                    "thead" | "span" => {}
                    _ => {
                        cells += usize::from(is_cell(&name));
                        out.start(&name, &attributes);
                    }
                }
            }
            Event::End(_) if formula > 0 => formula -= 1,
            Event::End(name) => match name.as_ref() {
                "thead" | "span" => {}
                _ => {
                    cells = cells.saturating_sub(usize::from(is_cell(&name)));
                    out.end(&name);
                }
            },
            Event::Text(text) if formula == 0 => match form == Form::Cells && cells > 0 {
                true => out.push(&cell::cell(&text)),
                false => out.push_text(&text),
            },
            // What is no text is written as it is, and its references are resolved with all others.
            Event::Other(text) if formula == 0 => match form {
                Form::Markup => out.push(&text),
                Form::Text | Form::Cells => out.push(&unescape(&text)),
            },
            Event::Text(_) | Event::Other(_) => {}
        }
    }
    out.text
}

fn is_cell(name: &str) -> bool {
    matches!(name, "td" | "th")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_end_at_the_next_end_or_stay() {
        let cut = |text: &str| {
            let mut text = text.to_owned();
            super::cut(&mut text, " a=\"", "\"");
            text
        };
        assert_eq!(cut("<td a=\"1\" b a=\"\">"), "<td b>");
        assert_eq!(cut("<td a=\"1\"> a=\"2"), "<td> a=\"2");
        assert_eq!(cut("a=\"1\""), "a=\"1\"");
    }

    /// As BeautifulSoup 4.11.1 on Python's parser writes them.
    #[test]
    fn sections_and_raw_text_stay_as_they_are() {
        let rows = |html: &str| {
            let table = html_table(&format!("<table>{html}</table>"), Protocol::V1_5);
            let rows = table
                .strip_prefix(BEFORE)
                .and_then(|rest| rest.strip_suffix(AFTER));
            rows.unwrap_or("none").to_owned()
        };
        for (html, written) in [
            ("<td><![CDATA[x]]></td>", "<td><![CDATA[x]]></td>"),
            ("<td><style>a<b</style>1", "<td><style>a<b</style>1</td>"),
            ("<td><script>x&lt;</script>", "<td><script>x<</script></td>"),
            (
                "<td b=\"2\" a=\"1\">&notit; &lt;</td>",
                "<td a=\"1\" b=\"2\">&notit <</td>",
            ),
            ("<td><br>a<br/>b</td>", "<td><br/>a<br>b</br></td>"),
        ] {
            assert_eq!(rows(html), written, "{html}");
        }
    }

    #[test]
    fn ten_thousand_nested_tables_are_no_trouble() {
        let html = "<table><tr><td>".repeat(10_000);
        assert!(html_table(&html, Protocol::V1_6).len() > html.len());
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
            "<![CDATA[>",
            "<style>",
            "<script></script>",
            "<a b=\">",
        ] {
            html_table(&format!("<table>{}", piece.repeat(300_000)), Protocol::V1_6);
        }
        // About a second of work; a quadratic reader takes hours, a busy machine a minute.
        assert!(begun.elapsed().as_secs() < 120, "{:?}", begun.elapsed());
    }
}
