//! Tasks whose labels are exact by construction.

use base::command::Failure;
use base::proof::{Arm, Bound, Claim, Experiment, Measure, Outcome, ProofOptions, Report};
use base::rng::Rng;
use engine::train::{Progress, Run};

use super::{auc, auc_measure, guardian, outcome};
use crate::guardian::baseline::{BagOfWords, missing_overlap};
use crate::guardian::head::HeadInfo;
use crate::guardian::pipeline::Guardian;
use crate::guardian::record::Record;
use crate::guardian::store::{ReadSamples, read_samples};
use crate::guardian::synth::{self, Edit, Half};
use crate::guardian::tools::check_calls;
use crate::guardian::train::{head_config, train_head};

/// Steps of a head's training.
const STEPS: u64 = 600;
const HEAD: &str = "head on frozen features";
const ZERO: &str = "zero-shot answer";
const WORDS: &str = "bag of words";

/// A task: what is trained on, what is tested.
struct Task<'a> {
    name: &'a str,
    train: Vec<Record>,
    test: Vec<Record>,
}

/// What came out of a task.
struct Results {
    /// P(risk) of the test records, a row a seed.
    head: Vec<Vec<f64>>,
    zero_shot: Vec<f64>,
    words: Vec<f64>,
    risky: Vec<bool>,
}

impl Task<'_> {
    fn run(&self, guardian: &Guardian, options: &ProofOptions) -> Result<Results, Failure> {
        let runs = options.out.join("runs").display().to_string();
        let read = |records: &[Record], part: &str| -> Result<ReadSamples, Failure> {
            let name = format!("{}-{part}", self.name);
            read_samples(
                guardian,
                records,
                [&runs, &name],
                options.progress,
                options.context,
            )
        };
        let (train, test) = (read(&self.train, "train")?, read(&self.test, "test")?);
        let features: Vec<Vec<f32>> = test
            .samples
            .iter()
            .map(|sample| sample.features.clone())
            .collect();
        let mut head = Vec::new();
        for seed in &options.seeds {
            options.context.proceed()?;
            let folder = options
                .out
                .join("runs")
                .join(format!("{}-head-{seed}", self.name));
            let _ = std::fs::remove_dir_all(&folder);
            let run = Run {
                folder: &folder,
                resume: false,
                stop: options.context.stop,
                progress: &mut Progress::silent(),
            };
            let trained = train_head(
                &train.samples,
                HeadInfo::default(),
                &head_config(STEPS, *seed),
                run,
            )?;
            head.push(trained.probabilities(&features));
        }
        let texts: Vec<String> = self.train.iter().map(text).collect();
        let labels: Vec<bool> = self
            .train
            .iter()
            .map(|it| it.risky().unwrap_or_default())
            .collect();
        let words = BagOfWords::train(&texts, &labels);
        Ok(Results {
            head,
            zero_shot: test.zero_shot,
            words: self
                .test
                .iter()
                .map(|record| words.probability(&text(record)))
                .collect(),
            risky: test.samples.iter().map(|sample| sample.risky).collect(),
        })
    }
}

/// All that is said, without the definition.
pub(super) fn text(record: &Record) -> String {
    record
        .messages
        .iter()
        .map(|message| message.text())
        .collect::<Vec<_>>()
        .join("\n")
}

fn arms(words: &str, more: &[(&str, &str)]) -> Vec<Arm> {
    let mut arms = vec![
        Arm::new(
            HEAD,
            "a classifier with one hidden layer on states and surprisals of the frozen model, which read the prompt with the definition; trained once a seed",
        ),
        Arm::new(ZERO, "P(yes) of the same model without training"),
        Arm::new(WORDS, words),
    ];
    arms.extend(more.iter().map(|(name, about)| Arm::new(name, about)));
    arms
}

/// The three arms of a measure, over the test records that `keep` selects.
fn fill(measure: &mut Measure, results: &Results, keep: &dyn Fn(usize) -> bool) {
    let choose = |scores: &[f64]| -> Vec<f64> {
        scores
            .iter()
            .enumerate()
            .filter(|(at, _)| keep(*at))
            .map(|(_, score)| *score)
            .collect()
    };
    let risky: Vec<bool> = results
        .risky
        .iter()
        .enumerate()
        .filter(|(at, _)| keep(*at))
        .map(|(_, risky)| *risky)
        .collect();
    let heads: Vec<Vec<f64>> = results.head.iter().map(|scores| choose(scores)).collect();
    measure.outcomes.push(outcome(HEAD, &heads, &risky, auc));
    measure
        .outcomes
        .push(outcome(ZERO, &[choose(&results.zero_shot)], &risky, auc));
    measure
        .outcomes
        .push(outcome(WORDS, &[choose(&results.words)], &risky, auc));
}

fn claim(statement: &str, at_least: f64, measure: &Measure, outcome: &Outcome) -> Claim {
    Claim::tested(
        statement,
        "specification, section 9",
        Bound::Above(at_least),
        (measure, outcome),
    )
}

