//! Vectors of texts, from an encoder behind a server: each is asked for once and kept in a journal.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use base::endpoint::{ChatError, Embedder};
use serde_json::{Value, json};

use super::stage::StageError;
use crate::codearena::fingerprint;
use base::job::journal::Journal;
use base::job::jsonl::Record;

/// Characters of a text that an encoder is shown: about the 512 tokens of CodeBERT; servers refuse what is longer.
const SHOWN: usize = 1_500;

/// An encoder with a journal.
pub struct Encoder<'a> {
    /// The encoder.
    pub embedder: &'a dyn Embedder,
    /// Where vectors stand from the moment they are there.
    pub journal: PathBuf,
    /// Texts at a time.
    pub workers: usize,
    /// Becomes true when no further text shall be asked for.
    pub stop: &'a AtomicBool,
}

impl Encoder<'_> {
    /// The vector of each text, all of one length. `at` is called with the number of texts done and of all.
    ///
    /// # Errors
    /// [`StageError`]; what is done stays in the journal.
    pub fn vectors(
        &self,
        texts: &[&str],
        at: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Vec<f32>>, StageError> {
        let shown: Vec<String> = texts.iter().map(|text| shown(text)).collect();
        let hash = |text: &String| {
            let parts = [self.embedder.name(), text.as_str()];
            format!("{:016x}", fingerprint(&parts))
        };
        let hashes: Vec<String> = shown.iter().map(hash).collect();
        let mut journal = Journal::open(&self.journal, |line| vector(line).is_some())?;
        let one = |index: usize| {
            let text = shown.get(index).map(String::as_str).unwrap_or_default();
            let vector = embed(self.embedder, text)?;
            Ok(Record::from_iter([("vector".to_owned(), json!(vector))]))
        };
        let progress = journal.work(&hashes, self.workers, self.stop, one, at)?;
        let all = texts.len();
        let done = all - progress.missing;
        match progress.error {
            Some(model) if model != ChatError::Stopped => {
                return Err(StageError::Model { model, done, all });
            }
            _ if done < all => return Err(StageError::Stopped { done, all }),
            _ => {}
        }
        let vectors = hashes.iter().filter_map(|hash| vector(journal.get(hash)?));
        let vectors: Vec<Vec<f32>> = vectors.collect();
        let width = vectors.first().map_or(0, Vec::len);
        match vectors.iter().all(|vector| vector.len() == width) {
            true => Ok(vectors),
            false => Err(StageError::Settings(format!(
                "`{}` holds vectors of different lengths: the encoder changed; remove the file",
                self.journal.display()
            ))),
        }
    }

    /// Removes the journal once nobody needs it.
    pub fn finish(&self) {
        let _ = std::fs::remove_file(&self.journal);
    }
}

/// The vector of one text, cut to what an encoder can read.
///
/// # Errors
/// [`ChatError`].
pub fn embed(embedder: &dyn Embedder, text: &str) -> Result<Vec<f32>, ChatError> {
    let shown = shown(text);
    let vectors = embedder.embed(&[&shown])?;
    Ok(vectors.into_iter().next().unwrap_or_default())
}

/// What an encoder is shown of a text. Servers refuse an empty one.
fn shown(text: &str) -> String {
    let shown: String = text.trim().chars().take(SHOWN).collect();
    match shown.is_empty() {
        true => "-".into(),
        false => shown,
    }
}

fn vector(line: &Record) -> Option<Vec<f32>> {
    let values = line.get("vector")?.as_array()?;
    let values = values.iter().map(Value::as_f64);
    values
        .map(|value| value.map(|value| value as f32))
        .collect()
}
