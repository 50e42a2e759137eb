//! A small language model of a community: interpolated Kneser–Ney over characters.

use std::collections::{BTreeMap, BTreeSet};

/// Longest context, in characters.
const CONTEXT: usize = 4;
/// What is taken from every count.
const DISCOUNT: f64 = 0.75;
/// Characters that a text may hold besides those that were seen.
const UNSEEN: f64 = 256.0;
/// Begins a text.
const BEGIN: char = '\u{2}';
/// Ends a text.
const END: char = '\u{3}';

/// An n-gram model of order 5 over characters.
#[derive(Clone, Debug)]
pub struct CharacterModel {
    /// For each length of context: what follows it, and how often. Below the longest, in how many different places.
    levels: Vec<BTreeMap<Vec<char>, Followers>>,
    alphabet: f64,
}

#[derive(Clone, Debug, Default)]
struct Followers {
    counts: BTreeMap<char, f64>,
    sum: f64,
}

impl CharacterModel {
    /// Learns from texts; none without any.
    pub fn learn<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut longest: BTreeMap<Vec<char>, BTreeMap<char, f64>> = BTreeMap::new();
        let mut alphabet = BTreeSet::new();
        for text in texts {
            let characters = characters(text);
            for window in characters.windows(CONTEXT + 1) {
                let (context, next) = window.split_at(CONTEXT);
                let followers = longest.entry(context.to_vec()).or_default();
                *followers.entry(next[0]).or_default() += 1.0;
                alphabet.insert(next[0]);
            }
        }
        if longest.is_empty() {
            return None;
        }
        let mut levels = vec![longest];
        for _ in 0..CONTEXT {
            // A character counts once for each character before the context.
            let mut shorter: BTreeMap<Vec<char>, BTreeMap<char, f64>> = BTreeMap::new();
            for (context, followers) in levels.last()? {
                let entry = shorter.entry(context[1..].to_vec()).or_default();
                followers
                    .keys()
                    .for_each(|&next| *entry.entry(next).or_default() += 1.0);
            }
            levels.push(shorter);
        }
        let with_sums = |level: BTreeMap<Vec<char>, BTreeMap<char, f64>>| {
            let entries = level.into_iter().map(|(context, counts)| {
                let sum = counts.values().sum();
                (context, Followers { counts, sum })
            });
            entries.collect()
        };
        Some(Self {
            levels: levels.into_iter().rev().map(with_sums).collect(),
            alphabet: alphabet.len() as f64 + UNSEEN,
        })
    }

    /// Mean loss of a character, in bits; none for a text without any.
    pub fn loss(&self, text: &str) -> Option<f64> {
        let characters = characters(text);
        let count = characters.len() - CONTEXT;
        if count < 2 {
            return None;
        }
        let windows = characters.windows(CONTEXT + 1);
        let bits =
            windows.map(|window| -self.probability(&window[..CONTEXT], window[CONTEXT]).log2());
        Some(bits.sum::<f64>() / count as f64)
    }

    fn probability(&self, context: &[char], next: char) -> f64 {
        let mut probability = 1.0 / self.alphabet;
        for (length, level) in self.levels.iter().enumerate() {
            let Some(followers) = level.get(&context[CONTEXT - length..]) else {
                break;
            };
            let count = followers.counts.get(&next).copied().unwrap_or(0.0);
            let kept = (count - DISCOUNT).max(0.0) / followers.sum;
            let left = DISCOUNT * followers.counts.len() as f64 / followers.sum;
            probability = kept + left * probability;
        }
        probability
    }
}

/// Characters of a text between its begin and its end; runs of white space are one space.
fn characters(text: &str) -> Vec<char> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let begin = std::iter::repeat_n(BEGIN, CONTEXT);
    let inside: Vec<char> = words.join(" ").chars().collect();
    begin.chain(inside).chain([END]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one() {
        let model = CharacterModel::learn(["ahoy mate", "ahoy there"]).unwrap();
        let seen: BTreeSet<char> = model.levels[0][&Vec::<char>::new()]
            .counts
            .keys()
            .copied()
            .collect();
        for context in ["ahoy", "mate", "zzzz", "y mz"] {
            let context: Vec<char> = context.chars().collect();
            let sum: f64 = seen.iter().map(|&c| model.probability(&context, c)).sum();
            let unseen = UNSEEN * model.probability(&context, '☃');
            assert!((sum + unseen - 1.0).abs() < 1e-9, "{sum} {unseen}");
        }
    }

    #[test]
    fn its_own_texts_cost_less() {
        let model = CharacterModel::learn(["Ahoy, fair winds!", "Ahoy, mind the tide!"]).unwrap();
        let [own, other] =
            ["Ahoy, mind the winds!", "One ought to consult it."].map(|it| model.loss(it).unwrap());
        assert!(own < 3.0 && other > 5.0, "{own} {other}");
        assert_eq!(model.loss(" "), None);
        assert!(CharacterModel::learn([]).is_none());
    }
}
