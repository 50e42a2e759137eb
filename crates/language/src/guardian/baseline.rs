//! A bag-of-words baseline: TF-IDF of words and pairs of words, logistic regression on them.

use std::collections::{BTreeMap, BTreeSet};

/// Passes over the data.
const EPOCHS: usize = 60;
/// Weight of the squared norm.
const RIDGE: f64 = 1e-4;

/// A trained baseline.
#[derive(Debug)]
pub struct BagOfWords {
    /// Column and inverse document frequency of each term.
    terms: BTreeMap<String, (usize, f64)>,
    weights: Vec<f64>,
    bias: f64,
}

impl BagOfWords {
    /// Trains on texts; the two classes weigh the same.
    pub fn train(texts: &[String], risky: &[bool]) -> Self {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for text in texts {
            for term in terms(text).into_iter().collect::<BTreeSet<_>>() {
                *seen.entry(term).or_default() += 1;
            }
        }
        let count = texts.len() as f64;
        let kept = seen
            .into_iter()
            .filter(|(_, times)| *times >= 2 || texts.len() < 200);
        let terms = kept.enumerate().map(|(column, (term, times))| {
            let rarity = ((1.0 + count) / (1.0 + times as f64)).ln() + 1.0;
            (term, (column, rarity))
        });
        let mut model = Self {
            terms: terms.collect(),
            weights: Vec::new(),
            bias: 0.0,
        };
        model.weights = vec![0.0; model.terms.len()];
        model.fit(texts, risky);
        model
    }

    /// Stochastic gradients with a step a weight (AdaGrad), in a fixed order.
    fn fit(&mut self, texts: &[String], risky: &[bool]) {
        let rows: Vec<Vec<(usize, f64)>> = texts.iter().map(|text| self.row(text)).collect();
        let positive = risky.iter().filter(|risky| **risky).count().max(1) as f64;
        let negative = (risky.len() as f64 - positive).max(1.0);
        let half = risky.len() as f64 / 2.0;
        let mut squares = vec![1e-8; self.weights.len() + 1];
        for epoch in 0..EPOCHS {
            for step in 0..rows.len() {
                // A fixed stride visits all rows in another order each time.
                let at = (step * 7_919 + epoch * 104_729) % rows.len();
                let (row, target) = (&rows[at], f64::from(u8::from(risky[at])));
                let weight = half / if risky[at] { positive } else { negative };
                let slope = weight * (self.score(row) - target);
                for (column, value) in row {
                    let gradient = slope * value + RIDGE * self.weights[*column];
                    squares[*column] += gradient * gradient;
                    self.weights[*column] -= 0.3 * gradient / squares[*column].sqrt();
                }
                let last = self.weights.len();
                squares[last] += slope * slope;
                self.bias -= 0.3 * slope / squares[last].sqrt();
            }
        }
    }

    /// P(risk) of a text.
    pub fn probability(&self, text: &str) -> f64 {
        self.score(&self.row(text))
    }

    fn score(&self, row: &[(usize, f64)]) -> f64 {
        let odds = self.bias
            + row
                .iter()
                .map(|(column, value)| value * self.weights[*column])
                .sum::<f64>();
        1.0 / (1.0 + (-odds).exp())
    }

    /// TF-IDF of length one.
    fn row(&self, text: &str) -> Vec<(usize, f64)> {
        let mut row: BTreeMap<usize, f64> = BTreeMap::new();
        for term in terms(text) {
            if let Some((column, rarity)) = self.terms.get(&term) {
                *row.entry(*column).or_default() += rarity;
            }
        }
        let norm = row.values().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
        row.into_iter()
            .map(|(column, value)| (column, value / norm))
            .collect()
    }
}

/// Lower-case words, and pairs of neighbours.
fn terms(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let pairs = words.windows(2).map(|pair| pair.join(" "));
    words
        .iter()
        .map(|word| (*word).to_owned())
        .chain(pairs)
        .collect()
}

/// Share of the words of `question`, stop words left out, that `context` does not have: a baseline for context relevance.
pub fn missing_overlap(question: &str, context: &str) -> f64 {
    const COMMON: [&str; 12] = [
        "what", "does", "mean", "the", "a", "an", "of", "is", "in", "to", "and", "or",
    ];
    let words = |text: &str| -> BTreeSet<String> {
        let lower = text.to_lowercase();
        let words = lower
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty() && !COMMON.contains(word));
        words.map(str::to_owned).collect()
    };
    let (asked, there) = (words(question), words(context));
    1.0 - asked.intersection(&there).count() as f64 / asked.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_words_are_learned_and_others_are_not() {
        let texts: Vec<String> = (0..40)
            .map(|i| {
                format!(
                    "item {i} is {}",
                    if i % 2 == 0 { "rotten" } else { "fresh" }
                )
            })
            .collect();
        let risky: Vec<bool> = (0..40).map(|i| i % 2 == 0).collect();
        let model = BagOfWords::train(&texts, &risky);
        assert!(
            model.probability("a rotten apple") > 0.8 && model.probability("a fresh pear") < 0.2
        );
        assert!((model.probability("nothing known") - 0.5).abs() < 0.2);
        assert!(
            missing_overlap("What does oak mean?", "an oak is a tree")
                < missing_overlap("What does elm mean?", "an oak")
        );
    }
}
