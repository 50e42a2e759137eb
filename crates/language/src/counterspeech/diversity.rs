//! How much the replies of a configuration differ from one another.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::rouge::{rouge_l, tokens};

/// Words of a window of the repetition rate.
const WINDOW: usize = 1000;

/// Diversity of a set of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diversity {
    /// Distinct words over all words.
    pub distinct_1: f64,
    /// The same for pairs of words.
    pub distinct_2: f64,
    /// The same for runs of three.
    pub distinct_3: f64,
    /// See [`repetition_rate`].
    pub repetition_rate: f64,
    /// Mean ROUGE-L (F) of all pairs of texts; 0 for fewer than two.
    pub mean_pairwise_rouge_l: f64,
}

impl Diversity {
    /// Of texts, in their order.
    pub fn of(texts: &[&str]) -> Self {
        let all: Vec<Vec<String>> = texts.iter().map(|text| tokens(text)).collect();
        Self {
            distinct_1: distinct(&all, 1),
            distinct_2: distinct(&all, 2),
            distinct_3: distinct(&all, 3),
            repetition_rate: repetition_rate(&all.concat()),
            mean_pairwise_rouge_l: mean_pairwise(&all),
        }
    }

    /// The indicator: 1 − mean pairwise ROUGE-L.
    pub fn value(&self) -> f64 {
        1.0 - self.mean_pairwise_rouge_l
    }
}

/// Distinct n-grams over all n-grams; n-grams do not cross texts.
fn distinct(texts: &[Vec<String>], n: usize) -> f64 {
    let grams = || texts.iter().flat_map(|text| text.windows(n));
    let types: BTreeSet<&[String]> = grams().collect();
    match grams().count() {
        0 => 0.0,
        count => types.len() as f64 / count as f64,
    }
}

/// The geometric mean over n = 1…4 of the share of n-gram types that occur more than once, in windows of 1000 words one after
/// the other, averaged over the windows. A shorter last window counts only where it is the only one: rates grow with length.
pub fn repetition_rate(words: &[String]) -> f64 {
    let windows: Vec<&[String]> = match words.len() < WINDOW {
        true => vec![words],
        false => words.chunks_exact(WINDOW).collect(),
    };
    let rate = |window: &&[String]| -> f64 {
        let product: f64 = (1..=4).map(|n| repeated(window, n)).product();
        product.powf(0.25)
    };
    windows.iter().map(rate).sum::<f64>() / windows.len() as f64
}

/// The share of n-gram types that occur more than once.
fn repeated(words: &[String], n: usize) -> f64 {
    let mut counts: BTreeMap<&[String], usize> = BTreeMap::new();
    for gram in words.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    match counts.len() {
        0 => 0.0,
        types => counts.values().filter(|count| **count > 1).count() as f64 / types as f64,
    }
}

fn mean_pairwise(texts: &[Vec<String>]) -> f64 {
    let mut sum = 0.0;
    for (at, a) in texts.iter().enumerate() {
        sum += texts[..at].iter().map(|b| rouge_l(a, b).f).sum::<f64>();
    }
    let pairs = texts.len() * texts.len().saturating_sub(1) / 2;
    sum / pairs.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_and_pairs_by_hand() {
        let all = Diversity::of(&["a b a b a b", "x"]);
        assert!((all.distinct_1 - 3.0 / 7.0).abs() < 1e-12);
        // Of the joined text's types twice: a, b of 3; ab, ba of 3; aba, bab of 3; abab of 3.
        let rate = (2.0_f64 / 3.0 * 2.0 / 3.0 * 2.0 / 3.0 * 1.0 / 3.0).powf(0.25);
        assert!((all.repetition_rate - rate).abs() < 1e-12, "{all:?}");
        assert_eq!(Diversity::of(&["same words", "same words"]).value(), 0.0);
        assert_eq!(Diversity::of(&[]).mean_pairwise_rouge_l, 0.0);
    }

    #[test]
    fn long_texts_are_cut_into_windows() {
        let word = |at: usize| format!("w{at}");
        let mut words: Vec<String> = (0..WINDOW).map(word).collect();
        words.extend(vec!["same".to_owned(); WINDOW + 10]);
        // The first window repeats nothing, the second has one type of each n.
        assert!((repetition_rate(&words) - 0.5).abs() < 1e-12);
    }
}
