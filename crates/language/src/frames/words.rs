//! Words of concepts: WordNet's lemmas, the Open Multilingual Wordnet's, and lists of one's own.

use std::collections::HashMap;
use std::path::Path;

use super::wordnet::Synset;
use engine::SystemError;

/// Files above this are refused.
const LARGEST: u64 = 256 << 20;
/// Words of a list above this are refused.
const LONGEST: usize = 10_000;

/// A concept before it is a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConceptWords {
    /// Its name.
    pub name: String,
    /// Its words.
    pub lemmas: Vec<String>,
}

/// Lemmas by synset and language.
#[derive(Clone, Debug, Default)]
pub struct Multilingual {
    /// Key of the synset (`10787470-n`), language, lemma.
    entries: HashMap<String, Vec<(String, String)>>,
}

impl Multilingual {
    /// Reads a tab file of the Open Multilingual Wordnet: `10787470-n <TAB> fra:lemma <TAB> femme`. Definitions and
    /// examples are left out. `language` takes the place of the one that the lines name, such as `fra_wikt`.
    ///
    /// # Errors
    /// [`SystemError::Input`] with the file, and the line that is malformed.
    pub fn read(&mut self, path: &Path, language: Option<&str>) -> Result<(), SystemError> {
        for (number, line) in text(path)?.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let mut fields = line.split('\t');
            let (Some(key), Some(kind), Some(lemma)) =
                (fields.next(), fields.next(), fields.next())
            else {
                return Err(SystemError::Input(format!(
                    "line {} of `{}` is not `OFFSET-POS <TAB> LANGUAGE:lemma <TAB> WORD`: give a tab file of the Open Multilingual Wordnet",
                    number + 1,
                    path.display()
                )));
            };
            let (named, kind) = kind.split_once(':').unwrap_or(("", kind));
            if kind != "lemma" || lemma.trim().is_empty() {
                continue;
            }
            let language = language.unwrap_or(if named.is_empty() { "unknown" } else { named });
            self.add(key, language, lemma.trim());
        }
        Ok(())
    }

    /// One more lemma.
    pub fn add(&mut self, key: &str, language: &str, lemma: &str) {
        // Satellites count as adjectives.
        let key = key
            .strip_suffix("-s")
            .map_or(key.to_owned(), |offset| format!("{offset}-a"));
        let entry = (language.to_owned(), lemma.replace('_', " "));
        self.entries.entry(key).or_default().push(entry);
    }

    /// The synsets with their lemmas in `languages`; WordNet's own lemmas are those of `eng`. Sorted by name.
    pub fn concepts(&self, synsets: &[Synset], languages: &[String]) -> Vec<ConceptWords> {
        let wanted = |language: &str| languages.iter().any(|it| it == language);
        let mut concepts: Vec<ConceptWords> = synsets
            .iter()
            .map(|synset| {
                let mut lemmas = match wanted("eng") {
                    true => synset.lemmas.clone(),
                    false => Vec::new(),
                };
                let others = self.entries.get(&synset.key).into_iter().flatten();
                let others = others.filter(|(language, _)| wanted(language));
                lemmas.extend(others.map(|(_, lemma)| lemma.clone()));
                ConceptWords {
                    name: synset.name.clone(),
                    lemmas,
                }
            })
            .collect();
        concepts.sort_by(|a, b| a.name.cmp(&b.name));
        concepts
    }
}

/// A concept of the words in a file, one a line; `#` begins a comment. It is called as the file.
///
/// # Errors
/// [`SystemError::Input`] where there are none, or too many.
pub fn word_list(path: &Path) -> Result<ConceptWords, SystemError> {
    let text = text(path)?;
    let lines = text.lines().map(str::trim);
    let lemmas: Vec<String> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if lemmas.is_empty() || lemmas.len() > LONGEST {
        return Err(SystemError::Input(format!(
            "`{}` holds {} words: give 1 to {LONGEST}, one a line",
            path.display(),
            lemmas.len()
        )));
    }
    let name = path.file_stem().unwrap_or_default();
    Ok(ConceptWords {
        name: name.to_string_lossy().into_owned(),
        lemmas,
    })
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String, SystemError> {
    let cannot = |reason: String| {
        SystemError::Input(format!(
            "cannot read `{}`: {reason}; check the path",
            path.display()
        ))
    };
    let there = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?;
    if there.len() > LARGEST {
        return Err(cannot(format!("it has more than {} MB", LARGEST >> 20)));
    }
    let bytes = base::files::read(path).map_err(|error| cannot(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        SystemError::Input(format!(
            "`{}` is not UTF-8 from byte {at} on: save it as UTF-8",
            path.display()
        ))
    })
}

/// How a lemma is written in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// As it is.
    Bare,
    /// After a space.
    Leading,
    /// Before a space.
    Trailing,
    /// Between spaces.
    Both,
}

impl Variant {
    /// All of them: the paper's.
    pub const ALL: [Self; 4] = [Self::Bare, Self::Leading, Self::Trailing, Self::Both];

    /// `lemma`, written so.
    pub fn write(self, lemma: &str) -> String {
        match self {
            Self::Bare => lemma.to_owned(),
            Self::Leading => format!(" {lemma}"),
            Self::Trailing => format!("{lemma} "),
            Self::Both => format!(" {lemma} "),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tab_files_join_by_offset() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text =
            "# French\n1-n\tfra:lemma\tcrème_glacée\n1-n\tfra:def\t0\tdoux\n2-s\tfra:lemma\tbleu\n";
        std::fs::write(file.path(), text).unwrap();
        let mut words = Multilingual::default();
        words.read(file.path(), None).unwrap();
        let synset = |name: &str, key: &str| Synset {
            name: name.into(),
            key: key.into(),
            lemmas: vec!["ice cream".into()],
            gloss: String::new(),
        };
        let synsets = [synset("ice_cream.n.01", "1-n"), synset("blue.s.01", "2-a")];
        let all = words.concepts(&synsets, &["eng".into(), "fra".into()]);
        assert_eq!(all[1].lemmas, ["ice cream", "crème glacée"]);
        let french = words.concepts(&synsets, &["fra".into()]);
        assert_eq!(
            (&french[0].name[..], &french[0].lemmas[..]),
            ("blue.s.01", &["bleu".to_owned()][..])
        );
        std::fs::write(file.path(), "1-n fra:lemma femme\n").unwrap();
        let error = words.read(file.path(), None).unwrap_err().to_string();
        assert!(error.starts_with("line 1 of"), "{error}");
        std::fs::write(file.path(), "# nothing\n").unwrap();
        assert!(
            word_list(file.path())
                .unwrap_err()
                .to_string()
                .contains("0 words")
        );
    }
}
