//! The first step: clean texts, without short ones and without what evaluations ask.

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::html;
use super::job::Job;
use super::lines;
use super::tally::Tally;
use super::text::{char_count, composed};
use crate::moxin::SystemError;

/// Words of a gram that an evaluation and a text must not share.
const WORDS: usize = 13;

/// What is filtered.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Fewest characters without ASCII punctuation and white space.
    pub min_chars: usize,
    /// Texts are HTML: their text is taken out first.
    pub html: bool,
    /// Files with texts, questions and answers of evaluations: documents that share 13 words in a row with them go.
    pub decontaminate: Vec<PathBuf>,
}

/// Filters all pieces of `job`; the tally as soon as all machines are through.
///
/// # Errors
/// [`SystemError`].
pub fn filter(job: &Job<'_>, filter: &Filter, gz: bool) -> Result<Option<Tally>, SystemError> {
    let known = evaluations(&filter.decontaminate)?;
    job.begin()?;
    let tallies = job.last(gz, &|piece, tally, out| {
        let failed = |error| SystemError::path(&piece.input, error);
        lines::each(piece, job.stop, tally, &mut |tally, document| {
            let extracted = filter.html.then(|| html::extract(&document.text));
            let text = extracted.as_deref().unwrap_or(&document.text);
            let text = composed(text);
            let reason = match &text {
                text if char_count(text) < filter.min_chars => Some("short"),
                text if !known.is_empty() && grams(text).any(|gram| known.contains(&gram)) => {
                    Some("contaminated")
                }
                _ => None,
            };
            if let Some(reason) = reason {
                tally.remove(reason);
                return Ok(());
            }
            tally.keep(&text);
            let same = *text == *document.text;
            let changed = (!same).then(|| with_text(document.line, &text));
            let line = changed.as_deref().unwrap_or(document.line);
            out.write_all(line.as_bytes()).map_err(failed)?;
            out.write_all(b"\n").map_err(failed)
        })
    })?;
    let done = tallies.map(|all| job.manifest(&all, &Value::Null));
    done.transpose()
}

/// The line with another text.
pub(super) fn with_text(line: &str, text: &str) -> String {
    let mut record: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    record.insert("text".into(), Value::String(text.to_owned()));
    Value::Object(record).to_string()
}

/// Hashes of 13 words in a row, in lower case without punctuation.
fn grams(text: &str) -> impl Iterator<Item = u64> {
    let words = words(text);
    (WORDS..=words.len())
        .map(move |end| mixed(&words[end - WORDS..end]))
        .collect::<Vec<_>>()
        .into_iter()
}

/// Hashes of the words of a text, in lower case without punctuation.
pub(super) fn words(text: &str) -> Vec<u64> {
    let clean = |word: &str| {
        let letters = word.chars().filter(|c| !c.is_ascii_punctuation());
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    let all = text.split_whitespace().map(clean);
    all.filter(|word| !word.is_empty())
        .map(|word| xxhash_rust::xxh3::xxh3_64(word.as_bytes()))
        .collect()
}

/// One hash of several, in order.
pub(super) fn mixed(hashes: &[u64]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytemuck::cast_slice(hashes))
}

/// Grams of all strings in files of JSON lines.
fn evaluations(files: &[PathBuf]) -> Result<HashSet<u64>, SystemError> {
    fn strings(value: &Value, take: &mut dyn FnMut(&str)) {
        match value {
            Value::String(text) => take(text),
            Value::Array(all) => all.iter().for_each(|it| strings(it, take)),
            Value::Object(all) => all.values().for_each(|it| strings(it, take)),
            _ => {}
        }
    }
    let mut known = HashSet::new();
    for path in files {
        let read =
            base::job::jsonl::read(path).map_err(|error| SystemError::Input(error.to_string()))?;
        for (_, record) in read.records {
            strings(&Value::Object(record), &mut |text| {
                known.extend(grams(text))
            });
        }
    }
    Ok(known)
}