pub(super) fn tool_calls(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let [train, test] = if options.full {
        [2400, 600]
    } else {
        [400, 240]
    };
    let rng = Rng::new(0).child("tool calls");
    let task = Task {
        name: "tool-calls",
        train: synth::tool_calls(train, Half::Train, &rng.child("train"))?,
        test: synth::tool_calls(test, Half::Test, &rng.child("test"))?,
    };
    let results = task.run(&guardian()?, options)?;
    let mut rules = Vec::new();
    for record in &task.test {
        let [tools, _, call] = record.messages.as_slice() else {
            continue;
        };
        let faults = check_calls(&tools.content, &call.content).map_err(Failure::failed)?;
        rules.push(if faults.is_empty() { 0.0 } else { 1.0 });
    }
    let edit = |at: usize| task.test[at].rest["edit"].as_str().unwrap_or_default();
    let mut all = auc_measure(
        "AUC, all faults",
        "calls with one planted fault against right ones",
    );
    let mut values = auc_measure(
        "AUC, value errors",
        "calls with a value that the request does not have, or with two values swapped, against right ones",
    );
    fill(&mut all, &results, &|_| true);
    fill(&mut values, &results, &|at| {
        edit(at) == "none" || Edit::is_value_error(edit(at))
    });
    let chosen = |keep: &dyn Fn(usize) -> bool| -> (Vec<f64>, Vec<bool>) {
        (0..rules.len())
            .filter(|at| keep(*at))
            .map(|at| (rules[at], results.risky[at]))
            .unzip()
    };
    let name = "rules";
    let (scores, risky) = chosen(&|_| true);
    all.outcomes.push(outcome(name, &[scores], &risky, auc));
    let (scores, risky) = chosen(&|at| edit(at) == "none" || Edit::is_value_error(edit(at)));
    values.outcomes.push(outcome(name, &[scores], &risky, auc));
    for (measure, bound, what) in [
        (&all, 0.85, "Wrong tool calls are found"),
        (
            &values,
            0.75,
            "Tool calls are found whose values fit the definition and not the request, which rules cannot see",
        ),
    ] {
        if let Some(head) = measure.of(HEAD) {
            report.claims.push(claim(what, bound, measure, head));
        }
    }
    let about = format!(
        "{train} calls to learn from, {test} to test, half with one of eight faults; the functions of both share none."
    );
    report.experiments.push(Experiment {
        title: "Tool calls".into(),
        about,
        arms: arms(
            "TF-IDF logistic regression on tools, request and call",
            &[(
                name,
                "unknown function or argument, missing argument, wrong type, value not listed",
            )],
        ),
        measures: vec![all, values],
    });
    Ok(())
}

pub(super) fn context_relevance(
    options: &ProofOptions,
    report: &mut Report,
) -> Result<(), Failure> {
    let [train, test] = if options.full { [800, 400] } else { [400, 240] };
    let rng = Rng::new(0).child("context relevance");
    let task = Task {
        name: "context-relevance",
        train: synth::word_meanings(train, Half::Train, &rng.child("train"))?,
        test: synth::word_meanings(test, Half::Test, &rng.child("test"))?,
    };
    let results = task.run(&guardian()?, options)?;
    let overlap: Vec<f64> = task
        .test
        .iter()
        .map(|it| missing_overlap(&it.messages[1].text(), &it.messages[0].text()))
        .collect();
    let mut measure = auc_measure(
        "AUC",
        "contexts that explain another word against those that explain the one in question",
    );
    fill(&mut measure, &results, &|_| true);
    measure
        .outcomes
        .push(outcome("word overlap", &[overlap], &results.risky, auc));
    if let Some(head) = measure.of(HEAD) {
        report.claims.push(claim(
            "A context that does not serve the question is found",
            0.9,
            &measure,
            head,
        ));
    }
    report.experiments.push(Experiment {
        title: "Context relevance".into(),
        about: format!("\"What does X mean?\" with WordNet's gloss of X, which never names it, or of another noun; {train} to learn from, {test} to test, no noun in both."),
        arms: arms("TF-IDF logistic regression on context and question", &[("word overlap", "share of the question's words that the context lacks")]),
        measures: vec![measure],
    });
    Ok(())
}

pub(super) fn definitions(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let [train, test] = if options.full { [400, 200] } else { [300, 120] };
    let rng = Rng::new(0).child("definitions");
    let task = Task {
        name: "definitions",
        train: one_group(synth::mentions(train, Half::Train, &rng.child("train"))?),
        test: synth::mentions(test, Half::Test, &rng.child("test"))?,
    };
    let results = task.run(&guardian()?, options)?;
    let mut measures = Vec::new();
    for name in ["animal", "food"] {
        let mut measure = auc_measure(
            &format!("AUC, {name}"),
            &format!("texts that mention this against the others, under the definition of {name}"),
        );
        fill(&mut measure, &results, &|at| {
            task.test[at].risk.as_deref() == Some(name)
        });
        if let Some(head) = measure.of(HEAD) {
            let what = format!("One classifier follows the definition that it is given: {name}");
            report.claims.push(claim(&what, 0.85, &measure, head));
        }
        measures.push(measure);
    }
    let mut both = auc_measure(
        "AUC, both",
        "both definitions together: each text once under each",
    );
    fill(&mut both, &results, &|_| true);
    measures.push(both);
    report.experiments.push(Experiment {
        title: "Definitions".into(),
        about: format!("{train} texts to learn from and {test} to test, each with both definitions: exactly one is true. The nouns differ, and the bag of words does not see the definition."),
        arms: arms("TF-IDF logistic regression on the text, blind to the definition: what it says under one definition is wrong under the other", &[]),
        measures,
    });
    Ok(())
}

/// The same records under one risk's name, so that classes are balanced over both definitions together.
fn one_group(records: Vec<Record>) -> Vec<Record> {
    let rename = |mut record: Record| {
        record.risk = Some("mentions".into());
        record
    };
    records.into_iter().map(rename).collect()
}
