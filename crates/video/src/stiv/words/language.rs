//! One language: what its words mean, and which word of a phrase the others describe.

use std::collections::{HashMap, HashSet};

use engine::data::lexicon::normalise;

use super::colour::Colour;
use super::fold::{fold, stem};

/// Most words of a phrase that is looked for as a whole.
pub const LONGEST_PHRASE: usize = 5;
/// Weights of what stands beside the subject, of what describes it, and of a colour.
const BESIDE: f32 = 0.35;
const DESCRIBES: f32 = 0.6;
const COLOUR: f32 = 0.25;

/// A word of a prompt, or a phrase that is known as a whole.
pub struct Part {
    /// As tables have it: without endings.
    pub key: String,
    /// As it was typed.
    pub shown: String,
    /// Which phrase of the prompt it is in, from 0.
    pub phrase: usize,
    /// Whether it is a colour, and one that pictures are looked at for.
    pub colour: Option<Option<Colour>>,
}

/// A prompt taken apart.
pub struct Taken {
    pub parts: Vec<Part>,
    /// Small words of the language that were dropped.
    pub small: usize,
}

type Table = HashMap<String, Vec<u16>>;

/// Words of a language.
pub struct Language {
    pub code: String,
    small: HashSet<String>,
    places: HashSet<String>,
    colours: HashMap<String, Option<Colour>>,
    names: Table,
    keywords: Table,
    in_names: Table,
    in_keywords: Table,
    /// How the words are written that keys stand for.
    written: HashMap<String, String>,
    /// Characters of the longest name or keyword, in a language without spaces.
    longest: usize,
}

