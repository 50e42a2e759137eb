//! Repeated paragraphs by a Bloom filter over 13 words in a row, one document after the other (DCLM style).

use serde_json::{Value, json};

use super::filter::{mixed, with_text, words};
use super::job::Job;
use super::lines;
use super::tally::Tally;
use crate::moxin::SystemError;

/// Words of a gram.
const WORDS: usize = 13;
/// A paragraph with so many known grams is known; a document that loses so many of its bytes goes.
const SHARE: f64 = 0.8;

/// A set that forgets nothing and sometimes believes too much.
#[derive(Clone, Debug)]
pub struct Bloom {
    bits: Vec<u64>,
    hashes: u32,
}

impl Bloom {
    /// Bits and hash functions for `count` members and this share of wrong answers: `m = −n ln p / (ln 2)²`, `k = m/n · ln 2`.
    pub fn sizes(count: u64, wrong: f64) -> (u64, u32) {
        let two = std::f64::consts::LN_2;
        let count = count.max(1) as f64;
        let bits = (-count * wrong.clamp(1e-9, 0.5).ln() / (two * two)).ceil();
        (bits as u64, (bits / count * two).round().max(1.0) as u32)
    }

    /// An empty set.
    pub fn new(count: u64, wrong: f64) -> Self {
        let (bits, hashes) = Self::sizes(count, wrong);
        Self {
            bits: vec![0; bits.div_ceil(64).max(1) as usize],
            hashes,
        }
    }

    fn places(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let total = self.bits.len() as u64 * 64;
        let step = mixed(&[hash]) | 1;
        (0..u64::from(self.hashes)).map(move |i| {
            let at = hash.wrapping_add(i.wrapping_mul(step)) % total;
            ((at / 64) as usize, 1 << (at % 64))
        })
    }

    /// Whether `hash` was probably put in.
    pub fn has(&self, hash: u64) -> bool {
        self.places(hash)
            .all(|(word, bit)| self.bits[word] & bit != 0)
    }

    /// Puts `hash` in.
    pub fn put(&mut self, hash: u64) {
        for (word, bit) in self.places(hash) {
            self.bits[word] |= bit;
        }
    }
}

/// The text without paragraphs that were seen before; none where most of it was. What it holds is seen from then on.
pub fn unseen(text: &str, seen: &mut Bloom) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    let mut lost = 0;
    let mut new = Vec::new();
    for paragraph in text.split('\n') {
        let words = words(paragraph);
        let grams: Vec<u64> = (WORDS..=words.len())
            .map(|end| mixed(&words[end - WORDS..end]))
            .collect();
        let known = grams.iter().filter(|gram| seen.has(**gram)).count();
        if !grams.is_empty() && known as f64 >= SHARE * grams.len() as f64 {
            lost += paragraph.len();
            continue;
        }
        new.extend(grams);
        kept.push(paragraph);
    }
    new.into_iter().for_each(|gram| seen.put(gram));
    ((lost as f64) < SHARE * text.len() as f64 || lost == 0).then(|| kept.join("\n"))
}

/// Removes repeated paragraphs in all pieces of `job`, in their order. Pieces depend on those before them, so that machines
/// cannot share the work; what is done is not done again, only read.
///
/// # Errors
/// [`SystemError`].
pub fn paragraphs(job: &Job<'_>, bloom: Bloom, gz: bool) -> Result<Option<Tally>, SystemError> {
    job.begin()?;
    let mut seen = bloom;
    let mut all = Vec::new();
    for piece in &job.pieces {
        let single = Job {
            pieces: vec![piece.clone()],
            params: job.params.clone(),
            shard: None,
            ..*job
        };
        let start = std::sync::Mutex::new(Some(seen.clone()));
        let end = std::sync::Mutex::new(None);
        let tallies = single.last(gz, &|piece, tally, out| {
            let failed = |error| SystemError::path(&piece.input, error);
            let taken = start.lock().ok().and_then(|mut start| start.take());
            let mut seen = taken.unwrap_or_else(|| Bloom::new(1, 0.1));
            lines::each(piece, job.stop, tally, &mut |tally, document| {
                let Some(text) = unseen(&document.text, &mut seen) else {
                    tally.remove("repeated");
                    return Ok(());
                };
                tally.keep(&text);
                let line = match text == document.text {
                    true => document.line.into(),
                    false => std::borrow::Cow::Owned(with_text(document.line, &text)),
                };
                out.write_all(line.as_bytes()).map_err(failed)?;
                out.write_all(b"\n").map_err(failed)
            })?;
            if let Ok(mut end) = end.lock() {
                *end = Some(seen);
            }
            Ok(())
        })?;
        seen = match end.into_inner().ok().flatten() {
            Some(after) => after,
            // Done by an earlier run: what it held is put in again.
            None => {
                lines::each(
                    piece,
                    job.stop,
                    &mut Tally::default(),
                    &mut |_, document| {
                        let _ = unseen(&document.text, &mut seen);
                        Ok(())
                    },
                )?;
                seen
            }
        };
        all.extend(tallies.unwrap_or_default());
    }
    let more: Value = json!({"bits": seen.bits.len() * 64, "hashes": seen.hashes});
    Ok(Some(job.manifest(&all, &more)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_paragraphs_go_and_documents_made_of_them() {
        let long = |word: &str| {
            (0..30)
                .map(|n| format!("{word}{n}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let (a, b) = (long("alpha"), long("beta"));
        let mut seen = Bloom::new(10_000, 1e-4);
        assert_eq!(unseen(&a, &mut seen).as_deref(), Some(a.as_str()));
        let both = format!("{b}\n{a}\nshort");
        assert_eq!(unseen(&both, &mut seen), Some(format!("{b}\nshort")));
        assert_eq!(unseen(&a, &mut seen), None);
        assert_eq!(Bloom::sizes(1000, 0.01), (9586, 7));
    }
}
