//! Each step: settings, input, work.

use std::path::{Path, PathBuf};

use base::command::{Failure, warn};
use base::endpoint::{ChatModel, Embedder};
use serde_json::{Value, json};

use super::Stage;
use crate::codearena::classify::Classifier;
use crate::codearena::sandbox::{Limits, Sandbox};
use crate::codearena::syncode::filter::{Benchmarks, Rules};
use crate::codearena::syncode::lang::{LanguageClassifier, Wanted};
use crate::codearena::syncode::stage::{Input, WorkError, read_input, text};
use crate::codearena::syncode::verify::Verifier;
use crate::codearena::syncode::{
    Fate, Stats, answer as answering, ask as asking, clean as cleaning, filter as filtering,
    lang as identify, pages,
};
use base::job::jsonl::Record;

/// Reads the input of a stage and tells what could not be read.
pub(super) fn input(stage: &Stage<'_>) -> Result<Input, Failure> {
    let input = pages::read(stage.input)?;
    warn(&input.troubles);
    Ok(input)
}

fn work(
    stage: &Stage<'_>,
    settings: String,
    input: Input,
    work: impl Fn(&Record) -> Result<Fate, WorkError> + Sync,
) -> Result<Stats, Failure> {
    let mut bar = stage.bar();
    let stats = stage
        .step(settings)
        .run(input, work, &mut |done, all| bar.at(done, all));
    bar.finish();
    Ok(stats?)
}

pub(super) fn lang(
    stage: &Stage<'_>,
    model: Option<&Path>,
    encoder: Option<Box<dyn Embedder>>,
    wanted: &Wanted,
) -> Result<Stats, Failure> {
    let settings = format!(
        "{wanted:?} {}",
        model.map_or(String::new(), |path| path.display().to_string())
    );
    let classifier = match model {
        Some(path) => LanguageClassifier::read(path, encoder)?,
        None => LanguageClassifier::Words,
    };
    work(stage, settings, input(stage)?, |page| {
        identify::judge(&classifier, page, wanted)
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
    warn(&input.troubles);
    let mut leaks = Benchmarks::default();
    for path in benchmarks {
        let shown = path.display();
        let bytes = base::files::read(path).map_err(|cause| {
            Failure::input(format!("cannot read `{shown}`: {cause}: check the path"))
        })?;
        for line in String::from_utf8_lossy(&bytes).lines() {
            match serde_json::from_str(line) {
                Ok(json) => texts(&json, &mut |text| leaks.add(text)),
                Err(_) => leaks.add(line),
            }
        }
    }
    let leaked = leaks.fingerprint();
    let settings = format!("{rules:?} {leaked:x}");
    let decide = |records: &[Record]| Ok(filtering::filter(records, rules, &leaks));
    Ok(stage.step(settings).run_together(&input, decide)?)
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
