//! TEDS, the tree-edit-distance similarity of two tables (Zhong et al., "Image-based table recognition", 2020).
//!
//! `1 - distance / max(nodes)`: the distance is that of the trees table → rows → cells, where cells of equal span are as
//! far apart as their contents by normalised edit distance, and anything else of unequal tag or span is as far as it can
//! be. The nodes counted are all elements below the table, tags inside cells included, although those are part of a
//! cell's contents for the distance: as the official code has it. TEDS-S, for structure, ignores the contents.
//!
//! Where the official code fails it scores 0; so does [`Teds::default`], and [`compare`] says why.

mod cells;
mod table;

use thiserror::Error;

use super::html::{self, HtmlParser};
use super::tree_distance::distance;
use cells::Contents;
use table::Table;

/// Both similarities of a pair of tables, at most 1; higher is better.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Teds {
    /// With the contents of cells: TEDS.
    pub full: f64,
    /// Without: TEDS-S, `TEDS_structure_only`.
    pub structure: f64,
}

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The parser's.
    Prediction,
    /// The annotators'.
    GroundTruth,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prediction => "prediction",
            Self::GroundTruth => "ground truth",
        })
    }
}

/// Why a pair of tables scores 0 without being compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TedsError {
    /// There is no text at all.
    #[error("the {0} is empty")]
    Empty(Side),
    /// No `table` in the `body` of a document that begins with `<html>`.
    #[error("the {0} has no table: it must read `<html><body><table>…`")]
    NoTable(Side),
    /// A `colspan` or `rowspan` that Python's `int` does not take.
    #[error("a cell of the {side} has `{attribute}=\"{value}\"`, which is not a whole number")]
    Span {
        /// Whose cell.
        side: Side,
        /// `colspan` or `rowspan`.
        attribute: &'static str,
        /// What stands there, shortened.
        value: String,
    },
    /// Neither table has anything in it, so that there is nothing to divide by.
    #[error("both tables are empty")]
    BothEmpty,
    /// Comparing them would take minutes or gigabytes.
    #[error("the tables are too large to compare: {0} and {1} nodes; split them")]
    TooLarge(usize, usize),
}

/// TEDS of two tables in normalised HTML; 0 where they cannot be compared.
pub fn teds(prediction: &str, ground_truth: &str) -> f64 {
    let parser = HtmlParser::default();
    compare(prediction, ground_truth, parser)
        .unwrap_or_default()
        .full
}

/// Both similarities of two tables in normalised HTML, which is read once.
///
/// # Errors
/// When a table is missing or malformed, or both are empty or too large: what the official code scores 0.
pub fn compare(
    prediction: &str,
    ground_truth: &str,
    parser: HtmlParser,
) -> Result<Teds, TedsError> {
    let mut contents = Contents::default();
    let a = read(prediction, Side::Prediction, parser, &mut contents)?;
    let b = read(ground_truth, Side::GroundTruth, parser, &mut contents)?;
    let nodes = a.nodes.max(b.nodes);
    if nodes == 0 {
        return Err(TedsError::BothEmpty);
    }
    let similarity = |contents: Option<&Contents>| {
        let mut cells = cells::Comparison::new(&a, &b, contents);
        match distance(&a.order, &b.order, &mut cells) {
            Ok(distance) if !cells.gave_up() => Ok(1.0 - distance / nodes as f64),
            _ => Err(TedsError::TooLarge(a.order.len(), b.order.len())),
        }
    };
    let alike = a.order == b.order && a.shapes == b.shapes;
    Ok(Teds {
        full: match alike && a.contents == b.contents {
            true => 1.0,
            false => similarity(Some(&contents))?,
        },
        structure: match alike {
            true => 1.0,
            false => similarity(None)?,
        },
    })
}

/// The first table of a document.
fn read(
    text: &str,
    side: Side,
    parser: HtmlParser,
    contents: &mut Contents,
) -> Result<Table, TedsError> {
    if text.is_empty() {
        return Err(TedsError::Empty(side));
    }
    if !is_document(text) {
        return Err(TedsError::NoTable(side));
    }
    let tree = html::parse(text, parser);
    let root = tree.roots.first().copied();
    let table = root.and_then(|root| {
        let mut bodies = tree.children_named(root, "body");
        bodies.find_map(|body| tree.children_named(body, "table").next())
    });
    let table = table.ok_or(TedsError::NoTable(side))?;
    Table::new(&tree, table, contents).map_err(|(attribute, value)| TedsError::Span {
        side,
        attribute,
        value: value.chars().take(20).collect(),
    })
}

/// Whether lxml takes the text for a whole document; it strips a fragment of the `body` that a table is looked for in.
fn is_document(text: &str) -> bool {
    let text = text.trim_start_matches(table::is_python_blank).as_bytes();
    [&b"<html"[..], b"<!doctype"].iter().any(|&opening| {
        let beginning = text.get(..opening.len());
        beginning.is_some_and(|found| found.eq_ignore_ascii_case(opening))
    })
}
