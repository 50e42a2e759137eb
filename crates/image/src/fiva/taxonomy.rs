//! Attributes and subjects: seven groups of visual attributes with their entries, major subjects with what is under each, and
//! which entry makes sense on which.

use std::collections::BTreeSet;
use std::path::Path;

use base::rng::Rng;
use serde::{Deserialize, Serialize};

use super::SystemError;

/// Stands for the subject in an entry's sentence.
pub const PLACEHOLDER: &str = "[sks]";
/// Largest taxonomy that is read, in bytes.
const LARGEST: u64 = 64 << 20;
/// The taxonomy that ships, in our own words.
const OURS: &str = include_str!("taxonomy.json");

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Taxonomy {
    /// Groups of attributes, in the paper's order.
    pub groups: Vec<Group>,
    /// Major subjects.
    pub subjects: Vec<Subject>,
}

/// A group of attributes, such as `color`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Words by which it is asked for; the first is the usual one.
    pub tags: Vec<String>,
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// One attribute, such as `dark green`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    /// A few words, or a sentence with `[sks]` in the place of the subject.
    pub text: String,
    /// Major subjects on which it makes sense; all where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
}

/// A major subject with concrete ones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Subject {
    /// Its name, such as `animal`.
    pub name: String,
    /// Concrete subjects, such as `a grey cat`.
    pub subs: Vec<String>,
}

impl Entry {
    /// Whether it is a sentence around its subject.
    pub fn is_template(&self) -> bool {
        self.text.contains(PLACEHOLDER)
    }

    /// Whether it makes sense on a major subject.
    pub fn suits(&self, major: &str) -> bool {
        self.subjects.is_empty() || self.subjects.iter().any(|name| name == major)
    }
}

/// A prompt with what it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Prompt {
    /// Its number.
    pub idx: usize,
    /// What a text-to-image model is given.
    pub prompt: String,
    /// The major subject.
    pub major: String,
    /// The concrete one.
    pub subject: String,
    /// Group and entry of each attribute.
    pub attributes: Vec<(String, String)>,
}

impl Taxonomy {
    /// The taxonomy that ships.
    ///
    /// # Errors
    /// None: it is tested.
    pub fn ours() -> Result<Self, SystemError> {
        Self::parse(OURS.as_bytes(), "the embedded taxonomy")
    }

    /// A taxonomy from a JSON file, or the one that ships.
    ///
    /// # Errors
    /// [`SystemError::Input`] when it cannot be read or contradicts itself.
    pub fn open(path: Option<&Path>) -> Result<Self, SystemError> {
        let Some(path) = path else {
            return Self::ours();
        };
        let unread = |cause: std::io::Error| {
            SystemError::input(format!(
                "cannot read the taxonomy `{}`: {cause}; `orrery fiva data taxonomy --out FILE` writes one to begin with",
                path.display()
            ))
        };
        if std::fs::metadata(path).map_err(unread)?.len() > LARGEST {
            return Err(SystemError::input(format!(
                "`{}` is larger than any taxonomy",
                path.display()
            )));
        }
        Self::parse(
            &base::files::read(path).map_err(unread)?,
            &path.display().to_string(),
        )
    }

    fn parse(bytes: &[u8], origin: &str) -> Result<Self, SystemError> {
        let taxonomy: Self = serde_json::from_slice(bytes).map_err(|error| {
            SystemError::input(format!("`{origin}` is not a taxonomy: {error}"))
        })?;
        taxonomy
            .check()
            .map_err(|line| SystemError::input(format!("`{origin}`: {line}")))?;
        Ok(taxonomy)
    }

    fn check(&self) -> Result<(), String> {
        let twice = |names: Vec<&String>, what: &str| {
            let mut seen = BTreeSet::new();
            let again = names.into_iter().find(|name| !seen.insert(*name));
            again.map_or(Ok(()), |name| {
                Err(format!("{what} `{name}` stands in it twice"))
            })
        };
        twice(self.groups.iter().map(|it| &it.name).collect(), "the group")?;
        twice(
            self.subjects.iter().map(|it| &it.name).collect(),
            "the subject",
        )?;
        let majors: BTreeSet<&String> = self.subjects.iter().map(|it| &it.name).collect();
        for subject in &self.subjects {
            if subject.subs.is_empty() {
                return Err(format!("nothing is under the subject `{}`", subject.name));
            }
        }
        for group in &self.groups {
            if group.tags.is_empty() || group.entries.is_empty() {
                return Err(format!("the group `{}` needs tags and entries", group.name));
            }
            twice(
                group.entries.iter().map(|it| &it.text).collect(),
                "the entry",
            )?;
            for entry in &group.entries {
                if let Some(name) = entry.subjects.iter().find(|name| !majors.contains(name)) {
                    return Err(format!(
                        "the entry `{}` names the subject `{name}`, which is not there",
                        entry.text
                    ));
                }
            }
        }
        match self.groups.is_empty() || self.subjects.is_empty() {
            true => Err("it needs groups and subjects".into()),
            false => Ok(()),
        }
    }

    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The group that a tag asks for, by its name or one of its words.
    pub fn group_of(&self, tag: &str) -> Option<&Group> {
        let is = |group: &&Group| group.name == tag || group.tags.iter().any(|word| word == tag);
        self.groups.iter().find(is)
    }

