//! Glosses and example sentences of WordNet, from the files that the user has.

pub(super) use crate::wordnet::ABSENT;
use crate::wordnet::{folder, senses};

/// Definitions and example sentences.
pub(super) struct Glosses {
    /// Definitions, in the order of the files.
    pub(super) definitions: Vec<String>,
    /// Sentences of at least five words.
    pub(super) examples: Vec<String>,
}

/// Reads all four parts of speech; none where WordNet is not here or a file is missing.
pub(super) fn read() -> Option<Glosses> {
    let folder = folder(None)?;
    let mut glosses = Glosses {
        definitions: Vec::new(),
        examples: Vec::new(),
    };
    for part in ["noun", "verb", "adj", "adv"] {
        for sense in senses(&folder, part)? {
            glosses.add(&sense.gloss);
        }
    }
    (!glosses.definitions.is_empty() && !glosses.examples.is_empty()).then_some(glosses)
}

impl Glosses {
    fn add(&mut self, gloss: &str) {
        for (at, part) in gloss.split('"').enumerate() {
            let text = part.trim_matches([' ', ';', ',']);
            match at % 2 {
                // Inside quotes.
                1 if text.split(' ').count() >= 5 => self.examples.push(text.to_owned()),
                0 if at == 0 && text.is_ascii() && !text.is_empty() => {
                    self.definitions.push(text.to_owned());
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gloss_is_a_definition_and_examples() {
        let mut glosses = Glosses {
            definitions: Vec::new(),
            examples: Vec::new(),
        };
        glosses.add("a small lamp; \"he lit the old brass lamp\"; \"too short\"");
        assert_eq!(glosses.definitions, ["a small lamp"]);
        assert_eq!(glosses.examples, ["he lit the old brass lamp"]);
    }
}
