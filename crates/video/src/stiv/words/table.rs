//! The packs of words as tables.

use std::collections::HashMap;

use engine::data::pack::PackError;

use super::language::Language;

static WORDS: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/emoji-words/words.tsv.zlib"
));
static SMALL: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/emoji-words/small.tsv"
));
/// Bytes that the pack unpacks to at most.
const LARGEST: usize = 4 << 20;

/// Lines of the packs.
pub struct Table {
    words: String,
}

impl Table {
    /// The tables inside the program.
    ///
    /// # Errors
    /// [`PackError`] where the pack is broken.
    pub fn embedded() -> Result<Self, PackError> {
        let broken = |cause: String| PackError::Index {
            file: "words.tsv".into(),
            line: 1,
            cause,
        };
        let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(WORDS, LARGEST)
            .map_err(|cause| broken(cause.to_string()))?;
        let words = String::from_utf8(bytes).map_err(|cause| broken(cause.to_string()))?;
        Ok(Self { words })
    }

    /// What the tables hold of one language; subjects count by `codes`.
    pub fn language(&self, code: &str, codes: &[String]) -> Language {
        let places: HashMap<&str, u16> = codes.iter().map(String::as_str).zip(0..).collect();
        let mut language = Language::new(code);
        for line in SMALL.lines() {
            if let [of, kind, words] = fields(line)
                && of == code
            {
                language.add_small(kind, words);
            }
        }
        for line in self.words.lines() {
            if let [subject, of, names, words] = fields(line)
                && of == code
                && let Some(&subject) = places.get(subject)
            {
                language.add(subject, names, words);
            }
        }
        language
    }
}

/// The fields of a line; empty where there are more or fewer.
fn fields<const N: usize>(line: &str) -> [&str; N] {
    let mut fields = line.split('\t');
    let mut whole = true;
    let found = std::array::from_fn(|_| {
        fields.next().unwrap_or_else(|| {
            whole = false;
            ""
        })
    });
    match whole && fields.next().is_none() {
        true => found,
        false => [""; N],
    }
}
