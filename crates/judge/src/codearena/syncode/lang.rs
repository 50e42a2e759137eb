//! Step 2: the language of a page's code. Fences that name it are believed; other snippets go to a classifier trained on
//! sources, either over the vectors of an encoder as in the paper or over character n-grams, or, without one, to a table of
//! keywords [ours].

use std::collections::BTreeMap;
use std::path::Path;

use base::endpoint::{ChatError, Embedder};
use base::rng::Rng;
use base::tensor_file::{Weights, WeightsError};
use serde_json::json;

use super::clean::clean;
use super::encode::embed;
use super::head::Head;
use super::ngram::{Classifier, Grams};
use super::stage::{Fate, WorkError, text};
use super::words;
use crate::codearena::fingerprint;
use crate::codearena::sandbox::Language;
use base::job::jsonl::Record;

/// Who tells the language of a snippet that names none.
pub enum LanguageClassifier {
    /// A classifier over character n-grams.
    Model(Box<Classifier>),
    /// A classifier over the vectors of an encoder.
    Head(Box<Head>, Box<dyn Embedder>),
    /// The table of keywords.
    Words,
}

impl LanguageClassifier {
    /// A classifier out of a file that `syncode lang --train` wrote.
    ///
    /// # Errors
    /// [`WeightsError`], also where it needs another encoder than the one that is given.
    pub fn read(path: &Path, encoder: Option<Box<dyn Embedder>>) -> Result<Self, WeightsError> {
        let file = Weights::open(path)?;
        if !Head::is_in(&file) {
            return Ok(Self::Model(Box::new(Classifier::read(path)?)));
        }
        let head = Head::read(&file)?;
        match encoder {
            Some(encoder) if encoder.name() == head.encoder() => {
                Ok(Self::Head(Box::new(head), encoder))
            }
            _ => Err(file.unfit(format!(
                "it needs the vectors of `{0}`: add `--encoder URL --encoder-model {0}`",
                head.encoder()
            ))),
        }
    }

    /// The language of a snippet with a confidence in `[0, 1]`; none where nothing tells it.
    ///
    /// # Errors
    /// [`ChatError`] of the encoder.
    pub fn detect(&self, code: &str) -> Result<Option<(String, f32)>, ChatError> {
        let own = |(label, p): (&str, f32)| (label.to_owned(), p);
        match self {
            Self::Model(model) => Ok(model.best(code).map(own)),
            Self::Head(head, encoder) => {
                let vector = embed(encoder, code)?;
                let width = vector.len();
                let best = head.best(&vector).map(own);
                best.map(Some).ok_or_else(|| {
                    ChatError::Unable(format!(
                        "`{}` gives vectors of {width} numbers, and the classifier was trained on others: train it again",
                        encoder.name()
                    ))
                })
            }
            Self::Words => Ok(words::detect(code)),
        }
    }
}

/// Snippets of known languages.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The languages.
    pub labels: Vec<String>,
    /// Snippets with the numbers of their languages.
    pub samples: Vec<(String, usize)>,
}

/// Snippets out of a folder of sources, whose endings name their languages.
///
/// # Errors
/// What the folder lacks.
pub fn sources(folder: &Path) -> Result<Sources, String> {
    const MOST_FILES: usize = 20_000;
    const SNIPPET: usize = 1_500;
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut open, mut files) = (vec![folder.to_owned()], 0);
    while let Some(folder) = open.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        entries.sort_by_key(std::fs::DirEntry::path);
        for entry in entries {
            let path = entry.path();
            // Links are not followed: they may lead in circles.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_file() && files < MOST_FILES => {
                    let ending = path
                        .extension()
                        .and_then(|ending| ending.to_str())
                        .unwrap_or_default();
                    let (Some(language), Ok(bytes)) = (by_ending(ending), std::fs::read(&path))
                    else {
                        continue;
                    };
                    files += 1;
                    let text = String::from_utf8_lossy(&bytes);
                    let middle: String = text.chars().skip(text.len() / 3).take(SNIPPET).collect();
                    texts.entry(language).or_default().push(middle);
                }
                _ => {}
            }
        }
    }
    if texts.len() < 2 {
        return Err("the folder holds sources of fewer than two languages".into());
    }
    // The rarest language must not drown: at most four times its number of each other one.
    let most = 4 * texts.values().map(Vec::len).min().unwrap_or(1).max(25);
    let labels = texts.keys().cloned().collect();
    let all = texts.into_values().enumerate();
    let samples = all
        .flat_map(|(label, texts)| texts.into_iter().take(most).map(move |text| (text, label)))
        .collect();
    Ok(Sources { labels, samples })
}

/// Trains a classifier over character n-grams.
pub fn train(sources: &Sources, rng: &Rng) -> Classifier {
    let samples: Vec<(&str, usize)> = sources
        .samples
        .iter()
        .map(|(text, label)| (text.as_str(), *label))
        .collect();
    Classifier::train(Grams::Characters, &sources.labels, &samples, 5, rng)
}

fn by_ending(ending: &str) -> Option<String> {
    let name = match ending {
        "h" => "c",
        "hpp" | "cxx" => "cpp",
        "mjs" => "javascript",
        "html" | "htm" => "html",
        "css" => "css",
        other => Language::named(other)?.name,
    };
    Some(name.to_owned())
}

/// What is kept of the languages.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Languages to keep; all when empty.
    pub keep: Vec<String>,
    /// Shares of pages to keep of languages that there are too many of, 0 to 1.
    pub shares: BTreeMap<String, f64>,
}

/// Tells the language of a page: that of most of its code. Pages without code are dropped.
///
/// # Errors
/// [`WorkError::Model`] of the encoder.
pub fn judge(
    classifier: &LanguageClassifier,
    page: &Record,
    wanted: &Wanted,
) -> Result<Fate, WorkError> {
    let cleaned = clean(text(page, "text"));
    let mut votes: BTreeMap<String, (f32, f32)> = BTreeMap::new();
    for (tag, code) in &cleaned.snippets {
        let named = Language::named(tag).map(|language| (language.name.to_owned(), 1.0));
        let found = match named {
            Some(named) => Some(named),
            None => classifier.detect(code)?,
        };
        if let Some((language, p)) = found {
            let (weight, sure) = votes.entry(language).or_default();
            *weight += code.len() as f32 * p;
            *sure = sure.max(p);
        }
    }
    let best = votes.into_iter().max_by(|a, b| a.1.0.total_cmp(&b.1.0));
    let Some((language, (_, p))) = best else {
        return Ok(Fate::Drop("no code".into()));
    };
    if !wanted.keep.is_empty() && !wanted.keep.contains(&language) {
        return Ok(Fate::Drop(format!("language {language}")));
    }
    if let Some(share) = wanted.shares.get(&language) {
        let place = fingerprint(&[text(page, "text")]) as f64 / u64::MAX as f64;
        if place >= *share {
            return Ok(Fate::Drop(format!("enough {language}")));
        }
    }
    let mut page = page.clone();
    page.insert("lang".into(), json!(language));
    page.insert("p_lang".into(), json!((f64::from(p) * 1e4).round() / 1e4));
    Ok(Fate::Keep(page))
}
