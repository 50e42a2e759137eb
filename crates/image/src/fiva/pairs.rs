//! Ranges of attributes as a file, and pairs of pictures inside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::rng::Rng;
use serde::{Deserialize, Serialize};

use super::SystemError;
use super::data::{Attribute, Record, shelves};
use super::range::Ranges;

/// What `data filter` writes: ranges of every attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct RangeFile {
    /// One for each attribute, in order.
    pub attributes: Vec<AttributeRanges>,
}

/// Ranges of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AttributeRanges {
    /// The group.
    pub group: String,
    /// The entry.
    pub entry: String,
    /// Its ranges.
    #[serde(flatten)]
    pub ranges: Ranges,
}

impl RangeFile {
    /// From a file.
    ///
    /// # Errors
    /// [`SystemError::Input`].
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let broken = |cause: &dyn std::fmt::Display| {
            SystemError::input(format!(
                "cannot read the ranges `{}`: {cause}; `orrery fiva data filter` writes them",
                path.display()
            ))
        };
        let bytes = base::files::read(path).map_err(|cause| broken(&cause))?;
        serde_json::from_slice(&bytes).map_err(|cause| broken(&cause))
    }

    /// The range of an attribute that a record lies in.
    fn range_of(&self, attribute: &Attribute, record: &Record) -> Option<&Vec<String>> {
        let of = self
            .attributes
            .iter()
            .find(|it| it.group == attribute.0 && it.entry == attribute.1)?;
        of.ranges.ranges.iter().find(|range| holds(range, record))
    }
}

fn holds(range: &[String], record: &Record) -> bool {
    range
        .iter()
        .any(|name| *name == record.major || *name == record.subject)
}

/// A picture of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Shot {
    /// The file.
    pub image: PathBuf,
    /// Pictures along a side of it.
    #[serde(default = "one")]
    pub grid: u32,
}

fn one() -> u32 {
    1
}

/// A reference of a pair: a picture and the attribute that it shares with the target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Shared {
    /// The picture.
    #[serde(flatten)]
    pub shot: Shot,
    /// The group.
    pub group: String,
    /// The entry.
    #[serde(default)]
    pub entry: String,
}

/// What the adapter learns from: a target with its subject, and references that share its attributes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Pair {
    /// What is to be drawn.
    pub target: Shot,
    /// Its subject, the only text.
    pub subject: String,
    /// One for each attribute, at most three.
    pub references: Vec<Shared>,
}

/// Pairs of all records, one for each that has a partner: for every attribute a reference drawn uniformly from the same range, never
/// of the same prompt. Without `ranges` any picture with the attribute will do (the paper's ablation).
pub fn pairs(records: &[Record], ranges: Option<&RangeFile>, rng: &Rng) -> Vec<Pair> {
    let shelves = shelves(records);
    let shot = |record: &Record| Shot {
        image: record.image.clone(),
        grid: record.grid,
    };
    let make = |(at, target): (usize, &Record)| {
        let rng = &mut rng.item(at as u64);
        let partner = |attribute: &Attribute, rng: &mut Rng| {
            let range = ranges.map(|ranges| ranges.range_of(attribute, target));
            let shelf = shelves.get(attribute)?;
            let others: Vec<usize> = shelf
                .values()
                .flat_map(BTreeMap::values)
                .flatten()
                .copied()
                .filter(|other| {
                    let other = &records[*other];
                    let inside = match range {
                        None => true,
                        Some(None) => false,
                        Some(Some(range)) => holds(range, other),
                    };
                    inside && !other.is_sibling(target)
                })
                .collect();
            (!others.is_empty()).then(|| others[rng.below(others.len())])
        };
        let references: Vec<Shared> = target
            .attributes
            .iter()
            .filter_map(|attribute| {
                Some(Shared {
                    shot: shot(&records[partner(attribute, rng)?]),
                    group: attribute.0.clone(),
                    entry: attribute.1.clone(),
                })
            })
            .take(super::SLOTS)
            .collect();
        (!references.is_empty()).then(|| Pair {
            target: shot(target),
            subject: target.subject.clone(),
            references,
        })
    };
    records.iter().enumerate().filter_map(make).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn partners_come_from_the_range_and_never_from_the_same_prompt() {
        let of = |at: usize, major: &str, prompt: &str| Record {
            idx: at.to_string(),
            image: format!("{at}.png").into(),
            attributes: vec![("color".into(), "red".into())],
            major: major.into(),
            subject: format!("{major} {at}"),
            prompt: prompt.into(),
            grid: 1,
        };
        let records = [
            of(0, "a", "p"),
            of(1, "a", "q"),
            of(2, "b", "r"),
            of(3, "a", "p"),
        ];
        let ranges = RangeFile {
            attributes: vec![AttributeRanges {
                group: "color".into(),
                entry: "red".into(),
                ranges: Ranges {
                    ranges: vec![vec!["a".into()]],
                    dropped: vec!["b 2".into()],
                },
            }],
        };
        for seed in 0..20 {
            let rng = Rng::new(seed);
            let found = pairs(&records, Some(&ranges), &rng);
            let targets: Vec<&Path> = found.iter().map(|it| it.target.image.as_path()).collect();
            assert_eq!(
                targets,
                [0, 1, 3]
                    .map(|n| format!("{n}.png"))
                    .each_ref()
                    .map(Path::new)
            );
            assert_eq!(found[0].references[0].shot.image, Path::new("1.png"));
            assert_eq!(found[2].references[0].shot.image, Path::new("1.png"));
            assert_eq!(pairs(&records, None, &rng).len(), 4);
        }
    }
}
