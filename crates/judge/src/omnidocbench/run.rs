//! Files of pages evaluated: read one by one, worked on in parallel, written down as they are done.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::evaluate::{Evaluator, PageResult};
use super::journal::{self, Journal};
use super::page::{Page, Pages};
use super::prediction::{Predictions, read_text};
use super::sink::{Done, Sink};
use super::source::passes;

pub use super::error::RunError;
pub use super::sink::RunOutcome;
pub use super::source::{Missing, Source};

/// Evaluates all pages of a source. With a journal pages are written there every few seconds, and all when a shard ends,
/// or the run before its end; pages that it holds already, if `resume`, are not worked on again. `each` is called with how many are
/// done and says whether to go on.
///
/// # Errors
/// [`RunError`].
pub fn run(
    source: &Source,
    evaluator: &Evaluator,
    journal: Option<&Path>,
    resume: bool,
    mut each: impl FnMut(usize) -> bool + Send,
) -> Result<RunOutcome, RunError> {
    for folder in [Some(&source.predictions), source.markdown.as_ref()]
        .into_iter()
        .flatten()
    {
        if !folder.is_dir() {
            return Err(RunError::Folder(folder.clone()));
        }
    }
    let list = |folder: &PathBuf| {
        Predictions::open(folder).map_err(|source| RunError::Prediction {
            path: folder.clone(),
            source,
        })
    };
    let folders = Folders {
        predictions: list(&source.predictions)?,
        markdown: source.markdown.as_ref().map(list).transpose()?,
    };
    let mut outcome = RunOutcome::default();
    let log = match journal {
        Some(path) => {
            let header = header(source, evaluator);
            Some(Journal::open(path, &header, resume, &mut outcome.pages)?)
        }
        None => None,
    };
    let done: HashSet<usize> = outcome.pages.iter().map(|page| page.index).collect();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut in_file = 0;
    let over = AtomicBool::new(false);
    let wanted = |at: usize, page: &Page| {
        let shard = source.shard;
        let ours = shard.is_none_or(|shard| shard.holds(at));
        ours && passes(page, &source.filter)
    };
    let pages = Pages::open(&source.pages)?.enumerate();
    let pages = pages
        .take_while(|_| !over.load(Ordering::Relaxed))
        .filter(|(at, page)| {
            let Ok(page) = page else { return true };
            in_file = at + 1;
            if !wanted(*at, page) {
                return false;
            }
            *names.entry(page.image.clone()).or_default() += 1;
            !done.contains(at)
        });
    let sink = Mutex::new(Sink::new(outcome, log, &mut each));
    // Page by page, each read by the thread that is free for it: one may take as long as a hundred others.
    pages.par_bridge().for_each(|(at, page)| {
        let result = match page {
            Ok(page) => one(&folders, source.missing, evaluator, at, &page),
            Err(error) => Err(error.into()),
        };
        let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
        if !sink.take(at, result) {
            over.store(true, Ordering::Relaxed);
        }
    });
    let sink = sink.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut outcome = sink.finish(source.shard.is_some())?;
    outcome.in_file = in_file;
    let twice = names.iter().filter(|(_, count)| **count > 1);
    outcome.warnings.extend(twice.map(|(name, count)| {
        format!("{count} pages are called `{name}`: their scores are averaged as one page")
    }));
    Ok(outcome)
}

/// Where markdown lies.
struct Folders {
    predictions: Predictions,
    markdown: Option<Predictions>,
}

/// Evaluates a page.
fn one(
    folders: &Folders,
    missing: Missing,
    evaluator: &Evaluator,
    index: usize,
    page: &Page,
) -> Result<Done, RunError> {
    let mut warnings = Vec::new();
    let mut text = |folder: &Predictions| -> Result<Option<String>, RunError> {
        let Some(path) = folder.of(&page.image) else {
            return Ok(None);
        };
        let (text, broken) = read_text(&path).map_err(|source| RunError::Prediction {
            path: path.clone(),
            source,
        })?;
        if broken {
            warnings.push(format!(
                "`{}` is not UTF-8: what could not be read was replaced",
                path.display()
            ));
        }
        Ok(Some(text))
    };
    let given = text(&folders.predictions)?;
    let gt = match &folders.markdown {
        Some(folder) => match text(folder)? {
            None => {
                return Ok(Done {
                    warnings,
                    ..Done::default()
                });
            }
            gt => gt,
        },
        None => None,
    };
    let result = match (given, missing) {
        (None, Missing::Skip) => PageResult::missing(index, page),
        (given, _) => {
            let predicted = given.is_some();
            let markdown = given.unwrap_or_default();
            let mut result = match &gt {
                Some(gt) => evaluator.markdown(index, page, gt, &markdown),
                None => evaluator.page(index, page, markdown),
            };
            result.predicted = predicted;
            if result.without_latex {
                warnings.push(format!(
                    "`{}`: its annotated tables have no `latex`, the predicted ones are LaTeX: they score 0; the official \
                     tool ends there",
                    page.image
                ));
            }
            result
        }
    };
    Ok(Done {
        page: Some(result),
        warnings,
    })
}

