//! Pictures that could not be measured.

use std::fmt;

/// How many are named; the others are only counted.
const NAMED: usize = 5;

/// What was skipped, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: usize,
    named: Vec<String>,
}

impl Skipped {
    /// One more.
    pub fn add(&mut self, cause: impl fmt::Display) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(cause.to_string());
        }
    }

    /// The causes of the first ones, a line each, and how many more there are.
    pub fn lines(&self) -> Vec<String> {
        let named = self.named.iter().map(|cause| format!("skipped: {cause}"));
        let more = self.count - self.named.len();
        let more = (more > 0).then(|| format!("skipped: {more} more pictures"));
        named.chain(more).collect()
    }

    /// The first cause.
    pub fn first(&self) -> Option<&str> {
        self.named.first().map(String::as_str)
    }
}
