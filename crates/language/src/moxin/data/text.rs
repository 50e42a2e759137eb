//! What texts are made of for filters and near-duplicates.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// `text` in Unicode's composed form (NFC).
pub fn composed(text: &str) -> std::borrow::Cow<'_, str> {
    match text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        true => text.into(),
        false => text.nfc().collect::<String>().into(),
    }
}

/// Characters that are neither ASCII punctuation nor white space: what SlimPajama's length filter counts.
pub fn char_count(text: &str) -> usize {
    let counts = |c: &char| !c.is_ascii_punctuation() && !c.is_whitespace();
    text.chars().filter(counts).count()
}

/// Lower case, without ASCII punctuation, runs of white space as one blank and none at the ends. Goes into `out`, which is
/// cleared first.
pub fn plain(text: &str, out: &mut Vec<char>) {
    out.clear();
    let mut blank = false;
    let mut put = |c: char, blank: &mut bool| {
        if std::mem::take(blank) && !out.is_empty() {
            out.push(' ');
        }
        out.push(c);
    };
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            continue;
        }
        if c.is_whitespace() {
            blank = true;
        } else if c.is_ascii() {
            put(c.to_ascii_lowercase(), &mut blank);
        } else {
            c.to_lowercase().for_each(|c| put(c, &mut blank));
        }
    }
}

/// Hashes of all `width` characters in a row, in the order of the text; into `out`, which is cleared first. A text that is
/// shorter has one of all its characters, an empty one none.
pub fn gram_hashes(text: &[char], width: usize, out: &mut Vec<u32>) {
    out.clear();
    let width = width.clamp(1, text.len().max(1));
    if text.is_empty() {
        return;
    }
    // A polynomial rolls over the text; mixing makes of it what a good hash gives.
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    let highest = (1..width).fold(1u64, |power, _| power.wrapping_mul(BASE));
    let mut rolling = 0u64;
    for c in &text[..width] {
        rolling = rolling.wrapping_mul(BASE).wrapping_add(u64::from(*c) + 1);
    }
    out.reserve(text.len() + 1 - width);
    out.push(mix(rolling));
    for (gone, new) in text.iter().zip(&text[width..]) {
        rolling = rolling
            .wrapping_sub((u64::from(*gone) + 1).wrapping_mul(highest))
            .wrapping_mul(BASE)
            .wrapping_add(u64::from(*new) + 1);
        out.push(mix(rolling));
    }
}

/// 32 well-mixed bits (the finaliser of splitmix64).
fn mix(x: u64) -> u32 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x >> 32) as u32
}

/// Shared members of two sets over all members of both; 0 for two empty ones. The sets are sorted and hold nothing twice.
pub fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        shared += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    match a.len() + b.len() - shared {
        0 => 0.0,
        all => shared as f64 / all as f64,
    }
}

/// The set of grams of a text, sorted.
pub fn gram_set(text: &str, width: usize) -> Vec<u32> {
    let (mut chars, mut grams) = (Vec::new(), Vec::new());
    plain(text, &mut chars);
    gram_hashes(&chars, width, &mut grams);
    grams.sort_unstable();
    grams.dedup();
    grams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_texts_have_no_marks_and_single_blanks() {
        let mut out = Vec::new();
        plain("  Hello,\t WORLD!! Ä\n", &mut out);
        assert_eq!(out.iter().collect::<String>(), "hello world ä");
        plain(" ,. ", &mut out);
        assert!(out.is_empty());
        assert_eq!(char_count("a, b\n!"), 2);
    }

    #[test]
    fn equal_grams_have_equal_hashes_wherever_they_stand() {
        let chars: Vec<char> = "abcabcabx".chars().collect();
        let mut grams = Vec::new();
        gram_hashes(&chars, 3, &mut grams);
        assert_eq!(grams.len(), 7);
        assert_eq!(grams[0], grams[3]);
        assert_eq!(grams[1], grams[4]);
        assert_ne!(grams[0], grams[6]);
        gram_hashes(&chars[..2], 3, &mut grams);
        assert_eq!(grams.len(), 1);
        assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
        assert_eq!(jaccard(&[], &[]), 0.0);
    }
}
