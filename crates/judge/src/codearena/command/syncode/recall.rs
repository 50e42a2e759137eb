//! `orrery codearena syncode recall`: seeds, evidence of all pages, decision.

use std::path::{Path, PathBuf};

use base::command::{Failure, warn};
use base::endpoint::Embedder;
use base::rng::Rng;

use super::options::Seeds;
use super::{Stage, steps};
use crate::codearena::fingerprint;
use crate::codearena::syncode::clean::page_text;
use crate::codearena::syncode::encode::Encoder;
use crate::codearena::syncode::recall::{Samples, Seen, Thresholds, by_vectors, by_words, decide};
use crate::codearena::syncode::stage::text;
use crate::codearena::syncode::{StageError, Stats, pages};
use base::job::jsonl::Record;
use base::job::log;

/// Tells pages about code from others and, where there are seeds for it, good pages from poor ones.
pub(super) fn recall(
    stage: &Stage<'_>,
    seeds: &Seeds,
    embedder: Option<&dyn Embedder>,
    seed: u64,
) -> Result<Stats, Failure> {
    let kinds = seed_texts(seeds)?;
    let input = steps::input(stage)?;
    let thresholds = Thresholds {
        code: seeds.threshold,
        quality: seeds.quality,
        repository: seeds.repository_share,
    };
    let sizes: Vec<usize> = kinds.iter().map(Vec::len).collect();
    let learned: Vec<&str> = kinds.iter().flatten().map(String::as_str).collect();
    let settings = format!(
        "{thresholds:?} {seed} {sizes:?} {:x} {}",
        fingerprint(&learned),
        embedder.map_or("words", |embedder| embedder.name())
    );
    log::check(stage.out)?;
    let encoder = embedder.map(|embedder| Encoder {
        embedder,
        journal: stage.out.with_added_extension("vectors"),
        workers: stage.workers,
        stop: stage.context.stop,
    });
    let mut bar = stage.bar();
    let all = |records: &[Record]| {
        let texts = records.iter().map(|page| page_text(text(page, "text")));
        let texts: Vec<String> = texts.collect();
        let rng = Rng::new(seed);
        let found = match &encoder {
            None => {
                let kinds: Vec<&[String]> = kinds.iter().map(Vec::as_slice).collect();
                each_pair(&kinds, &texts, |samples, pair| {
                    by_words(samples, &rng.item(pair))
                })
            }
            Some(encoder) => {
                let pages = texts.iter().map(String::as_str);
                let both: Vec<&str> = learned.iter().copied().chain(pages).collect();
                let vectors = encoder.vectors(&both, &mut |done, all| bar.at(done, all))?;
                let (mut known, pages) = vectors.split_at(learned.len());
                let mut kinds = Vec::new();
                for size in &sizes {
                    let (kind, rest) = known.split_at(*size);
                    kinds.push(kind);
                    known = rest;
                }
                let name = encoder.embedder.name();
                each_pair(&kinds, pages, |samples, pair| {
                    by_vectors(samples, name, &rng.item(pair))
                })
            }
        };
        let p = |pair: usize, page: usize| found.get(pair).and_then(|all| all.get(page).copied());
        let seen = texts.iter().enumerate().map(|(page, text)| Seen {
            text: !text.trim().is_empty(),
            code: p(0, page).unwrap_or_default(),
            quality: p(1, page),
        });
        let seen: Vec<Seen> = seen.collect();
        Ok::<_, StageError>(decide(records, &seen, &thresholds))
    };
    let stats = stage.step(settings).run_together(&input, all)?;
    bar.finish();
    if let Some(encoder) = &encoder {
        encoder.finish();
    }
    Ok(stats)
}

/// The probabilities of all pages for each pair of kinds: first about code, then worth reading.
fn each_pair<X>(
    kinds: &[&[X]],
    pages: &[X],
    tell: impl Fn(&Samples<'_, X>, u64) -> Vec<f32>,
) -> Vec<Vec<f32>> {
    let pairs = kinds.chunks_exact(2).zip(0..);
    let labelled = pairs.map(|(pair, number)| match pair {
        [positives, negatives] => tell(
            &Samples {
                positives,
                negatives,
                pages,
            },
            number,
        ),
        _ => Vec::new(),
    });
    labelled.collect()
}

/// Texts of all kinds, those that are looked for before the others. Empty texts say nothing.
fn seed_texts(seeds: &Seeds) -> Result<Vec<Vec<String>>, Failure> {
    let worth: Vec<&PathBuf> = seeds.good.iter().chain(&seeds.poor).collect();
    let paths = [&seeds.positives, &seeds.negatives]
        .into_iter()
        .chain(worth);
    paths.map(|path| texts_of(path)).collect()
}

fn texts_of(path: &Path) -> Result<Vec<String>, Failure> {
    let read = pages::read(path)?;
    warn(&read.troubles);
    let texts = read.records.iter();
    let texts: Vec<String> = texts
        .map(|page| page_text(text(page, "text")))
        .filter(|text| !text.trim().is_empty())
        .collect();
    match texts.is_empty() {
        false => Ok(texts),
        true => Err(Failure::input(format!(
            "`{}` holds no text to learn from",
            path.display()
        ))),
    }
}