/// What a journal's run depends on.
fn header(source: &Source, evaluator: &Evaluator) -> Value {
    let size = std::fs::metadata(&source.pages).map_or(0, |file| file.len());
    json!({
        "orrery": env!("CARGO_PKG_VERSION"),
        "ground_truth_bytes": size,
        "protocol": evaluator.matching.protocol.name(),
        "match": evaluator.matching.method.name(),
        "metrics": evaluator.metrics.to_json(),
        "latex_tables": evaluator.latex_tables.name(),
        "cdm_renderer": evaluator.renderer.name(),
        "html_parser": evaluator.html_parser.name(),
        "filter": source.filter,
        "missing": format!("{:?}", source.missing),
        "shard": source.shard.map(|shard| [shard.index, shard.of]),
    })
}

/// Several shards' journals as one run.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// What they were run with.
    pub header: Value,
    /// Their pages, in the order of the ground truth.
    pub pages: Vec<PageResult>,
    /// What is not there of the whole run, a line each.
    pub missing: Vec<String>,
}

/// What two journals say differently: each setting with its values, most three.
fn differences(one: &(Value, usize), other: &(Value, usize)) -> Vec<String> {
    let mut all = Vec::new();
    if one.1 != other.1 {
        all.push(format!("{} shards against {}", one.1, other.1));
    }
    let short = |value: &Value| -> String {
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        text.chars().take(40).collect()
    };
    for (key, value) in one.0.as_object().into_iter().flatten() {
        let there = other.0.get(key).unwrap_or(&Value::Null);
        if value != there {
            all.push(format!("{key} {} against {}", short(value), short(there)));
        }
    }
    all.truncate(3);
    all
}

/// Puts shards' journals together.
///
/// # Errors
/// [`RunError`] when a file is no journal, or they are not of one run.
pub fn merge(journals: &[PathBuf]) -> Result<Merged, RunError> {
    let mut all: BTreeMap<usize, PageResult> = BTreeMap::new();
    let mut merged = Merged::default();
    let mut common: Option<(Value, usize)> = None;
    let mut there: BTreeMap<usize, bool> = BTreeMap::new();
    for path in journals {
        let mut held = journal::read(path)?;
        let shard = held.header.as_object_mut().and_then(|h| h.remove("shard"));
        let number = |at: usize| shard.as_ref()?.get(at)?.as_u64().map(|n| n as usize);
        let (index, of) = (number(0).unwrap_or(0), number(1).unwrap_or(1));
        let own = (held.header, of);
        match &common {
            None => common = Some(own),
            Some(known) if *known == own => {}
            Some(known) => {
                return Err(RunError::Apart {
                    path: path.display().to_string(),
                    differences: differences(known, &own),
                });
            }
        }
        // The same shard may be given twice, once half-written.
        *there.entry(index).or_default() |= held.whole;
        if !held.whole {
            let line = format!("`{}` is of a run that was not done", path.display());
            merged.missing.push(line);
        }
        for page in held.pages {
            all.entry(page.index).or_insert(page);
        }
    }
    let (header, of) = common.unwrap_or_default();
    if there.values().all(|whole| *whole) {
        merged.missing.clear();
    }
    let absent: Vec<String> = (0..of)
        .filter(|index| !there.contains_key(index))
        .map(|index| format!("{index}/{of}"))
        .collect();
    if !absent.is_empty() {
        let named = absent.get(..10.min(absent.len())).unwrap_or_default();
        let more = if absent.len() > 10 { ", …" } else { "" };
        let line = format!(
            "{} of {of} shards are missing: {}{more}",
            absent.len(),
            named.join(", ")
        );
        merged.missing.push(line);
    }
    (merged.header, merged.pages) = (header, all.into_values().collect());
    Ok(merged)
}
