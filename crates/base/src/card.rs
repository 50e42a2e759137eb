//! A system's card: what `orrery list`, the docs and the web page say of it.

use serde::Serialize;

/// How far a system has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It runs, with parity tests and a proof.
    Works,
    /// Its verbs are not built yet.
    Planned,
}

impl Status {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Planned => "planned",
        }
    }
}

/// One of the 27 systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// Folder, command and name in lists.
    pub slug: &'static str,
    /// Name and subject, as in the paper's title.
    pub title: &'static str,
    /// Where it was published.
    pub paper: &'static str,
    /// The crate that holds it.
    pub domain: &'static str,
    /// What it is for, in one line.
    pub purpose: &'static str,
    /// Published claims with their figures.
    pub claims: &'static [&'static str],
    /// Where weights come from.
    pub weights: &'static str,
    /// Licence of the official code and weights.
    pub licence: &'static str,
}
