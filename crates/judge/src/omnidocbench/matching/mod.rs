//! Which predicted piece belongs to which annotated block.
//!
//! [`quick`] is the paper's adjacency search match: it finds paragraphs that a parser split or joined. [`simple`] pairs
//! one with one at the least total edit distance; [`no_split`] compares a page as one text. [`page`] does all lists of a
//! page. Indices, positions and edits are those of the official tool, its habits included.

mod arrays;
mod candidates;
mod cases;
mod distance;
mod environments;
mod lines;
mod merge_splits;
mod no_split;
pub mod order;
pub mod page;
mod page_v1_6;
mod pool;
mod quick;
mod record;
mod rows;
mod set_order;
mod simple;
mod spans;
mod subset;
mod windows;

use std::borrow::Borrow;
use std::time::Duration;

use super::Protocol;
use super::page::Block;

pub use lines::Lines;
pub use record::{Match, Place, Scores};
pub(crate) use record::{PyFloat, Record};

/// How pieces are matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// `quick_match`: adjacency search match.
    #[default]
    Quick,
    /// `simple_match`: one with one.
    Simple,
    /// `no_split`: the page as a whole.
    NoSplit,
}

impl Method {
    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick_match",
            Self::Simple => "simple_match",
            Self::NoSplit => "no_split",
        }
    }

    /// The method of an official name; `_match` may be left out.
    pub fn named(name: &str) -> Option<Self> {
        match name.replace('-', "_").as_str() {
            "quick" | "quick_match" => Some(Self::Quick),
            "simple" | "simple_match" => Some(Self::Simple),
            "no_split" => Some(Self::NoSplit),
            _ => None,
        }
    }
}

/// How predicted formulas of several rows are matched (since v1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pieces {
    /// Row by row.
    Rows,
    /// As they are.
    Whole,
}

/// What matching depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// Whose rules.
    pub protocol: Protocol,
    /// How.
    pub method: Method,
    /// After this time a list of a page is matched simply instead; without it as long as it takes.
    pub limit: Option<Duration>,
}

/// What came of matching a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matched {
    /// The matches, in the official order.
    pub matches: Vec<Match>,
    /// Whether the time was up, and matches are simple ones.
    pub out_of_time: bool,
}

impl Matching {
    /// Matches annotated blocks with predicted ones; `image` is the page's picture, which matches carry.
    pub fn run(
        &self,
        gt: &[impl Borrow<Block>],
        pred: &[impl Borrow<Block>],
        lines: Lines,
        image: &str,
    ) -> Matched {
        let gt: Vec<&Block> = gt.iter().map(Borrow::borrow).collect();
        let pred: Vec<&Block> = pred.iter().map(Borrow::borrow).collect();
        let (gt, pred) = (gt.as_slice(), pred.as_slice());
        let simply = || simple::matches(gt, pred, lines, self.protocol, image).0;
        match self.method {
            Method::Quick => match quick::matches(gt, pred, (lines, Pieces::Rows), self, image) {
                Some(matches) => Matched {
                    matches,
                    out_of_time: false,
                },
                None => Matched {
                    matches: simply(),
                    out_of_time: true,
                },
            },
            Method::Simple => Matched {
                matches: simply(),
                out_of_time: false,
            },
            Method::NoSplit => Matched {
                matches: no_split::matches(gt, pred, lines, self.protocol, image),
                out_of_time: false,
            },
        }
    }
}
