//! Byte-pair encoding (Sennrich et al. 2016) learnt from texts, in the form of CLIP's `vocab.json` and `merges.txt`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use serde_json::{Map, Value};

/// Begin and end of a prompt.
pub const ENDS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];
/// Ends the last piece of a word.
const END_OF_WORD: &str = "</w>";

/// A vocabulary as CLIP's files hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// `vocab.json`.
    pub pieces: Map<String, Value>,
    /// `merges.txt`.
    pub merges: String,
}

/// The sign that stands for a byte in the files.
fn spelled(byte: u8) -> char {
    let plain = |b: u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let byte = u32::from(byte);
    match plain(byte) {
        true => char::from(byte as u8),
        false => {
            let before = (0..byte).filter(|&b| !plain(b)).count() as u32;
            char::from_u32(256 + before).unwrap_or('\u{100}')
        }
    }
}

/// Words as CLIP cuts them: runs of letters, single digits, runs of other signs; in lower case.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut kind = ' ';
    for c in text.to_lowercase().chars() {
        let now = match c {
            c if c.is_whitespace() => ' ',
            c if c.is_alphabetic() => 'a',
            c if c.is_numeric() => '1',
            _ => '.',
        };
        match words.last_mut() {
            _ if now == ' ' => {}
            Some(word) if now == kind && now != '1' => word.push(c),
            _ => words.push(c.to_string()),
        }
        kind = now;
    }
    words
}

impl Vocabulary {
    /// At most `size` tokens: all bytes, inside and at the end of a word, what `texts` join most often (each counts as often as
    /// its number says), and the ends of a prompt.
    pub fn learn(texts: &[(String, usize)], size: usize) -> Self {
        let mut pieces: Vec<String> = (0..=255u8).map(|b| spelled(b).to_string()).collect();
        // In the order of CLIP: those that spell themselves first.
        pieces.sort_by_key(|piece| piece.chars().next());
        let ends: Vec<String> = pieces
            .iter()
            .map(|it| format!("{it}{END_OF_WORD}"))
            .collect();
        pieces.extend(ends);
        let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for (text, count) in texts {
            for word in words(text) {
                let mut spelt: Vec<String> = word.bytes().map(|b| spelled(b).to_string()).collect();
                if let Some(last) = spelt.last_mut() {
                    last.push_str(END_OF_WORD);
                }
                *counts.entry(spelt).or_default() += count;
            }
        }
        let mut words: Vec<(Vec<String>, usize)> = counts.into_iter().collect();
        let mut merges = String::from("#version: 0.2\n");
        while pieces.len() + ENDS.len() < size {
            let mut pairs: HashMap<[&str; 2], usize> = HashMap::new();
            for (word, count) in &words {
                for pair in word.windows(2) {
                    *pairs.entry([&pair[0], &pair[1]]).or_default() += count;
                }
            }
            // Of equals the first in order.
            let best = pairs
                .into_iter()
                .max_by(|(a, more), (b, less)| more.cmp(less).then_with(|| b.cmp(a)));
            let Some(([a, b], _)) = best.filter(|(_, count)| *count > 1) else {
                break;
            };
            let (a, b) = (a.to_owned(), b.to_owned());
            let _ = writeln!(merges, "{a} {b}");
            for (word, _) in &mut words {
                join(word, &a, &b);
            }
            pieces.push(a + &b);
        }
        pieces.extend(ENDS.map(str::to_owned));
        let numbered = pieces.into_iter().enumerate();
        Self {
            pieces: numbered
                .map(|(id, piece)| (piece, Value::from(id)))
                .collect(),
            merges,
        }
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.pieces.len()
    }
}

fn join(word: &mut Vec<String>, a: &str, b: &str) {
    let mut at = 0;
    while at + 1 < word.len() {
        if word[at] == a && word[at + 1] == b {
            let second = word.remove(at + 1);
            word[at].push_str(&second);
        }
        at += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use engine::text::Tokenizer;

    #[test]
    fn frequent_words_become_one_token_and_everything_can_be_written() {
        let texts = [
            ("red fox".to_owned(), 9),
            ("fox 🦊".to_owned(), 3),
            ("box".to_owned(), 1),
        ];
        let vocabulary = Vocabulary::learn(&texts, 600);
        let json = serde_json::to_vec(&vocabulary.pieces).unwrap();
        let tokenizer = Tokenizer::from_clip(&json, vocabulary.merges.as_bytes(), "here").unwrap();
        assert_eq!(tokenizer.len(), vocabulary.tokens());
        let pieces = |text: &str| tokenizer.encode(text).unwrap().len();
        assert_eq!([pieces("Red fox"), pieces("🦊"), pieces("fx")], [2, 1, 2]);
        assert_eq!(pieces("zwölf"), "zwölf".len());
        // The first merge is the most frequent pair.
        assert!(
            vocabulary
                .merges
                .starts_with("#version: 0.2\no x</w>\nf ox</w>\n")
        );
        assert_eq!(Vocabulary::learn(&texts, 600), vocabulary);
    }
}
