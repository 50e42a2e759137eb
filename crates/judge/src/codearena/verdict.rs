//! The label in a judgement.

use regex::Regex;

/// The official pattern; its one group holds the label.
pub const PATTERN: &str = r"\[\[([AB<>=]+)\]\]";

/// What a judgement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exactly one label, any number of times.
    Label(String),
    /// No label yet: ask again.
    Missing,
    /// Several different labels: nothing is asked again.
    Contradiction,
}

impl Verdict {
    /// Reads a judgement with `pattern`.
    pub fn read(pattern: &Regex, judgment: &str) -> Self {
        let mut label: Option<&str> = None;
        for found in pattern.captures_iter(judgment) {
            // As Python's `findall`: the group where there is one, else the whole match.
            let text = found
                .get(1)
                .or_else(|| found.get(0))
                .map_or("", |found| found.as_str());
            match label {
                _ if text.is_empty() => {}
                None => label = Some(text),
                Some(first) if first == text => {}
                Some(_) => return Self::Contradiction,
            }
        }
        match label {
            Some(label) => Self::Label(label.trim_matches('\n').to_owned()),
            None => Self::Missing,
        }
    }

    /// The label, where there is one.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Label(label) => Some(label),
            _ => None,
        }
    }
}
