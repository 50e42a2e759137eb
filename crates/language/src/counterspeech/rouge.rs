//! ROUGE (Lin, 2004) as the `rouge-score` package computes it, without stemming.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Precision, recall and their harmonic mean, in `[0, 1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Share of the candidate that the reference has too.
    pub p: f64,
    /// Share of the reference that the candidate has too.
    pub r: f64,
    /// `2pr/(p+r)`.
    pub f: f64,
}

impl Overlap {
    fn new(shared: usize, candidate: usize, reference: usize) -> Self {
        if shared == 0 {
            return Self::default();
        }
        let (p, r) = (
            shared as f64 / candidate as f64,
            shared as f64 / reference as f64,
        );
        Self {
            p,
            r,
            f: 2.0 * p * r / (p + r),
        }
    }
}

/// Lower-case runs of `a–z` and `0–9`.
pub fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric());
    parts
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

/// ROUGE-N of tokens: n-grams that both have, each as often as in the text that has it less often.
pub fn rouge_n(candidate: &[String], reference: &[String], n: usize) -> Overlap {
    let mut counts: BTreeMap<&[String], usize> = BTreeMap::new();
    for gram in reference.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    let mut shared = 0;
    for gram in candidate.windows(n) {
        if let Some(left) = counts.get_mut(gram).filter(|left| **left > 0) {
            *left -= 1;
            shared += 1;
        }
    }
    let grams = |tokens: &[String]| (tokens.len() + 1).saturating_sub(n);
    Overlap::new(shared, grams(candidate), grams(reference))
}

/// ROUGE-L of tokens: the longest common subsequence of whole texts.
pub fn rouge_l(candidate: &[String], reference: &[String]) -> Overlap {
    let mut row = vec![0; reference.len() + 1];
    for token in candidate {
        let mut diagonal = 0;
        for (at, other) in reference.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = match token == other {
                true => diagonal + 1,
                false => above.max(row[at]),
            };
            diagonal = above;
        }
    }
    let shared = row.last().copied().unwrap_or(0);
    Overlap::new(shared, candidate.len(), reference.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_by_hand() {
        let [a, b] = ["The cat, the dog!", "a dog; the CAT"].map(tokens);
        assert_eq!(a, ["the", "cat", "the", "dog"]);
        // Shared words: the, cat, dog of 4 and 4; no pair but "the cat", of 3 and 3.
        assert!((rouge_n(&a, &b, 1).f - 0.75).abs() < 1e-12);
        assert!((rouge_n(&a, &b, 2).f - 1.0 / 3.0).abs() < 1e-12);
        assert!((rouge_l(&a, &b).f - 0.5).abs() < 1e-12);
        assert_eq!(rouge_l(&[], &b), Overlap::default());
        assert_eq!(rouge_n(&a[..1], &b, 2), Overlap::default());
    }
}
