//! How somebody writes, in numbers (English).

use super::readability::{Readability, words};

/// The thirty function words of the style vector.
pub(super) const FUNCTION_WORDS: [&str; 30] = [
    "the", "of", "and", "a", "to", "in", "is", "that", "it", "for", "as", "with", "was", "on",
    "are", "be", "at", "by", "this", "from", "or", "but", "not", "an", "have", "they", "which",
    "so", "if", "what",
];
const FIRST: &[&str] = &["i", "me", "my", "mine", "myself", "we", "us", "our", "ours"];
const SECOND: &[&str] = &["you", "your", "yours", "yourself", "ye", "u"];
const THIRD: &[&str] = &[
    "he", "him", "his", "she", "her", "hers", "they", "them", "their", "theirs", "it", "its",
];
const NEGATIONS: &[&str] = &[
    "no", "not", "never", "none", "nobody", "nothing", "neither", "nor", "cannot",
];
const MODALS: &[&str] = &[
    "can", "could", "may", "might", "must", "ought", "shall", "should", "will", "would",
];
/// Rates before those of the function words.
const RATES: usize = 16;

/// A style vector, not yet scaled: words a sentence, characters a word, rates per 100 words.
pub type StyleVector = Vec<f64>;

/// The style vector of a text: mean words a sentence and characters a word, then per 100 words: commas, exclamation marks,
/// question marks, ellipses, quotation marks, words in capitals, digits, pronouns of first, second and third person,
/// negations, modal verbs, contractions, emoji, and each of 30 function words. Zeros for a text without words.
pub fn style_vector(text: &str) -> StyleVector {
    let found = words(text);
    let mut vector = vec![0.0; RATES + FUNCTION_WORDS.len()];
    if found.is_empty() {
        return vector;
    }
    let lower: Vec<String> = found
        .iter()
        .map(|it| it.to_lowercase().replace('’', "'"))
        .collect();
    let per = 100.0 / found.len() as f64;
    let marks = |wanted: &[char]| text.chars().filter(|c| wanted.contains(c)).count();
    let among = |list: &[&str]| {
        lower
            .iter()
            .filter(|word| list.contains(&word.as_str()))
            .count()
    };
    let capitals = |word: &&&str| {
        word.chars().filter(|c| c.is_alphabetic()).count() > 1
            && !word.chars().any(char::is_lowercase)
    };
    let negated = lower.iter().filter(|word| word.ends_with("n't")).count();
    let letters: usize = found.iter().map(|word| word.chars().count()).sum();
    vector[0] = Readability::of(text).sentence_length();
    vector[1] = letters as f64 / found.len() as f64;
    let counts = [
        marks(&[',']),
        marks(&['!']),
        marks(&['?']),
        text.matches("...").count() + marks(&['…']),
        marks(&['"', '“', '”', '«', '»']),
        found.iter().filter(capitals).count(),
        text.chars().filter(char::is_ascii_digit).count(),
        among(FIRST),
        among(SECOND),
        among(THIRD),
        among(NEGATIONS) + negated,
        among(MODALS),
        lower.iter().filter(|word| word.contains('\'')).count(),
        text.chars().filter(|c| is_emoji(*c)).count() + text.matches("<3").count(),
    ];
    let rates = counts.into_iter().map(|count| count as f64 * per);
    let words = FUNCTION_WORDS
        .iter()
        .map(|word| among(&[*word]) as f64 * per);
    for (place, rate) in vector[2..].iter_mut().zip(rates.chain(words)) {
        *place = rate;
    }
    vector
}

fn is_emoji(c: char) -> bool {
    matches!(c as u32, 0x2600..=0x27bf | 0x1f300..=0x1faff)
}

