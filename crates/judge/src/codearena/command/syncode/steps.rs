//! Each step: settings, input, work.

use std::path::{Path, PathBuf};

use engine::command::Failure;
use engine::endpoint::ChatModel;
use engine::rng::Rng;
use serde_json::{Value, json};

use super::{Stage, warn_of};
use crate::codearena::classify::Classifier;
use crate::codearena::fingerprint;
use crate::codearena::sandbox::{Limits, Sandbox};
use crate::codearena::syncode::filter::{Benchmarks, Rules};
use crate::codearena::syncode::lang::{Teller, Wanted};
use crate::codearena::syncode::ngram;
use crate::codearena::syncode::stage::{Input, WorkError, read_input, text};
use crate::codearena::syncode::verify::Verifier;
use crate::codearena::syncode::{
    Fate, Stats, answer as answering, ask as asking, clean as cleaning, filter as filtering,
    lang as telling, pages, recall as recalling,
};

/// Reads the input of a stage and tells what could not be read.
fn input(stage: &Stage<'_>) -> Result<Input, Failure> {
    let input = pages::read(stage.input)?;
    warn_of(&input);
    Ok(input)
}

fn work(
    stage: &Stage<'_>,
    settings: String,
    input: Input,
    work: impl Fn(&crate::codearena::jsonl::Record) -> Result<Fate, WorkError> + Sync,
) -> Result<Stats, Failure> {
    let mut bar = stage.bar();
    let stats = stage
        .step(settings)
        .run(input, work, &mut |done, all| bar.at(done, all));
    bar.finish();
    Ok(stats?)
}

pub(super) fn recall(
    stage: &Stage<'_>,
    positives: &Path,
    negatives: &Path,
    threshold: f32,
    seed: u64,
) -> Result<Stats, Failure> {
    let texts = |path: &Path| -> Result<Vec<String>, Failure> {
        let read = pages::read(path)?;
        warn_of(&read);
        let texts: Vec<String> = read
            .records
            .iter()
            .map(|page| cleaning::page_text(text(page, "text")))
            .collect();
        match texts.iter().any(|text| !text.trim().is_empty()) {
            true => Ok(texts),
            false => Err(Failure::input(format!(
                "`{}` holds no text to learn from",
                path.display()
            ))),
        }
    };
    let (positives, negatives) = (texts(positives)?, texts(negatives)?);
    let input = input(stage)?;
    let rng = Rng::new(seed);
    let model = recalling::train(&positives, &negatives, &input.records, &rng);
    let seeds: Vec<&str> = positives
        .iter()
        .chain(&negatives)
        .map(String::as_str)
        .collect();
    let settings = format!(
        "{threshold} {seed} {} {:x}",
        positives.len(),
        fingerprint(&seeds)
    );
    work(stage, settings, input, |page| {
        Ok(recalling::judge(&model, page, threshold))
    })
}

pub(super) fn lang(
    stage: &Stage<'_>,
    model: Option<&Path>,
    wanted: &Wanted,
) -> Result<Stats, Failure> {
    let teller = match model {
        Some(path) => Teller::Model(Box::new(ngram::Classifier::read(path)?)),
        None => Teller::Words,
    };
    let settings = format!(
        "{wanted:?} {}",
        model.map_or(String::new(), |path| path.display().to_string())
    );
    work(stage, settings, input(stage)?, |page| {
        Ok(telling::judge(&teller, page, wanted))
    })
}

pub(super) fn clean(stage: &Stage<'_>) -> Result<Stats, Failure> {
    work(stage, String::new(), input(stage)?, |page| {
        let cleaned = cleaning::clean(text(page, "text")).text;
        if cleaned.trim().is_empty() {
            return Ok(Fate::Drop("nothing left".into()));
        }
        let mut page = page.clone();
        page.insert("text".into(), json!(cleaned));
        Ok(Fate::Keep(page))
    })
}

pub(super) fn ask(stage: &Stage<'_>, model: &dyn ChatModel, number: u64) -> Result<Stats, Failure> {
    let classifier = Classifier::new();
    let settings = format!("{} {number}", model.name());
    work(stage, settings, input(stage)?, |page| {
        asking::ask(model, &classifier, page, number)
    })
}

pub(super) fn answer(
    stage: &Stage<'_>,
    model: &dyn ChatModel,
    candidates: u64,
    temperature: f64,
) -> Result<Stats, Failure> {
    if !(0.0..=2.0).contains(&temperature) {
        return Err(Failure::input("`--temperature` must be from 0 to 2"));
    }
    let settings = format!("{} {candidates} {temperature}", model.name());
    work(stage, settings, input(stage)?, |record| {
        answering::answer(model, record, candidates, temperature)
    })
}

pub(super) fn verify(
    stage: &Stage<'_>,
    tester: &dyn ChatModel,
    scorer: &dyn ChatModel,
) -> Result<Stats, Failure> {
    let verifier = Verifier {
        tester,
        scorer,
        sandbox: Sandbox::new()?,
        limits: Limits::default(),
    };
    let settings = format!("{} {}", tester.name(), scorer.name());
    work(stage, settings, input(stage)?, |record| {
        verifier.verify(record)
    })
}

pub(super) fn filter(
    stage: &Stage<'_>,
    rules: &Rules,
    benchmarks: &[PathBuf],
) -> Result<Stats, Failure> {
    let input = read_input(stage.input)?;
    warn_of(&input);
    let mut leaks = Benchmarks::default();
    for path in benchmarks {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|cause| {
            Failure::input(format!("cannot read `{shown}`: {cause}: check the path"))
        })?;
        for line in String::from_utf8_lossy(&bytes).lines() {
            match serde_json::from_str(line) {
                Ok(json) => texts(&json, &mut |text| leaks.add(text)),
                Err(_) => leaks.add(line),
            }
        }
    }
    // Doubles are found by looking at all records together: no work of half a run is kept, and it takes moments.
    let fates = filtering::filter(&input.records, rules, &leaks);
    Ok(stage
        .step(String::new())
        .write(fates, input.troubles.len(), String::new())?)
}

/// All texts inside a JSON value. The reader bounds how deeply values nest.
fn texts(json: &Value, add: &mut dyn FnMut(&str)) {
    match json {
        Value::String(text) => add(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, add)),
        Value::Object(entries) => entries.values().for_each(|item| texts(item, add)),
        _ => {}
    }
}
