//! BLEU-4 of a corpus on mteval-13a tokens, without smoothing.
//!
//! Papineni et al. 2002, as Hugging Face's `evaluate` computes it (tensorflow/nmt). The official evaluator passes the ground
//! truth as prediction and the prediction as reference; to get its numbers, do the same. On normalised text, which has
//! no blanks, a line is one token, and BLEU says next to nothing.

use std::sync::LazyLock;

use regex::Regex;
use rustc_hash::FxHashMap;

/// Longest n-grams that are counted.
pub const ORDER: usize = 4;

/// The score of a corpus and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bleu {
    /// The score, between 0 and 1.
    pub bleu: f64,
    /// The share of n-grams that the reference has too, for n from 1.
    pub precisions: [f64; ORDER],
    /// What predictions shorter than their references lose.
    pub brevity_penalty: f64,
}

/// BLEU of predictions against one reference each; `None` where either side has no token at all, which the original
/// divides by.
pub fn bleu<S: AsRef<str>>(predictions: &[S], references: &[S]) -> Option<Bleu> {
    let (mut matches, mut possible) = ([0usize; ORDER], [0usize; ORDER]);
    let mut lengths = (0, 0);
    for (prediction, reference) in predictions.iter().zip(references) {
        let mut numbers = FxHashMap::default();
        let prediction = number(tokens(prediction.as_ref()), &mut numbers);
        let reference = number(tokens(reference.as_ref()), &mut numbers);
        lengths.0 += prediction.len();
        lengths.1 += reference.len();
        for ((order, matches), possible) in (1..).zip(&mut matches).zip(&mut possible) {
            *possible += (prediction.len() + 1).saturating_sub(order);
            let known = grams(&reference, order);
            let found = grams(&prediction, order);
            let both = found
                .iter()
                .map(|(gram, &count)| count.min(known.get(gram).copied().unwrap_or(0)));
            *matches += both.sum::<usize>();
        }
    }
    if lengths.0 == 0 || lengths.1 == 0 {
        return None;
    }
    let mut precisions = [0.0; ORDER];
    for (precision, (&matches, &possible)) in
        precisions.iter_mut().zip(matches.iter().zip(&possible))
    {
        if possible > 0 {
            *precision = matches as f64 / possible as f64;
        }
    }
    let mean = if precisions.iter().all(|&precision| precision > 0.0) {
        let logs = precisions
            .iter()
            .map(|precision| precision.ln() / ORDER as f64);
        logs.sum::<f64>().exp()
    } else {
        0.0
    };
    let ratio = lengths.0 as f64 / lengths.1 as f64;
    let brevity_penalty = if ratio > 1.0 {
        1.0
    } else {
        (1.0 - 1.0 / ratio).exp()
    };
    Some(Bleu {
        bleu: mean * brevity_penalty,
        precisions,
        brevity_penalty,
    })
}

/// How often each run of `order` tokens occurs.
fn grams(tokens: &[usize], order: usize) -> FxHashMap<&[usize], usize> {
    let mut counts = FxHashMap::default();
    for gram in tokens.windows(order) {
        *counts.entry(gram).or_insert(0) += 1;
    }
    counts
}

/// Tokens as numbers, equal ones for equal tokens.
fn number(tokens: Vec<String>, numbers: &mut FxHashMap<String, usize>) -> Vec<usize> {
    let number = |token| {
        let next = numbers.len();
        *numbers.entry(token).or_insert(next)
    };
    tokens.into_iter().map(number).collect()
}

/// What is set apart, in this order: most punctuation; points and commas after and before anything but a digit; a hyphen
/// after a digit.
const APART: [(&str, &str); 4] = [
    (r"([\{-~\[-` -&\(-\+:-@/])", " $1 "),
    (r"([^0-9])([\.,])", "$1 $2 "),
    (r"([\.,])([^0-9])", " $1 $2"),
    (r"([0-9])(-)", "$1 $2 "),
];

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| super::patterns(&APART));

/// The tokens of mteval-v13a.
pub fn tokens(line: &str) -> Vec<String> {
    let mut line = line
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ");
    for (name, mark) in [
        ("&quot;", "\""),
        ("&amp;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
    ] {
        line = line.replace(name, mark);
    }
    line = format!(" {line} ");
    for (pattern, with) in RULES.iter() {
        line = pattern.replace_all(&line, *with).into_owned();
    }
    super::words(&line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(RULES.len(), APART.len());
    }

    #[test]
    fn a_text_is_its_own_best_translation_and_nothing_is_none() {
        let text = ["the cat sat on the mat, 1,234.5 times"];
        assert_eq!(bleu(&text, &text).unwrap().bleu, 1.0);
        assert_eq!(bleu(&[""], &text), None);
        assert_eq!(bleu::<&str>(&[], &[]), None);
    }
}
