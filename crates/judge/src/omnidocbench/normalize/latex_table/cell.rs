//! One cell: its spans, and its text.

use super::MOST;
use super::scan::{arguments, without_rules};
use crate::omnidocbench::normalize::latex_to_text;

/// A cell of an HTML table.
pub(super) struct Cell {
    /// Its first column.
    pub column: usize,
    /// Columns and rows that it spans.
    pub columns: usize,
    pub rows: usize,
    /// Whether the rows are those above it.
    pub upwards: bool,
    /// Whether it went to another row.
    pub gone: bool,
    /// Its text, formulas between dollars.
    pub text: String,
}

/// `\multicolumn` and `\multirow` in one another: more of them are no spans.
const NESTED: usize = 4;

impl Cell {
    /// A cell from its LaTeX.
    pub fn read(source: &str) -> Self {
        let mut cell = Self {
            column: 0,
            columns: 1,
            rows: 1,
            upwards: false,
            gone: false,
            text: String::new(),
        };
        let mut latex = without_rules(source);
        for _ in 0..NESTED {
            let bare = latex.trim();
            let (rows, rest) = match (
                bare.strip_prefix("\\multicolumn"),
                bare.strip_prefix("\\multirow"),
            ) {
                (Some(rest), _) => (false, rest),
                (_, Some(rest)) => (true, rest.strip_prefix("cell").unwrap_or(rest)),
                _ => break,
            };
            let (found, after) = arguments(rest, 3);
            let [count, _, inner] = found[..] else { break };
            let count = count.trim();
            let span = count
                .trim_start_matches('-')
                .trim()
                .parse::<f64>()
                .unwrap_or(1.0);
            let span = (span.abs() as usize).clamp(1, MOST);
            match rows {
                true => (cell.rows, cell.upwards) = (span, count.starts_with('-') && span > 1),
                false => cell.columns = span,
            }
            latex = format!("{inner}{after}");
        }
        cell.text = text(&latex);
        cell
    }

    pub fn write(&self, out: &mut String) {
        out.push_str("<td");
        for (name, span) in [("colspan", self.columns), ("rowspan", self.rows)] {
            if span > 1 {
                out.push_str(&format!(" {name}=\"{span}\""));
            }
        }
        out.push('>');
        for c in self.text.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                c => out.push(c),
            }
        }
        out.push_str("</td>");
    }
}

/// A cell's text: formulas as they are, everything else as in running text, blanks single.
fn text(latex: &str) -> String {
    let mut out = String::new();
    let mut rest = latex;
    while let Some(start) = dollar(rest) {
        let Some(length) = dollar(&rest[start + 1..]) else {
            break;
        };
        let end = start + 1 + length + 1;
        out.push_str(&plain(&rest[..start]));
        out.push_str(&rest[start..end]);
        rest = &rest[end..];
    }
    out.push_str(&plain(rest));
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first dollar that no backslash stands before.
fn dollar(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let found = (c == '$' && !escaped).then_some(at);
        escaped = c == '\\' && !escaped;
        found
    })
}

/// Running text without commands.
fn plain(latex: &str) -> String {
    latex_to_text(latex).unwrap_or_else(|_| latex.to_owned())
}
