//! A real small model with and without context, and with an adapter of the communities.

use std::collections::BTreeMap;

use base::command::{Failure, eprint_line};
use base::numerics::statistics::Interval;
use base::proof::{
    Arm, Better, Bound, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Unit,
};
use base::rng::Rng;

use super::adapter;
use crate::counterspeech::indicators::{Instruments, Measured, measure, value};
use crate::counterspeech::store::read_lines;
use crate::counterspeech::summary::clustered_mean;
use crate::counterspeech::{Configuration, Drawing, Prompts, Record, Replier, Row, Run, synthetic};

/// Contexts, each an arm; the first is the baseline.
const ARMS: [(&str, &str); 7] = [
    ("Ba", "the message alone"),
    (
        adapter::NAME,
        "the message alone, by an adapter trained on the communities' comments",
    ),
    ("Ba.Co", "four comments of the community"),
    ("Ba.Pr", "the message before"),
    ("Ba.Hi", "the user's five last comments"),
    ("Ba.Su", "a summary of the user by the model"),
    ("Ba.Pr.Su", "the message before and the summary"),
];
/// Measures: name, column, text.
const MEASURES: [(&str, &str, &str); 6] = [
    (
        "adaptation",
        "adaptation",
        "bits a character that a language model of other communities loses more than the community's own, which was learnt from examples that no prompt shows",
    ),
    (
        "overlap with the message before",
        "rouge_l_parent",
        "ROUGE-L (F)",
    ),
    (
        "nearness to the message before",
        "cosine_parent",
        "cosine of centred mean hidden states of the plain model",
    ),
    (
        "topic of the history",
        "topic",
        "mean cosine with the user's comments, as before",
    ),
    (
        "style of the history",
        "style",
        "cosine of z-scored style vectors with all of the user's comments",
    ),
    ("readability", "flesch", "Flesch's reading ease"),
];
/// Tokens of a reply: short, so that the run is.
const TOKENS: usize = 60;

/// A claim that one of two measures shows: statement, context, columns.
const CLAIMS: [(&str, &str, [usize; 2], &str); 4] = [
    (
        "An adapter trained on comments of the communities adapts replies to them",
        adapter::NAME,
        [0, 0],
        "paper: adapters with Re; here a toy one of three communities",
    ),
    (
        "Community examples in the prompt adapt replies to the community",
        "Ba.Co",
        [0, 0],
        "paper: community adaptation; here by examples",
    ),
    (
        "The message before makes replies relevant to the conversation",
        "Ba.Pr",
        [1, 2],
        "paper: conversation as context",
    ),
    (
        "The user's history personalizes replies",
        "Ba.Hi",
        [3, 4],
        "paper: user as context",
    ),
];

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let mut replier = match Replier::open("smollm2", &[]) {
        Ok(replier) => replier,
        Err(error) => {
            for (statement, _, _, source) in CLAIMS {
                let threshold = "interval of the paired difference above 0";
                report.claims.push(Claim::not_run(
                    [statement, threshold],
                    source,
                    &error.to_string(),
                ));
            }
            return Ok(());
        }
    };
    let (prompts, records) = (Prompts::default(), synthetic()?);
    let (folder, stage) = adapter::train(options, &prompts)?;
    replier.add(adapter::NAME, &folder)?;
    let cells: Vec<Configuration> = ARMS.iter().map(|it| Configuration::parse(it.0)).collect();
    let mut rows = Vec::new();
    let mut measured = Vec::new();
    for &seed in &options.seeds {
        let found = replies(options, &replier, &prompts, &records, &cells, seed)?;
        let instruments = Instruments {
            embedder: Some(&replier),
            guard: None,
            shown: prompts.examples,
        };
        measured.extend(measure(
            &found,
            &records,
            &instruments,
            options.context,
            !options.progress,
        )?);
        rows.extend(found);
    }
    let rng = Rng::new(0).child("proof");
    let measures = MEASURES.map(|(name, column, about)| {
        let better = Better::Higher;
        let mut all = Measure::new(name, about, better, Unit::Number);
        for (arm, _) in ARMS {
            let of_arm = measured.iter().filter(|it| it.config == arm);
            let values: Vec<(&str, f64)> = of_arm
                .filter_map(|it| Some((it.record.as_str(), value(it, column)?)))
                .collect();
            if let Some(mean) = clustered_mean(&values, &mut rng.child(name).child(arm)) {
                all.outcomes.push(outcome(arm, mean.mean, mean.interval));
            }
        }
        all
    });
    let mut refused = Measure::new(
        "refusals",
        "share of the replies, which are not measured",
        Better::Lower,
        Unit::Share,
    );
    for (arm, _) in ARMS {
        let of_arm: Vec<&Row> = rows.iter().filter(|it| it.config == arm).collect();
        let count = of_arm.iter().filter(|it| it.refused).count();
        refused.outcomes.push(Outcome::exact(
            arm,
            count as f64 / of_arm.len().max(1) as f64,
        ));
    }
    for (statement, arm, columns, source) in CLAIMS {
        let mut tried: Vec<Claim> = Vec::new();
        for &at in &columns[..if columns[0] == columns[1] { 1 } else { 2 }] {
            let (name, column, _) = MEASURES[at];
            let pairs = differences(&measured, arm, column);
            let pairs: Vec<(&str, f64)> = pairs
                .iter()
                .map(|(record, value)| (record.as_str(), *value))
                .collect();
            let Some(mean) = clustered_mean(
                &pairs,
                &mut rng.child("difference").child(arm).child(column),
            ) else {
                continue;
            };
            let better = Measure::higher(&format!("difference in {name}"), "");
            let outcome = outcome(&format!("{arm} − Ba"), mean.mean, mean.interval);
            let statement = format!("{statement} ({name})");
            tried.push(Claim::tested(
                &statement,
                source,
                Bound::Above(0.0),
                (&better, &outcome),
            ));
        }
        report.claims.extend(tried);
    }
    report.experiments.push(Experiment {
        title: "Replies of SmolLM2 with and without context".into(),
        about: format!(
            "SmolLM2-135M-Instruct (Q4_1) answers 30 invented hostile comments of three communities by each context, temperature 0.7, nucleus 0.9, at most {TOKENS} tokens, one reply a seed. Intervals: bootstrap over records. The adapter {name}: rank 32 on queries and values of the last {blocks} blocks, {epochs} epochs over {count} invented comments of the same communities, one training ({steps} steps, loss {loss:.2} nats a token at the end); it never saw the records, nor the examples that adaptation is measured by, but the same hand wrote all of them. A model of this size writes weak replies; nothing here says that they are good ones.",
            name = adapter::NAME,
            blocks = adapter::BLOCKS,
            epochs = adapter::EPOCHS,
            count = stage.examples,
            steps = stage.steps,
            loss = stage.loss,
        ),
        arms: ARMS.iter().map(|it| Arm::new(it.0, it.1)).collect(),
        measures: measures.into_iter().chain([refused]).collect(),
    });
    report.notes.extend(examples(&rows, &records));
    Ok(())
}

