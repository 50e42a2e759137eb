//! Where the pages of a run come from.

use std::path::PathBuf;

use base::job::Shard;

use super::page::Page;
use super::score::label;

/// What becomes of a page without a prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It is left out, as in the official tool.
    #[default]
    Skip,
    /// It is scored like an empty prediction.
    Zero,
}

/// Where pages come from, and which count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// The JSON list of pages.
    pub pages: PathBuf,
    /// The folder of predictions.
    pub predictions: PathBuf,
    /// The folder of annotations in markdown, where the pages have none of their own.
    pub markdown: Option<PathBuf>,
    /// Attributes that a page must have.
    pub filter: Vec<(String, String)>,
    /// What becomes of pages without a prediction.
    pub missing: Missing,
    /// A part of the pages.
    pub shard: Option<Shard>,
}

/// Whether a page has all attributes.
pub(super) fn passes(page: &Page, filter: &[(String, String)]) -> bool {
    filter.iter().all(|(name, value)| {
        let found = page.attribute.get(name);
        // Python writes `True`, YAML `true`.
        let same = |found| label("", found).eq_ignore_ascii_case(&format!(": {value}"));
        found.is_some_and(same)
    })
}