    /// The major subject over a concrete one.
    pub fn major_of(&self, subject: &str) -> Option<&str> {
        let over = |it: &&Subject| it.subs.iter().any(|sub| sub == subject) || it.name == subject;
        Some(self.subjects.iter().find(over)?.name.as_str())
    }

    /// `count` prompts: one to three entries of different groups, at most one of them a sentence, on a subject that suits all.
    ///
    /// Entries are joined with commas, the subject last; a sentence takes the subject in.
    pub fn prompts(&self, count: usize, rng: &Rng) -> Vec<Prompt> {
        (0..count)
            .filter_map(|idx| self.prompt(idx, &mut rng.item(idx as u64)))
            .collect()
    }

    fn prompt(&self, idx: usize, rng: &mut Rng) -> Option<Prompt> {
        // Rare entries suit few subjects: a draw that fits none is drawn again.
        for _ in 0..100 {
            let mut groups: Vec<&Group> = self.groups.iter().collect();
            rng.shuffle(&mut groups);
            let wanted = 1 + rng.below(3);
            let mut chosen: Vec<(&Group, &Entry)> = Vec::new();
            for group in groups {
                let entry = &group.entries[rng.below(group.entries.len())];
                let second = entry.is_template() && chosen.iter().any(|(_, it)| it.is_template());
                if chosen.len() < wanted && !second {
                    chosen.push((group, entry));
                }
            }
            let suits = |major: &&Subject| chosen.iter().all(|(_, entry)| entry.suits(&major.name));
            let majors: Vec<&Subject> = self.subjects.iter().filter(suits).collect();
            if majors.is_empty() {
                continue;
            }
            let major = majors[rng.below(majors.len())];
            let subject = &major.subs[rng.below(major.subs.len())];
            let sentence = chosen.iter().find(|(_, entry)| entry.is_template());
            let last = match sentence {
                Some((_, entry)) => entry.text.replace(PLACEHOLDER, subject),
                None => subject.clone(),
            };
            let mut parts: Vec<&str> = chosen
                .iter()
                .filter(|(_, entry)| !entry.is_template())
                .map(|(_, entry)| entry.text.as_str())
                .collect();
            parts.push(&last);
            return Some(Prompt {
                idx,
                prompt: parts.join(", "),
                major: major.name.clone(),
                subject: subject.clone(),
                attributes: chosen
                    .iter()
                    .map(|(group, entry)| (group.name.clone(), entry.text.clone()))
                    .collect(),
            });
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_whole_and_makes_prompts_that_keep_to_it() {
        let taxonomy = Taxonomy::ours().unwrap();
        assert_eq!(taxonomy.groups.len(), 7);
        let prompts = taxonomy.prompts(300, &Rng::new(5));
        assert_eq!(prompts.len(), 300);
        assert_eq!(prompts, taxonomy.prompts(300, &Rng::new(5)));
        for prompt in &prompts {
            assert!((1..=3).contains(&prompt.attributes.len()), "{prompt:?}");
            assert!(prompt.prompt.contains(&prompt.subject) && !prompt.prompt.contains('['));
            assert_eq!(
                taxonomy.major_of(&prompt.subject),
                Some(prompt.major.as_str())
            );
            for (group, text) in &prompt.attributes {
                let group = taxonomy.group(group).unwrap();
                let entry = group.entries.iter().find(|it| it.text == *text).unwrap();
                assert!(entry.suits(&prompt.major));
            }
        }
        // Every group and every major subject comes up.
        for group in &taxonomy.groups {
            assert!(
                prompts
                    .iter()
                    .any(|it| it.attributes.iter().any(|(name, _)| *name == group.name))
            );
        }
        assert_eq!(taxonomy.group_of("palette").unwrap().name, "color");
    }
}
