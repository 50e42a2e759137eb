//! From what people type to words that a model knows, in any of the packs' languages.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a prompt that are read; the rest is ignored.
pub const MAX_CHARS: usize = 4_096;
/// Tokens that a prompt gives at most.
pub const MAX_TOKENS: usize = 256;
/// Characters of a word that are compared.
const MAX_WORD: usize = 64;

/// Splits a prompt into lower-case words (Unicode, NFKC) and emoji. Words end at spaces and punctuation and where
/// Chinese or Japanese writing begins or ends; an emoji with its skin tone is one token; U+FE0F and joiners vanish.
/// Reads the first [`MAX_CHARS`] characters and gives at most [`MAX_TOKENS`] tokens.
///
/// Chinese and Japanese runs stay whole here: [`Vocabulary::segment`] takes them apart.
pub fn normalise(prompt: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut last = Kind::Space;
    for c in prompt.chars().take(MAX_CHARS) {
        let kind = Kind::of(c);
        match kind {
            Kind::Dropped => continue,
            Kind::Tone if last == Kind::Emoji => {
                if let Some(emoji) = tokens.last_mut() {
                    String::push(emoji, c);
                }
            }
            Kind::Tone | Kind::Emoji => {
                finish(&mut word, &mut tokens);
                tokens.push(c.to_string());
            }
            Kind::Space => finish(&mut word, &mut tokens),
            // A mark belongs to the letter before it, whatever the script.
            Kind::Mark => {
                if !word.is_empty() {
                    word.push(c);
                }
                continue;
            }
            Kind::Spaced | Kind::Unspaced => {
                if kind != last {
                    finish(&mut word, &mut tokens);
                }
                word.push(c);
            }
        }
        last = kind;
    }
    finish(&mut word, &mut tokens);
    tokens.truncate(MAX_TOKENS);
    tokens
}

fn finish(word: &mut String, tokens: &mut Vec<String>) {
    if !word.is_empty() {
        tokens.push(word.nfkc().collect::<String>().to_lowercase());
        word.clear();
    }
}

/// What a character does in a prompt.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Vanishes: variation selectors, joiners.
    Dropped,
    /// Separates: spaces, punctuation, symbols.
    Space,
    /// A letter or digit of a script that puts spaces between words.
    Spaced,
    /// A letter of a script that does not: Han, kana.
    Unspaced,
    /// An accent or vowel sign on the letter before.
    Mark,
    Emoji,
    /// A skin tone for the emoji before.
    Tone,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            '\u{fe00}'..='\u{fe0f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{ad}' => {
                Self::Dropped
            }
            '\u{1f3fb}'..='\u{1f3ff}' => Self::Tone,
            _ if is_emoji(c) => Self::Emoji,
            _ if is_unspaced(c) => Self::Unspaced,
            _ if is_combining_mark(c) => Self::Mark,
            _ if c.is_alphanumeric() => Self::Spaced,
            _ => Self::Space,
        }
    }
}

/// Pictographs, and the older symbols that are drawn as pictures.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2300}'..='\u{23ff}'
        | '\u{25aa}'..='\u{25ff}' | '\u{2b05}'..='\u{2b55}' | '\u{2934}' | '\u{2935}'
        | '\u{2190}'..='\u{21ff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{203c}' | '\u{2049}')
}

fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}')
}

/// Known words, each with its number. Serialised as the list of words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Vocabulary {
    words: Vec<String>,
    ids: HashMap<String, u32>,
    /// Characters of the longest word.
    longest: usize,
}

impl From<Vec<String>> for Vocabulary {
    fn from(words: Vec<String>) -> Self {
        Self::new(words)
    }
}

impl From<Vocabulary> for Vec<String> {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.words
    }
}

impl Vocabulary {
    /// A vocabulary of `words` as [`normalise`] spells them, numbered in order. Of equal words the first counts.
    pub fn new(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut vocabulary = Self::default();
        for word in words {
            let word = word.into();
            if !vocabulary.ids.contains_key(&word) {
                vocabulary.longest = vocabulary.longest.max(word.chars().count());
                let id = vocabulary.words.len() as u32;
                vocabulary.ids.insert(word.clone(), id);
                vocabulary.words.push(word);
            }
        }
        vocabulary
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// All words in the order of their numbers.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The number of a word.
    pub fn id(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// The word of a number.
    pub fn word(&self, id: u32) -> Option<&str> {
        self.words.get(id as usize).map(String::as_str)
    }

    /// The tokens of a prompt, with unspaced runs taken apart: [`normalise`], then [`Self::segment`]; at most
    /// [`MAX_TOKENS`].
    pub fn tokens(&self, prompt: &str) -> Vec<String> {
        let normal = normalise(prompt);
        let parts = normal.iter().flat_map(|token| self.segment(token));
        parts.take(MAX_TOKENS).map(str::to_owned).collect()
    }

    /// Takes one token apart. A known one stays whole. A Chinese or Japanese run is cut from the left into the longest
    /// known words, unknown characters one by one. From a Korean word the longest known beginning of two syllables or
    /// more is cut, which frees nouns of their particles. Anything else stays whole.
    pub fn segment<'a>(&self, token: &'a str) -> Vec<&'a str> {
        if self.id(token).is_some() {
            return vec![token];
        }
        if token.chars().any(is_unspaced) {
            let mut parts = Vec::new();
            let mut rest = token;
            while let Some(first) = rest.chars().next() {
                let end = self.longest_beginning(rest, 1).unwrap_or(first.len_utf8());
                let (part, after) = rest.split_at(end);
                parts.push(part);
                rest = after;
            }
            return parts;
        }
        if token.chars().all(is_hangul)
            && let Some(end) = self.longest_beginning(token, 2)
        {
            let (noun, particle) = token.split_at(end);
            return vec![noun, particle];
        }
        vec![token]
    }

    /// Where the longest known word at the beginning of `text` ends, in bytes; not below `least` characters.
    fn longest_beginning(&self, text: &str, least: usize) -> Option<usize> {
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let ends: Vec<usize> = ends.take(self.longest.min(MAX_WORD)).collect();
        let long_enough = ends.get(least.checked_sub(1)?..)?;
        let mut longest_first = long_enough.iter().rev();
        longest_first
            .find(|end| self.id(&text[..**end]).is_some())
            .copied()
    }

    /// Up to `n` known words that look like `word`, the likeliest first: by the share of letters that must change (at
    /// most half), then by a common beginning, then by number. The first 64 characters count.
    pub fn nearest(&self, word: &str, n: usize) -> Vec<&str> {
        let wanted: String = word
            .chars()
            .take(MAX_WORD)
            .collect::<String>()
            .to_lowercase();
        let length = wanted.chars().count();
        let mut found: Vec<(f64, f64, &str)> = Vec::new();
        for known in &self.words {
            let cut = known.char_indices().nth(MAX_WORD).map(|(at, _)| at);
            let compared = &known[..cut.unwrap_or(known.len())];
            let other = compared.chars().count();
            let longer = length.max(other);
            // As many letters must change as the lengths differ by: no need to look closer.
            if longer == 0 || length.abs_diff(other) * 2 > longer {
                continue;
            }
            let share = strsim::osa_distance(&wanted, compared) as f64 / longer as f64;
            if share <= 0.5 {
                found.push((share, -strsim::jaro_winkler(&wanted, compared), known));
            }
        }
        // The sort is stable: equal ones stay in the order of their numbers.
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        found
            .into_iter()
            .take(n)
            .map(|(_, _, known)| known)
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "lexicon_tests.rs"]
mod tests;
