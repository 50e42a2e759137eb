//! Step 7: duplicates, leaks of benchmarks, lengths and the balance of languages [ours].

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::stage::{Fate, text};
use crate::codearena::fingerprint;
use base::job::jsonl::Record;

/// Hash functions of a MinHash signature.
const PERMUTATIONS: usize = 128;
/// Bands of the index; 128 = 32 bands of 4: pairs of similarity 0.8 meet in a band with probability 1 − (1−0.8⁴)³².
const BANDS: usize = 32;
/// Words of a shingle.
const SHINGLE: usize = 5;
/// Estimated similarity from which two texts are duplicates.
const SAME: f64 = 0.8;
/// Words that must not come up in a benchmark in the same order.
const OVERLAP: usize = 10;

/// What is filtered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Fewest characters of question and answer together.
    pub shortest: usize,
    /// Most characters of question and answer together.
    pub longest: usize,
    /// Most records of one language; 0 for any number.
    pub most_per_language: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            shortest: 40,
            // About the 32K tokens at which the paper cuts.
            longest: 100_000,
            most_per_language: 0,
        }
    }
}

/// All runs of ten words of some texts.
#[derive(Clone, Debug, Default)]
pub struct Benchmarks(HashSet<u64>);

impl Benchmarks {
    /// Adds a text.
    pub fn add(&mut self, text: &str) {
        self.0.extend(runs(&words(text), OVERLAP));
    }

    /// What tells these texts from others.
    pub fn fingerprint(&self) -> u64 {
        // The order of a set is not fixed: a sum does not depend on it.
        self.0
            .iter()
            .fold(self.0.len() as u64, |sum, run| sum.wrapping_add(*run))
    }

    /// Whether a text shares ten words in order with one of them.
    pub fn leak(&self, text: &str) -> bool {
        !self.0.is_empty()
            && runs(&words(text), OVERLAP)
                .iter()
                .any(|run| self.0.contains(run))
    }
}

/// Filters records in their order: of duplicates the first stays. What is kept becomes `{messages: [user, assistant]}` beside
/// id, language and category.
pub fn filter(records: &[Record], rules: &Rules, benchmarks: &Benchmarks) -> Vec<Fate> {
    let mut index = Index::default();
    let mut languages: BTreeMap<String, usize> = BTreeMap::new();
    let mut one = |record: &Record| {
        let (question, answer) = (text(record, "question"), text(record, "answer"));
        if question.is_empty() || answer.is_empty() {
            return Fate::Drop("no answer".into());
        }
        let length = question.chars().count() + answer.chars().count();
        if length < rules.shortest {
            return Fate::Drop("too short".into());
        }
        if length > rules.longest {
            return Fate::Drop("too long".into());
        }
        let whole = format!("{question}\n{answer}");
        if benchmarks.leak(&whole) {
            return Fate::Drop("overlaps a benchmark".into());
        }
        let count = languages
            .entry(text(record, "lang").to_owned())
            .or_default();
        if rules.most_per_language > 0 && *count >= rules.most_per_language {
            return Fate::Drop("enough of its language".into());
        }
        if !index.add(&whole) {
            return Fate::Drop("double".into());
        }
        *count += 1;
        let mut kept = Record::new();
        for field in ["id", "lang", "category", "stage"] {
            kept.insert(
                field.into(),
                record.get(field).cloned().unwrap_or(Value::Null),
            );
        }
        kept.insert(
            "messages".into(),
            json!([{"role": "user", "content": question}, {"role": "assistant", "content": answer}]),
        );
        Fate::Keep(kept)
    };
    records.iter().map(&mut one).collect()
}

/// MinHash signatures of the texts that were kept, found again by their bands.
#[derive(Default)]
struct Index {
    signatures: Vec<[u64; PERMUTATIONS]>,
    bands: HashMap<(usize, u64), Vec<usize>>,
}