fn outcome(arm: &str, mean: f64, interval: Option<Interval>) -> Outcome {
    match interval {
        Some(interval) => Outcome::given(arm, mean, interval),
        None => Outcome::numbers(arm, &[(0, mean)]),
    }
}

/// The replies of a seed, kept beside the report.
fn replies(
    options: &ProofOptions,
    replier: &Replier,
    prompts: &Prompts,
    records: &[Record],
    cells: &[Configuration],
    seed: u64,
) -> Result<Vec<Row>, Failure> {
    let folder = options.out.join("runs");
    base::files::make_folder(&folder)?;
    let path = folder.join(format!("replies-{seed}.jsonl"));
    let run = Run {
        replier,
        prompts,
        records,
        configurations: cells,
        drawing: Drawing {
            max_tokens: TOKENS,
            ..Drawing::default()
        },
        seed,
        basis: Some("invented people"),
    };
    run.write(&path, options.context, !options.progress, &mut |_| {})?;
    let (rows, wrong) = read_lines(&path, "reply")?;
    wrong.iter().for_each(|line| eprint_line(line));
    Ok(rows)
}

/// Paired differences of an arm and the baseline, for each record and seed in which both replied.
fn differences(measured: &[Measured], arm: &str, column: &str) -> Vec<(String, f64)> {
    // Rows come seed by seed: the n-th of a record in one arm belongs to the n-th in the other.
    let of = |config: &str| {
        let mut all: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
        for it in measured.iter().filter(|it| it.config == config) {
            all.entry(it.record.as_str())
                .or_default()
                .push(value(it, column));
        }
        all
    };
    let (with, without) = (of(arm), of("Ba"));
    let mut found = Vec::new();
    for (record, values) in with {
        for (a, b) in values
            .into_iter()
            .zip(without.get(record).into_iter().flatten())
        {
            if let (Some(a), Some(b)) = (a, *b) {
                found.push((record.to_owned(), a - b));
            }
        }
    }
    found
}

/// A message and its first replies, so that a reader sees what was measured.
fn examples(rows: &[Row], records: &[Record]) -> Vec<String> {
    let Some(record) = records.first() else {
        return Vec::new();
    };
    let mut lines = vec![format!("To “{}”:", record.message.text)];
    for (arm, _) in ARMS {
        if let Some(row) = rows
            .iter()
            .find(|it| it.record == record.id && it.config == arm)
        {
            lines.push(format!(
                "{arm}: “{}”{}",
                row.text.replace('\n', " "),
                if row.refused { " (refused)" } else { "" }
            ));
        }
    }
    lines
}
