//! Synonyms from WordNet 3.0 (Princeton University; `assets/wordnet-3.0` has the licence and how the pack was made).
//!
//! The pack is a compressed text: a line `n dog domestic_dog` for each set of synonyms, with its part of speech and its
//! words of one part, and a line `N geese goose` for each form that is not made by rule. Words that WordNet writes with an
//! underscore are not in it; NLTK leaves them out as synonyms, too.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

static PACK: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/wordnet-3.0/synonyms.txt.zlib"
));

/// The ending of a form, and what the base form has instead.
type Ending = (&'static str, &'static str);

/// Parts of speech: how lines of sets and of forms begin, and how forms are made.
const SPEECH: [(&str, &str, &[Ending]); 4] = [
    (
        "n",
        "N",
        &[
            ("s", ""),
            ("ses", "s"),
            ("ves", "f"),
            ("xes", "x"),
            ("zes", "z"),
            ("ches", "ch"),
            ("shes", "sh"),
            ("men", "man"),
            ("ies", "y"),
        ],
    ),
    (
        "v",
        "V",
        &[
            ("s", ""),
            ("ies", "y"),
            ("es", "e"),
            ("es", ""),
            ("ed", "e"),
            ("ed", ""),
            ("ing", "e"),
            ("ing", ""),
        ],
    ),
    (
        "a",
        "A",
        &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")],
    ),
    ("r", "R", &[]),
];

/// What the pack says, for one part of speech.
#[derive(Default)]
struct Words {
    /// Lower-case word → the sets it is in.
    sets: FxHashMap<String, Vec<usize>>,
    /// Form → base forms.
    forms: FxHashMap<&'static str, Vec<&'static str>>,
}

/// The whole pack.
#[derive(Default)]
struct WordNet {
    speech: [Words; SPEECH.len()],
    sets: Vec<Vec<&'static str>>,
}

static WORDNET: LazyLock<WordNet> = LazyLock::new(|| WordNet::read(unpacked()));

/// The pack's text.
fn unpacked() -> &'static str {
    // Three times what it holds; a damaged pack leaves no synonyms, which a test would tell.
    const LIMIT: usize = 4 << 20;
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(PACK, LIMIT);
    let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    // Read once and kept for good.
    Box::leak(text.into_boxed_str())
}

/// The words that share a set with `word` or with one of its base forms, `word` itself among them where it is in one.
pub fn synonyms(word: &str) -> Vec<String> {
    let word = word.to_lowercase();
    let known = &*WORDNET;
    let mut all: FxHashSet<&str> = FxHashSet::default();
    for (words, (_, _, endings)) in known.speech.iter().zip(&SPEECH) {
        for base in words.bases(&word, endings) {
            let sets = words.sets.get(&base).into_iter().flatten();
            all.extend(
                sets.filter_map(|&set| known.sets.get(set))
                    .flatten()
                    .copied(),
            );
        }
    }
    all.into_iter().map(str::to_owned).collect()
}

impl WordNet {
    fn read(text: &'static str) -> Self {
        let mut pack = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let kind = words.next().unwrap_or_default();
            for (into, (set, form, _)) in pack.speech.iter_mut().zip(&SPEECH) {
                if kind == *set {
                    let members: Vec<&str> = words.clone().collect();
                    for member in &members {
                        into.sets
                            .entry(member.to_lowercase())
                            .or_default()
                            .push(pack.sets.len());
                    }
                    pack.sets.push(members);
                } else if kind == *form {
                    let mut words = words.clone();
                    if let Some(form) = words.next() {
                        into.forms.insert(form, words.collect());
                    }
                }
            }
        }
        pack
    }
}

impl Words {
    /// The word and its base forms: as listed, else by rule once.
    fn bases(&self, word: &str, endings: &[Ending]) -> Vec<String> {
        let mut bases = vec![word.to_owned()];
        match self.forms.get(word) {
            Some(listed) => bases.extend(listed.iter().map(|&base| base.to_owned())),
            None => bases.extend(endings.iter().filter_map(|(ending, with)| {
                let rest = word.strip_suffix(ending)?;
                Some(format!("{rest}{with}"))
            })),
        }
        bases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_forms_have_synonyms() {
        let of = |word: &str| synonyms(word);
        assert!(of("car").contains(&"automobile".to_owned()));
        assert!(of("cars").contains(&"automobile".to_owned()));
        assert!(of("ran").contains(&"run".to_owned()));
        assert!(of("geese").contains(&"goose".to_owned()));
        assert!(of("xyzzy").is_empty());
    }
}