impl Language {
    /// A language that knows nothing yet.
    pub fn new(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            small: HashSet::new(),
            places: HashSet::new(),
            colours: HashMap::new(),
            names: Table::new(),
            keywords: Table::new(),
            in_names: Table::new(),
            in_keywords: Table::new(),
            written: HashMap::new(),
            longest: 1,
        }
    }

    /// Small words of a kind: `small`, `place` or a colour.
    pub fn add_small(&mut self, kind: &str, words: &str) {
        let words: Vec<String> = words.split(' ').map(fold).collect();
        match kind {
            "small" => self.small.extend(words),
            "place" => self.places.extend(words),
            _ => {
                let colour = Colour::named(kind);
                let stems: Vec<String> = words.iter().map(|word| stem(&self.code, word)).collect();
                let both = words.into_iter().chain(stems);
                self.colours.extend(both.map(|word| (word, colour)));
            }
        }
    }

    /// Names and keywords of a subject, with `|` between them.
    pub fn add(&mut self, subject: u16, names: &str, words: &str) {
        for (text, name) in [(names, true), (words, false)] {
            for phrase in text.split('|').filter(|phrase| !phrase.is_empty()) {
                let words = normalise(phrase);
                let stems = self.stems(&words);
                // Several names in one: `car, automobile`.
                let pieces = phrase.split(", ").filter(|piece| *piece != phrase);
                let pieces = pieces.map(|piece| self.stems(&normalise(piece)));
                let keys = std::iter::once(self.key(&stems)).chain(pieces.map(|it| self.key(&it)));
                for key in keys.collect::<Vec<_>>() {
                    self.longest = self.longest.max(key.chars().count());
                    let table = if name {
                        &mut self.names
                    } else {
                        &mut self.keywords
                    };
                    put(table, key, subject);
                }
                if self.spaced() {
                    for (word, stem) in words.into_iter().zip(&stems) {
                        // A word without endings is itself.
                        match word == *stem {
                            true => drop(self.written.insert(stem.clone(), word)),
                            false => drop(self.written.entry(stem.clone()).or_insert(word)),
                        }
                    }
                }
                if self.spaced() && (name || stems.len() > 1) {
                    let table = if name {
                        &mut self.in_names
                    } else {
                        &mut self.in_keywords
                    };
                    stems.into_iter().for_each(|stem| put(table, stem, subject));
                }
            }
        }
    }

    /// Whether spaces part words.
    fn spaced(&self) -> bool {
        !matches!(self.code.as_str(), "zh" | "ja")
    }

    fn stems(&self, words: &[String]) -> Vec<String> {
        let folded = words.iter().map(|word| fold(word));
        match self.spaced() {
            true => folded.map(|word| stem(&self.code, &word)).collect(),
            false => folded.collect(),
        }
    }

    fn key(&self, stems: &[String]) -> String {
        self.join(stems.iter().map(String::as_str))
    }

    /// The key of a phrase out of those of its words.
    pub fn join<'a>(&self, keys: impl Iterator<Item = &'a str>) -> String {
        let space = if self.spaced() { " " } else { "" };
        keys.collect::<Vec<_>>().join(space)
    }

    /// Subjects of that whole name.
    pub fn names(&self, key: &str) -> &[u16] {
        get(&self.names, key)
    }

    /// Subjects of that whole keyword.
    pub fn keywords(&self, key: &str) -> &[u16] {
        get(&self.keywords, key)
    }

    /// Subjects with that word in a name.
    pub fn in_names(&self, key: &str) -> &[u16] {
        get(&self.in_names, key)
    }

    /// Subjects with that word in a keyword of several words.
    pub fn in_keywords(&self, key: &str) -> &[u16] {
        get(&self.in_keywords, key)
    }

    /// The known word that a mistyped one is nearest to: by how many slips, its key, and how it is written. None where none is so
    /// near that the other is hardly meant.
    pub fn correction(&self, typed: &str) -> Option<(usize, String, String)> {
        if !self.spaced() {
            return None;
        }
        let folded = fold(typed);
        let forms = [stem(&self.code, &folded), folded];
        let tables = [
            (&self.names, 0),
            (&self.in_names, 0),
            (&self.keywords, 1),
            (&self.in_keywords, 1),
        ];
        let mut best: Option<(usize, usize, usize, &str)> = None;
        for (table, level) in tables {
            for known in table.keys().filter(|key| !key.contains(' ')) {
                let far = forms.iter().filter_map(|form| mistyped(form, known)).min();
                let Some(far) = far else {
                    continue;
                };
                // Without its ending another word may look alike (`chatt`, Spanish `chatitas`).
                let written = self.written.get(known).map_or(known, |written| written);
                let whole = forms
                    .iter()
                    .map(|form| strsim::osa_distance(form, &fold(written)));
                if whole.min().is_none_or(|whole| whole > far + 1) {
                    continue;
                }
                // `elefant` is rather an elephant, the name of a subject, than elegant, a keyword of some.
                let rank = (far + level, level, far, known.as_str());
                if best.is_none_or(|other| rank < other) {
                    best = Some(rank);
                }
            }
        }
        let (_, _, far, key) = best?;
        let written = self.written.get(key).map_or(key, String::as_str);
        Some((far, key.to_owned(), written.to_owned()))
    }

    fn is_whole(&self, key: &str) -> bool {
        self.names.contains_key(key) || self.keywords.contains_key(key)
    }

    /// Whether any subject has a word.
    pub fn is_subject(&self, key: &str) -> bool {
        self.is_whole(key) || self.in_names.contains_key(key) || self.in_keywords.contains_key(key)
    }

    /// Whether a word, as typed, is a colour here, or a small word.
    pub fn is_small(&self, typed: &str) -> bool {
        let folded = fold(typed);
        self.is_colour(typed) || self.small.contains(&folded) || self.places.contains(&folded)
    }

    /// Whether a word, as typed, is of the name of a subject here.
    pub fn is_name(&self, typed: &str) -> bool {
        let key = stem(&self.code, &fold(typed));
        self.names.contains_key(&key) || self.in_names.contains_key(&key)
    }

    /// Whether a word, as typed, is a colour here.
    pub fn is_colour(&self, typed: &str) -> bool {
        let folded = fold(typed);
        self.colours.contains_key(&folded) || self.colours.contains_key(&stem(&self.code, &folded))
    }

    fn is_known(&self, word: &str) -> bool {
        self.is_whole(word)
            || self.small.contains(word)
            || self.places.contains(word)
            || self.colours.contains_key(word)
    }

    /// The words of a prompt taken apart; where all are small, one of them is meant.
    pub fn taken(&self, words: &[String]) -> Taken {
        let taken = self.parts(words, false);
        match taken.parts.is_empty() {
            true => self.parts(words, true),
            false => taken,
        }
    }

    /// Takes the words of a prompt (as [`normalise`] gives them) apart; small words are dropped unless `keep_small`.
    fn parts(&self, words: &[String], keep_small: bool) -> Taken {
        let mut cut: Vec<(String, String)> = Vec::new();
        for word in words {
            let folded = fold(word);
            match self.spaced() {
                true => cut.push((folded, word.clone())),
                false => cut.extend(
                    self.segment(&folded)
                        .into_iter()
                        .map(|part| (part.clone(), part)),
                ),
            }
        }
        let stem = |word: &str| stem(&self.code, word);
        let mut taken = Taken {
            parts: Vec::new(),
            small: 0,
        };
        let (mut at, mut phrase) = (0, 0);
        while let Some((word, shown)) = cut.get(at) {
            let some = !taken.parts.is_empty();
            let (key, length) = self.longest_phrase(&cut[at..], &stem);
            at += length;
            if length == 1 && !keep_small {
                if self.places.contains(word) {
                    taken.small += 1;
                    phrase += usize::from(some);
                    continue;
                }
                if self.small.contains(word) {
                    taken.small += 1;
                    continue;
                }
                // What the subject does: `a frog sitting`.
                let does = self.code == "en" && word.len() > 5 && word.ends_with("ing");
                if some && does && !self.names.contains_key(&key) {
                    phrase += 1;
                }
            }
            let shown = match length {
                1 => shown.clone(),
                _ => self.join(cut[at - length..at].iter().map(|(_, shown)| shown.as_str())),
            };
            let colour = self.colours.get(word).or_else(|| self.colours.get(&key));
            let colour = colour.copied().filter(|_| length == 1);
            taken.parts.push(Part {
                key,
                shown,
                phrase,
                colour,
            });
        }
        taken
    }

    /// The key of the longest known phrase that `words` begin with, and how many words it takes; of none, that of the first
    /// word.
    fn longest_phrase(
        &self,
        words: &[(String, String)],
        stem: &dyn Fn(&str) -> String,
    ) -> (String, usize) {
        let first = &words[0].0;
        if self.spaced() && !self.small.contains(first) {
            for length in (2..=words.len().min(LONGEST_PHRASE)).rev() {
                let stems: Vec<String> =
                    words[..length].iter().map(|(word, _)| stem(word)).collect();
                let key = stems.join(" ");
                if self.is_whole(&key) {
                    return (key, length);
                }
            }
        }
        (stem(first), 1)
    }

    /// Cuts writing without spaces from the left into the longest known words.
    fn segment(&self, text: &str) -> Vec<String> {
        let letters: Vec<char> = text.chars().collect();
        let (mut at, mut words) = (0, Vec::new());
        while at < letters.len() {
            let most = self.longest.min(letters.len() - at);
            let part = |length: usize| letters[at..at + length].iter().collect::<String>();
            let known = (1..=most)
                .rev()
                .find(|&length| self.is_known(&part(length)));
            let length = known.unwrap_or(1);
            words.push(part(length));
            at += length;
        }
        words
    }

    /// The part that the others of the first phrase describe.
    pub fn head(&self, parts: &[Part]) -> Option<usize> {
        let weights = self.weights(parts);
        weights.iter().position(|weight| *weight == 1.0)
    }

    /// How much each part counts: the word that the others describe most, what stands beside it least.
    pub fn weights(&self, parts: &[Part]) -> Vec<f32> {
        let last = matches!(self.code.as_str(), "zh" | "ja" | "ko" | "hi" | "bn" | "ur");
        let first = matches!(self.code.as_str(), "fr" | "es" | "ar");
        let head = |phrase: usize| {
            let mut nouns = (0..parts.len())
                .filter(|&at| parts[at].colour.is_none() && (last || parts[at].phrase == phrase));
            if first {
                nouns.next()
            } else {
                nouns.next_back()
            }
        };
        let weight = |(at, part): (usize, &Part)| {
            let beside = if part.phrase > 0 && !last {
                BESIDE
            } else {
                1.0
            };
            let describes = if head(part.phrase) == Some(at) {
                1.0
            } else {
                DESCRIBES
            };
            let colour = if part.colour.is_some() { COLOUR } else { 1.0 };
            beside * describes * colour
        };
        parts.iter().enumerate().map(weight).collect()
    }
}

