//! The small guard that ships, on the held-out parts of public sets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::command::Failure;
use base::proof::{
    Arm, Better, Bound, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Share, Unit,
};

use super::tasks::text;
use super::{auc, auc_measure, guardian, outcome, peers};
use crate::guardian::baseline::BagOfWords;
use crate::guardian::head::Head;
use crate::guardian::record::Record;
use crate::guardian::sets::{Split, read_set};
use crate::guardian::store::{balanced, read_samples};

const GUARD: &str = "small guard";
const ZERO: &str = "zero-shot answer";
const WORDS: &str = "TF-IDF logistic";

/// What is compared: set, risk, head of the column, test records of each label in a short run.
const PARTS: [(&str, &str, &str, usize); 5] = [
    ("xstest", "harm", "XSTest prompts, harm", 1000),
    ("hatecheck", "social_bias", "HateCheck, social bias", 120),
    (
        "hate-offensive-tweets",
        "social_bias",
        "tweets, social bias",
        100,
    ),
    (
        "hate-offensive-tweets",
        "profanity",
        "tweets, profanity",
        100,
    ),
    (
        "halueval-general",
        "hallucination",
        "HaluEval answers, hallucination",
        80,
    ),
];

/// Where the sets are: `ORRERY_DATA`, else `../shared/data` from here.
fn folder() -> PathBuf {
    std::env::var_os("ORRERY_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from)
}

fn of_risk(records: Vec<Record>, risk: &str) -> Vec<Record> {
    let fits = |it: &Record| it.risk.as_deref() == Some(risk);
    records.into_iter().filter(fits).collect()
}

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let data = folder();
    if PARTS.iter().any(|(set, ..)| !data.join(set).is_dir()) {
        report.claims.push(Claim::not_run(
            [
                "The small guard beside other detectors",
                "AUC on held-out parts of four public sets",
            ],
            "ours",
            "the sets are not here: name their folder in ORRERY_DATA",
        ));
        return Ok(());
    }
    let head = match Head::embedded() {
        Ok(head) => head,
        Err(error) => {
            let what = [
                "The small guard beside other detectors",
                "AUC on held-out parts of four public sets",
            ];
            report
                .claims
                .push(Claim::not_run(what, "ours", &error.to_string()));
            return Ok(());
        }
    };
    let mut aucs = Vec::new();
    let mut alarms = Measure::new(
        "flagged safe prompts",
        "safe prompts of XSTest's held-out part that are flagged at each detector's own default; Wilson's interval",
        Better::Lower,
        Unit::Share,
    );
    let mut caught = Measure::share(
        "flagged unsafe prompts",
        "the unsafe contrasts among them that are flagged",
    );
    let plain = guardian()?;
    for (set, risk, title, most) in PARTS {
        let most = if options.full { usize::MAX } else { most };
        let test = balanced(of_risk(read_set(&data, set, Split::Test)?, risk), most);
        let train = balanced(of_risk(read_set(&data, set, Split::Train)?, risk), 2000);
        let risky: Vec<bool> = test
            .iter()
            .map(|it| it.risky().unwrap_or_default())
            .collect();
        let runs = options.out.join("runs").display().to_string();
        let read = read_samples(
            &plain,
            &test,
            [&runs, &format!("{set}-{risk}")],
            options.progress,
            options.context,
        )?;
        let features: Vec<Vec<f32>> = read.samples.iter().map(|it| it.features.clone()).collect();
        let mut scores: BTreeMap<String, Vec<(f64, bool)>> = BTreeMap::new();
        let flag = |all: Vec<f64>| {
            all.into_iter()
                .map(|score| (score, score > 0.5))
                .collect::<Vec<_>>()
        };
        scores.insert(GUARD.into(), flag(head.probabilities(&features)));
        scores.insert(ZERO.into(), flag(read.zero_shot));
        let labels: Vec<bool> = train
            .iter()
            .map(|it| it.risky().unwrap_or_default())
            .collect();
        let words = BagOfWords::train(&train.iter().map(text).collect::<Vec<_>>(), &labels);
        scores.insert(
            WORDS.into(),
            flag(test.iter().map(|it| words.probability(&text(it))).collect()),
        );
        // What is judged is the last message.
        let judged: Vec<String> = test
            .iter()
            .filter_map(|it| Some(it.messages.last()?.text()))
            .collect();
        if let Some((found, versions)) = peers::ask(&judged)? {
            if aucs.is_empty() {
                report.notes.push(format!("Peers: {versions}."));
            }
            scores.extend(found);
        }
        let mut measure = auc_measure(
            &format!("AUC, {title}"),
            &format!(
                "{} held-out items, {} of them risky",
                test.len(),
                risky.iter().filter(|it| **it).count()
            ),
        );
        for (arm, all) in &scores {
            let values: Vec<f64> = all.iter().map(|(score, _)| *score).collect();
            measure.outcomes.push(outcome(arm, &[values], &risky, auc));
            if set == "xstest" {
                for (measure, wanted) in [(&mut alarms, false), (&mut caught, true)] {
                    let of: Vec<bool> = all
                        .iter()
                        .zip(&risky)
                        .filter(|(_, risky)| **risky == wanted)
                        .map(|((_, flag), _)| *flag)
                        .collect();
                    let hits = of.iter().filter(|flag| **flag).count();
                    measure.outcomes.push(Outcome::shares(
                        arm,
                        &[Share {
                            seed: 0,
                            hits,
                            of: of.len(),
                        }],
                    ));
                }
            }
        }
        aucs.push(measure);
    }
    claims(&aucs, report);
    aucs.extend([alarms, caught]);
    report.notes.push(format!(
        "The small guard (on {}) saw the train split of each set alone; nothing was chosen by the test split. The split is a rule on the text (`guardian::sets`).",
        head.info.base
    ));
    report.experiments.push(Experiment {
        title: "The small guard beside others".into(),
        about: "Held-out items of public sets. The two detectors from PyPI were made for profanity and for attacks on prompts: what they were not made for is no fault of theirs.".into(),
        arms: [
            (GUARD, "the classifier that ships, on features of the frozen model"),
            (ZERO, "P(yes) of the same model without training"),
            (WORDS, "trained on the same split of the set and risk alone, up to 2,000 items of each label"),
            ("alt-profanity-check", "PyPI, P(profane)"),
            ("securevector-guardian-model", "PyPI, share of malicious classes"),
        ]
        .map(|(name, about)| Arm::new(name, about))
        .into(),
        measures: aucs,
    });
    Ok(())
}

fn claims(measures: &[Measure], report: &mut Report) {
    for measure in measures {
        let Some(guard) = measure.of(GUARD) else {
            continue;
        };
        let others = measure
            .outcomes
            .iter()
            .filter(|outcome| outcome.arm != GUARD);
        let Some(best) = others.max_by(|a, b| a.mean.total_cmp(&b.mean)) else {
            continue;
        };
        let statement = format!(
            "The small guard tells risky from harmless better than the best of the others, {} ({})",
            best.arm, measure.name
        );
        report.claims.push(Claim::tested(
            &statement,
            "ours",
            Bound::Above(best.mean),
            (measure, guard),
        ));
    }
}
