//! Tables in LaTeX, which the official tool finds but does not read.

use super::extract;
use crate::omnidocbench::normalize::latex_table_to_html;
use crate::omnidocbench::{Element, Kind, Protocol};

/// What becomes of tables that a parser wrote in LaTeX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatexTables {
    /// They are not read, as in the official tool: their TEDS is 0.
    #[default]
    Unread,
    /// They count as if the parser had written them in HTML.
    Convert,
}

impl LatexTables {
    /// Its name: `official` or `convert`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unread => "official",
            Self::Convert => "convert",
        }
    }

    /// The pieces of a page under this rule.
    pub fn pieces(self, markdown: impl AsRef<str>, protocol: Protocol) -> Vec<Element> {
        let mut pieces = extract(markdown, protocol);
        if self == Self::Convert {
            let tables = pieces
                .iter_mut()
                .filter(|piece| piece.kind == Kind::LatexTable);
            for table in tables {
                if let Some(html) = latex_table_to_html(&table.content) {
                    (table.kind, table.content) = (Kind::HtmlTable, html);
                }
            }
        }
        pieces
    }
}
