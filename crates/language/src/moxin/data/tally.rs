//! What went in and out of a piece.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pieces::Piece;

/// Troubles of a piece that are reported in words.
const REPORTED: usize = 3;

/// Counts of one piece, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// What the counts belong to: the step's parameters and the input.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The file that was written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// Documents that were read.
    pub documents: u64,
    /// Bytes of their texts.
    pub text_bytes: u64,
    /// Documents that were written.
    pub kept: u64,
    /// Bytes of their texts.
    pub kept_bytes: u64,
    /// Tokens that were written, where there are tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Documents and lines that were left out, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<String, u64>,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Its SHA-256.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// The first lines that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Tally {
    /// A line that holds no document.
    pub(super) fn bad(&mut self, piece: &Piece, line: u64, reason: &str, words: &str) {
        self.remove(reason);
        if self.troubles.len() < REPORTED {
            let from = match piece.range.0 {
                0 => String::new(),
                from => format!(" after byte {from}"),
            };
            let name = piece.input.display();
            self.troubles
                .push(format!("`{name}` line {line}{from}: {words}: left out"));
        }
    }

    /// A document or line that is left out.
    pub fn remove(&mut self, reason: &str) {
        *self.removed.entry(reason.to_owned()).or_default() += 1;
    }

    /// A document that is written.
    pub fn keep(&mut self, text: &str) {
        self.kept += 1;
        self.kept_bytes += text.len() as u64;
    }

    /// All pieces together.
    pub fn sum(all: &[Self]) -> Self {
        let mut sum = Self::default();
        for it in all {
            sum.documents += it.documents;
            sum.text_bytes += it.text_bytes;
            sum.kept += it.kept;
            sum.kept_bytes += it.kept_bytes;
            sum.tokens += it.tokens;
            sum.file_bytes += it.file_bytes;
            for (reason, count) in &it.removed {
                *sum.removed.entry(reason.clone()).or_default() += count;
            }
            sum.troubles.extend(it.troubles.iter().cloned());
        }
        sum
    }
}
