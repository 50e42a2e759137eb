//! HTML read as lxml reads it.
//!
//! The official tree similarity is taken between trees that lxml made of whatever markup came, so the recovery from broken
//! markup is part of the metric: which tags close which, which are implied, which are dropped. Under lxml 6 (libxml2 2.14)
//! the tokens are HTML 5's (`html5gum`), under lxml 4 (libxml2 2.9) older ones (`older`); the tree is not HTML 5's but
//! libxml2's own, whose rules are in `rules`.
//! Comments are left out, as with `remove_comments=True`. At most [`DEPTH`] elements are open at a time, and nothing
//! here recurses.

mod build;
mod older;
mod rules;
mod tree;

pub use build::{DEPTH, parse};
pub use tree::{Element, Tree};

/// Whose reader of HTML.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HtmlParser {
    /// libxml2 2.14, in lxml 6.
    #[default]
    Libxml2_2_14,
    /// libxml2 2.9, in lxml 4.9.1, which the official requirements pin.
    Libxml2_2_9,
}

impl HtmlParser {
    /// Its name: `libxml2-2.14` or `libxml2-2.9`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Libxml2_2_14 => "libxml2-2.14",
            Self::Libxml2_2_9 => "libxml2-2.9",
        }
    }
}
