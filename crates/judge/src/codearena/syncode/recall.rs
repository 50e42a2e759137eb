//! Step 1: which pages are about code? A classifier trained on seeds, then once more with its own surest hits.

use engine::rng::Rng;
use serde_json::json;

use super::clean::page_text;
use super::ngram::{Classifier, Grams};
use super::stage::{Fate, text};
use crate::codearena::jsonl::Record;

/// Passes over the seeds.
const PASSES: usize = 20;
/// A page this sure joins the seeds of the second round, on either side.
const SURE: f32 = 0.9;

/// Trains on texts about code and other texts, then again with the surest of `pages` [ours: the two-round trick].
pub fn train(
    positives: &[String],
    negatives: &[String],
    pages: &[Record],
    rng: &Rng,
) -> Classifier {
    let labels = ["code".to_owned(), "other".to_owned()];
    let mut samples: Vec<(&str, usize)> = positives.iter().map(|text| (text.as_str(), 0)).collect();
    samples.extend(negatives.iter().map(|text| (text.as_str(), 1)));
    let first = Classifier::train(Grams::Words, &labels, &samples, PASSES, &rng.child("first"));
    let texts: Vec<String> = pages
        .iter()
        .map(|page| page_text(text(page, "text")))
        .collect();
    for page in &texts {
        let p = p_code(&first, page);
        if p > SURE {
            samples.push((page, 0));
        } else if p < 1.0 - SURE {
            samples.push((page, 1));
        }
    }
    Classifier::train(
        Grams::Words,
        &labels,
        &samples,
        PASSES,
        &rng.child("second"),
    )
}

/// The probability that a text is about code.
pub fn p_code(classifier: &Classifier, text: &str) -> f32 {
    classifier
        .probabilities(text)
        .first()
        .copied()
        .unwrap_or(0.0)
}

/// Keeps a page that is about code with at least `threshold`, and tells the probability.
pub fn judge(classifier: &Classifier, page: &Record, threshold: f32) -> Fate {
    let seen = page_text(text(page, "text"));
    if seen.trim().is_empty() {
        return Fate::Drop("no text".into());
    }
    let p = p_code(classifier, &seen);
    if p < threshold {
        return Fate::Drop("not about code".into());
    }
    let mut page = page.clone();
    page.insert("p_code".into(), json!((p * 1e4).round() / 1e4));
    Fate::Keep(page)
}
