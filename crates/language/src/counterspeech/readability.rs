//! How easily a text is read, for English.

use serde::{Deserialize, Serialize};

/// Counts of a text, and Flesch's reading ease of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Readability {
    /// Words: runs of letters, digits and apostrophes.
    pub words: usize,
    /// Sentences: runs of `.`, `!` and `?` after words; 1 for a text without any.
    pub sentences: usize,
    /// Groups of vowels (`aeiouy`), at least one a word.
    pub syllables: usize,
}

impl Readability {
    /// Counts those of `text`.
    pub fn of(text: &str) -> Self {
        let words = words(text);
        let syllables = words.iter().map(|word| syllables(word)).sum();
        Self {
            words: words.len(),
            sentences: sentences(text),
            syllables,
        }
    }

    /// Flesch's reading ease, `206.835 − 1.015·words/sentences − 84.6·syllables/words`; none without words.
    pub fn flesch(&self) -> Option<f64> {
        let [words, sentences, syllables] =
            [self.words, self.sentences, self.syllables].map(|count| count as f64);
        (self.words > 0 && self.sentences > 0)
            .then(|| 206.835 - 1.015 * words / sentences - 84.6 * syllables / words)
    }

    /// Words a sentence.
    pub fn sentence_length(&self) -> f64 {
        self.words as f64 / self.sentences.max(1) as f64
    }
}

/// Runs of letters, digits and apostrophes that hold a letter or digit.
pub(super) fn words(text: &str) -> Vec<&str> {
    let parts = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’'));
    let parts = parts.map(|part| part.trim_matches(['\'', '’']));
    parts.filter(|part| !part.is_empty()).collect()
}

fn sentences(text: &str) -> usize {
    let parts = text.split(['.', '!', '?']);
    let spoken = parts.filter(|part| part.chars().any(char::is_alphanumeric));
    spoken.count().max(1)
}

fn syllables(word: &str) -> usize {
    let vowel = |c: char| matches!(c.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    let groups = word.split(|c| !vowel(c)).filter(|group| !group.is_empty());
    groups.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        let found = Readability::of("Don't shout... Hmm? 'Yes', people say!");
        assert_eq!(
            found,
            Readability {
                words: 6,
                sentences: 3,
                syllables: 7
            }
        );
        assert_eq!(Readability::of("...").flesch(), None);
        let flesch = Readability::of("I see a cat").flesch();
        assert!(flesch.is_some_and(|it| (it - (206.835 - 1.015 * 4.0 - 84.6)).abs() < 1e-12));
    }
}