/// Means and deviations of the style vectors of many texts.
#[derive(Clone, Debug)]
pub struct StyleScale {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl StyleScale {
    /// Over all texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let vectors: Vec<StyleVector> = texts.into_iter().map(style_vector).collect();
        let count = vectors.len().max(1) as f64;
        let width = RATES + FUNCTION_WORDS.len();
        let sum = |of: &dyn Fn(usize, &StyleVector) -> f64| -> Vec<f64> {
            let at = |place| vectors.iter().map(|vector| of(place, vector)).sum::<f64>() / count;
            (0..width).map(at).collect()
        };
        let means = sum(&|at, vector| vector[at]);
        let squares = sum(&|at, vector| (vector[at] - means[at]).powi(2));
        Self {
            deviations: squares.into_iter().map(f64::sqrt).collect(),
            means,
        }
    }

    /// The z-scores of a text; 0 where all texts are alike.
    pub fn z_scores(&self, text: &str) -> Vec<f64> {
        let vector = style_vector(text);
        let scales = self.means.iter().zip(&self.deviations);
        let z =
            vector
                .iter()
                .zip(scales)
                .map(|(value, (mean, deviation))| match *deviation > 0.0 {
                    true => (value - mean) / deviation,
                    false => 0.0,
                });
        z.collect()
    }

    /// The cosine of the z-scores of two texts, in `[-1, 1]`; none where one is plain average.
    pub fn similarity(&self, a: &str, b: &str) -> Option<f64> {
        cosine(&self.z_scores(a), &self.z_scores(b))
    }
}

/// The cosine of two vectors; none where one is zero.
pub fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = (dot(a, a) * dot(b, b)).sqrt();
    (scale > 0.0).then(|| (dot(a, b) / scale).clamp(-1.0, 1.0))
}

/// 1 − the Jensen–Shannon divergence (base 2) of two texts' profiles: how often each function word, pronoun group, negation,
/// modal verb, mark and any other word comes. In `[0, 1]`; none where a text has no words.
pub fn profile_similarity(a: &str, b: &str) -> Option<f64> {
    let (a, b) = (profile(a)?, profile(b)?);
    let term = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
    let pairs = a.iter().zip(&b);
    let divergence: f64 = pairs
        .map(|(p, q)| {
            let m = (p + q) / 2.0;
            (term(*p, m) + term(*q, m)) / 2.0
        })
        .sum();
    Some((1.0 - divergence).clamp(0.0, 1.0))
}

fn profile(text: &str) -> Option<Vec<f64>> {
    let count = words(text).len();
    if count == 0 {
        return None;
    }
    // The rates of the style vector as counts, and what is left over.
    let mut shares: Vec<f64> = style_vector(text)[2..]
        .iter()
        .map(|rate| rate / 100.0)
        .collect();
    let spoken: f64 = shares[14..].iter().sum();
    shares.push((1.0 - spoken).max(0.0));
    let all: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= all);
    Some(shares)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_style_vector_by_hand() {
        let vector = style_vector("WOW, you can't do the 3!! Can I? <3");
        // Words: WOW you can't do the 3 Can I 3.
        let per = 100.0 / 9.0;
        assert_eq!(vector.len(), 46);
        assert!((vector[0] - 9.0 / 3.0).abs() < 1e-12, "{vector:?}");
        let expected = [
            1.0, 2.0, 1.0, 0.0, 0.0, 1.0, 2.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0,
        ];
        for (found, count) in vector[2..16].iter().zip(expected) {
            assert!((found - count * per).abs() < 1e-9, "{vector:?}");
        }
        assert!((vector[16] - per).abs() < 1e-9);
        assert!(style_vector("...").iter().all(|it| *it == 0.0));
    }

    #[test]
    fn alike_texts_are_nearer() {
        let texts = [
            "Ahoy!!! Go away!!!",
            "Nice!!! Very nice!!!",
            "One ought, I submit, to read.",
            "It is, I fear, so.",
        ];
        let scale = StyleScale::of(texts);
        let near = scale.similarity(texts[0], texts[1]).unwrap();
        assert!(near > 0.5 && near > scale.similarity(texts[0], texts[2]).unwrap());
        assert!((profile_similarity(texts[0], texts[0]).unwrap() - 1.0).abs() < 1e-12);
        assert!(profile_similarity(texts[0], texts[2]).unwrap() < 0.7);
        assert_eq!(cosine(&[0.0], &[1.0]), None);
    }
}