/// By how many slips `typed` is `known` mistyped; none where it is another word. People rarely mistype the first letter, and
/// short words with another letter are other words (`sofa`, `soda`).
fn mistyped(typed: &str, known: &str) -> Option<usize> {
    let (length, other) = (typed.chars().count(), known.chars().count());
    let most = match length.min(other) {
        ..4 => 0,
        4..7 => 1,
        _ => 2,
    };
    if length.abs_diff(other) > most || typed == known {
        return None;
    }
    let swapped = |a: &str, b: &str| a.chars().nth(1) == b.chars().next();
    let begin = typed.chars().next() == known.chars().next()
        || swapped(typed, known) && swapped(known, typed);
    let far = strsim::osa_distance(typed, known);
    let mut pairs = typed.chars().zip(known.chars()).filter(|(a, b)| a != b);
    let swap = length == other && pairs.by_ref().count() == 2;
    let other_word = length.max(other) < 5 && length == other && !swap;
    (begin && far <= most && !other_word).then_some(far)
}

fn put(table: &mut Table, key: String, subject: u16) {
    if key.is_empty() {
        return;
    }
    let subjects = table.entry(key).or_default();
    if !subjects.contains(&subject) {
        subjects.push(subject);
    }
}

fn get<'a>(table: &'a Table, key: &str) -> &'a [u16] {
    table.get(key).map_or(&[], Vec::as_slice)
}