impl Index {
    /// Adds a text; `false` where it is nearly the same as one that is there.
    fn add(&mut self, text: &str) -> bool {
        let signature = signature(text);
        let rows = PERMUTATIONS / BANDS;
        let keys: Vec<(usize, u64)> = signature
            .chunks(rows)
            .enumerate()
            .map(|(band, rows)| {
                let texts: Vec<String> = rows.iter().map(u64::to_string).collect();
                (
                    band,
                    fingerprint(&texts.iter().map(String::as_str).collect::<Vec<_>>()),
                )
            })
            .collect();
        let mut seen = HashSet::new();
        for key in &keys {
            for &other in self.bands.get(key).into_iter().flatten() {
                if seen.insert(other) {
                    let equal = self.signatures.get(other).map_or(0, |other| {
                        other.iter().zip(&signature).filter(|(a, b)| a == b).count()
                    });
                    if equal as f64 >= SAME * PERMUTATIONS as f64 {
                        return false;
                    }
                }
            }
        }
        for key in keys {
            self.bands
                .entry(key)
                .or_default()
                .push(self.signatures.len());
        }
        self.signatures.push(signature);
        true
    }
}

/// The least hash of the shingles under each of the functions.
fn signature(text: &str) -> [u64; PERMUTATIONS] {
    let words = words(text);
    let mut least = [u64::MAX; PERMUTATIONS];
    for shingle in runs(&words, SHINGLE.min(words.len().max(1))) {
        for (at, least) in least.iter_mut().enumerate() {
            // One hash, permuted: odd multiplier and offset from the function's number.
            let seed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut hash = (shingle ^ seed).wrapping_mul(seed | 1);
            hash ^= hash >> 29;
            hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *least = (*least).min(hash ^ (hash >> 32));
        }
    }
    least
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Hashes of all runs of `length` words.
fn runs(words: &[String], length: usize) -> Vec<u64> {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    texts.windows(length.max(1)).map(fingerprint).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(question: &str, answer: &str, lang: &str) -> Record {
        json!({"id": "x", "question": question, "answer": answer, "lang": lang})
            .as_object()
            .unwrap()
            .clone()
    }

    fn reasons(fates: &[Fate]) -> Vec<String> {
        let reason = |fate: &Fate| match fate {
            Fate::Keep(_) => "kept".to_owned(),
            Fate::Drop(reason) => reason.clone(),
        };
        fates.iter().map(reason).collect()
    }

    #[test]
    fn duplicates_leaks_and_surplus_go() {
        let long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
            seventeen eighteen nineteen twenty and then some more words to make the text a little longer than it was before";
        let near = format!("{long} indeed");
        let mut benchmarks = Benchmarks::default();
        benchmarks.add("write a function that returns the sum of two given numbers please");
        let records = [
            record(long, "print(1) # and so on", "python"),
            record(&near, "print(1) # and so on", "python"),
            record(
                "Now: write a function that returns the sum of two given numbers",
                "def f(a, b): return a + b",
                "python",
            ),
            record("a", "b", "python"),
            record(
                "An entirely different question about trees and graphs",
                "def g(): return None",
                "python",
            ),
            record(
                "And another one that asks for queues of customers",
                "def h(): return []",
                "python",
            ),
        ];
        let rules = Rules {
            most_per_language: 2,
            ..Rules::default()
        };
        assert_eq!(
            reasons(&filter(&records, &rules, &benchmarks)),
            [
                "kept",
                "double",
                "overlaps a benchmark",
                "too short",
                "kept",
                "enough of its language"
            ]
        );
    }

    #[test]
    fn signatures_estimate_the_share_of_common_shingles() {
        let text = |from: usize| {
            (from..from + 400)
                .map(|i| format!("w{i}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let (a, b) = (signature(&text(0)), signature(&text(100)));
        let equal = a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / PERMUTATIONS as f64;
        // 296 of 496 shingles are common.
        assert!((equal - 0.597).abs() < 0.15, "{equal}");
    }
}
