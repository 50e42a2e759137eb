//! METEOR: words matched as they are, by their stems, then by their synonyms, and how scattered the matches lie.
//!
//! Banerjee and Lavie 2005, as NLTK 3.9.1 computes it (α .9, β 3, γ .5): lower-cased Treebank words, Porter's stemmer with
//! NLTK's extensions, synonyms from WordNet 3.0, which is embedded. The official evaluator passes the ground truth as
//! prediction and the prediction as reference; to get its numbers, do the same.

mod porter;
mod tokenize;
mod wordnet;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

pub use porter::stem;
pub use tokenize::word_tokens;
pub use wordnet::synonyms;

/// How much recall outweighs precision, and how the penalty for scattered matches grows and how large it gets.
const ALPHA: f64 = 0.9;
const BETA: f64 = 3.0;
const GAMMA: f64 = 0.5;

/// The mean METEOR of predictions against one reference each, between 0 and 1; `None` without any pair.
pub fn meteor<S: AsRef<str>>(predictions: &[S], references: &[S]) -> Option<f64> {
    let pairs = predictions.iter().zip(references);
    let count = pairs.len();
    let sum: f64 = pairs
        .map(|(prediction, reference)| {
            score(
                &word_tokens(prediction.as_ref()),
                &word_tokens(reference.as_ref()),
            )
        })
        .sum();
    (count > 0).then(|| sum / count as f64)
}

/// METEOR of one tokenized prediction; 0 where nothing matches.
pub fn score(prediction: &[String], reference: &[String]) -> f64 {
    let matches = align(prediction, reference);
    if matches.is_empty() {
        return 0.0;
    }
    let count = matches.len() as f64;
    let precision = count / prediction.len() as f64;
    let recall = count / reference.len() as f64;
    let mean = precision * recall / (ALPHA * precision + (1.0 - ALPHA) * recall);
    let adjacent = matches.windows(2).filter(|pair| match pair {
        [before, after] => after.0 == before.0 + 1 && after.1 == before.1 + 1,
        _ => false,
    });
    let chunks = (matches.len() - adjacent.count()) as f64;
    (1.0 - GAMMA * (chunks / count).powf(BETA)) * mean
}

/// A word with its place.
type Placed = (usize, String);

/// Which place of the prediction answers which of the reference, in order of the former.
fn align(prediction: &[String], reference: &[String]) -> Vec<(usize, usize)> {
    let lower = |words: &[String]| -> Vec<Placed> {
        words
            .iter()
            .map(|word| word.to_lowercase())
            .enumerate()
            .collect()
    };
    let (mut ours, mut theirs) = (lower(prediction), lower(reference));
    let mut found = BTreeMap::new();
    pair_up(&mut ours, &mut theirs, &mut found, |word| {
        vec![word.to_owned()]
    });
    for (_, word) in ours.iter_mut().chain(&mut theirs) {
        *word = stem(word);
    }
    pair_up(&mut ours, &mut theirs, &mut found, |word| {
        vec![word.to_owned()]
    });
    // Synonyms are looked for among what is left of the words, their stems.
    pair_up(&mut ours, &mut theirs, &mut found, |word| {
        let mut all = synonyms(word);
        all.push(word.to_owned());
        all
    });
    found.into_iter().collect()
}

/// Gives each word of `ours`, the last first, the last free one of `theirs` that is among its `variants`; removes both.
fn pair_up(
    ours: &mut Vec<Placed>,
    theirs: &mut Vec<Placed>,
    found: &mut BTreeMap<usize, usize>,
    variants: impl Fn(&str) -> Vec<String>,
) {
    let mut free: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
    for (place, word) in theirs.iter() {
        free.entry(word).or_default().push(*place);
    }
    let mut taken = Vec::new();
    for (place, word) in ours.iter().rev() {
        let last = |variant: &String| Some((*free.get(variant.as_str())?.last()?, variant.clone()));
        let Some((other, variant)) = variants(word).iter().filter_map(last).max() else {
            continue;
        };
        if let Some(places) = free.get_mut(variant.as_str()) {
            places.pop();
        }
        found.insert(*place, other);
        taken.push(other);
    }
    taken.sort_unstable();
    ours.retain(|(place, _)| !found.contains_key(place));
    theirs.retain(|(place, _)| taken.binary_search(place).is_err());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_text_matches_itself_in_one_chunk_and_nothing_not_at_all() {
        let text = ["It is a guide to action"];
        let expected = 1.0 - 0.5 / 6.0_f64.powi(3);
        assert!((meteor(&text, &text).unwrap() - expected).abs() < 1e-12);
        assert_eq!(meteor(&[""], &text), Some(0.0));
        assert_eq!(meteor::<&str>(&[], &[]), None);
    }

    #[test]
    fn stems_and_synonyms_match() {
        let of = |a: &str, b: &str| meteor(&[a], &[b]).unwrap();
        assert!(of("running", "runs") > 0.4);
        assert!(of("quick", "fast") > 0.4);
        // Stems are looked up, not words: `automobil` is nobody's synonym.
        assert_eq!(of("car", "automobile"), 0.0);
        assert_eq!(of("car", "tree"), 0.0);
    }
}
