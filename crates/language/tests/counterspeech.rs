//! Counterspeech against recorded numbers: every case of every kind that is there.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use base::fixtures::{self, Case, furthest};
use base::numerics::statistics::mean;
use base::numerics::{
    benjamini_hochberg, cliffs_delta, cohens_d, holm, kendall, krippendorff_ordinal, mann_whitney,
    mixed_model, spearman, wilcoxon,
};
use engine::models::decoder::{
    Cache, Decoder, DecoderConfig, Input, Logits, Lora, Request, Segment,
};
use engine::weights::Within;
use language::counterspeech::{
    Diversity, Overlap, Readability, llama2_chat, rouge_l, rouge_n, tokens,
};
use serde_json::{Value, json};

#[path = "counterspeech/train.rs"]
mod train;

fn all(kind: &str) -> Vec<Case> {
    fixtures::all("counterspeech", kind)
}

fn near(case: &Case, what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{}: {what} is {found}, not {expected}",
        case.name
    );
}

/// Compares with the number at `at` of `value`, where it is recorded.
fn recorded(case: &Case, value: &Value, at: &str, found: Option<f64>) {
    if let Some(expected) = value[at].as_f64() {
        let tolerance = case.tolerance("default", 1e-6);
        near(case, at, found.unwrap(), expected, tolerance);
    }
}

#[test]
fn llama2_chat_layout() {
    for case in all("llama2_chat") {
        for run in case.get("runs").unwrap().as_array().unwrap() {
            let messages = run["messages"].as_array().unwrap();
            assert_eq!(
                llama2_chat(messages).unwrap(),
                run["text"].as_str().unwrap(),
                "{}",
                case.name
            );
        }
    }
}

#[test]
fn text_indicators() {
    for case in all("indicators") {
        let tolerance = case.tolerance("default", 1e-9);
        let list = |at: &str| {
            case.get(at)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        for pair in list("rouge") {
            let [candidate, reference] =
                ["candidate", "reference"].map(|it| tokens(pair[it].as_str().unwrap()));
            let found: [(&str, Overlap); 3] = [
                ("rouge1", rouge_n(&candidate, &reference, 1)),
                ("rouge2", rouge_n(&candidate, &reference, 2)),
                ("rougeL", rouge_l(&candidate, &reference)),
            ];
            for (name, overlap) in found {
                for (part, value) in [("p", overlap.p), ("r", overlap.r), ("f", overlap.f)] {
                    let expected = pair[name][part].as_f64().unwrap();
                    near(&case, &format!("{name} {part}"), value, expected, tolerance);
                }
            }
        }
        let texts = list("texts");
        let texts: Vec<&str> = texts.iter().map(|it| it.as_str().unwrap()).collect();
        let diversity = Diversity::of(&texts);
        for (name, value) in [
            ("distinct_1", diversity.distinct_1),
            ("distinct_2", diversity.distinct_2),
            ("distinct_3", diversity.distinct_3),
            ("repetition_rate", diversity.repetition_rate),
            ("mean_pairwise_rougeL", diversity.mean_pairwise_rouge_l),
        ] {
            if let Some(expected) = case
                .get(&format!("diversity.{name}"))
                .and_then(Value::as_f64)
            {
                near(&case, name, value, expected, tolerance);
            }
        }
        for it in list("readability") {
            let found = Readability::of(it["text"].as_str().unwrap());
            let counts = ["words", "sentences", "vowel_group_syllables"]
                .map(|at| it[at].as_u64().unwrap() as usize);
            assert_eq!(
                [found.words, found.sentences, found.syllables],
                counts,
                "{}: {it}",
                case.name
            );
            let expected = it["flesch_from_counts"].as_f64().unwrap();
            near(
                &case,
                "flesch",
                found.flesch().unwrap(),
                expected,
                tolerance,
            );
        }
    }
}

#[test]
fn human_statistics() {
    for case in all("human_stats") {
        let ints = |name: &str| case.ints(name);
        let (configs, people, ratings) =
            (ints("configuration"), ints("participant"), ints("rating"));
        let names: Vec<&str> = case
            .get("configurations")
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap())
            .collect();
        let of = |config: usize| -> Vec<f64> {
            let pairs = configs
                .iter()
                .zip(&ratings)
                .filter(|(it, _)| **it as usize == config);
            pairs.map(|(_, rating)| *rating as f64).collect()
        };
        let count = people.iter().max().unwrap() + 1;
        let means = |config: usize| -> Vec<Option<f64>> {
            let of_person = |person: i64| {
                let rows = (0..ratings.len())
                    .filter(|&at| people[at] == person && configs[at] as usize == config);
                let values: Vec<f64> = rows.map(|at| ratings[at] as f64).collect();
                (!values.is_empty()).then(|| mean(&values))
            };
            (0..count).map(of_person).collect()
        };
        let base = of(0);
        let mut p = Vec::new();
        for (at, name) in names.iter().enumerate().skip(1) {
            let values = of(at);
            let expected = &case.json["results"][*name];
            let test = mann_whitney(&values, &base).unwrap();
            p.push(test.p);
            let pairs = means(at).into_iter().zip(means(0));
            let differences: Vec<f64> = pairs.filter_map(|(a, b)| Some(a? - b?)).collect();
            let signed = wilcoxon(&differences);
            let d = cohens_d(&values, &base);
            for (what, found) in [
                ("mean", Some(mean(&values))),
                ("mannwhitney_u", Some(test.statistic)),
                ("mannwhitney_p", Some(test.p)),
                ("wilcoxon_stat", signed.map(|it| it.statistic)),
                ("wilcoxon_p", signed.map(|it| it.p)),
                ("cliffs_delta", cliffs_delta(&values, &base)),
                ("cohens_d", d.map(|it| it.0)),
            ] {
                recorded(&case, expected, what, found);
            }
            let interval = d.unwrap().1;
            for (end, found) in [interval.low, interval.high].into_iter().enumerate() {
                if let Some(expected) = expected["cohens_d_ci95"][end].as_f64() {
                    near(
                        &case,
                        "cohens_d_ci95",
                        found,
                        expected,
                        case.tolerance("default", 1e-6),
                    );
                }
            }
        }
        for (correct, at) in [(holm(&p), "p_holm"), (benjamini_hochberg(&p), "p_fdr_bh")] {
            for (name, found) in names.iter().skip(1).zip(correct) {
                recorded(&case, &case.json["results"][*name], at, Some(found));
            }
        }
        mixed(&case, &names, (&configs, &people, &ratings));
        if case.get("mixed_model_crossed").is_some() {
            crossed(&case, &names, (&configs, &people, &ratings));
        }
        correlations(&case);
    }
}

/// Rows of an intercept and an indicator for each configuration but the first.
fn design(names: &[&str], configs: &[i64]) -> Vec<f64> {
    let mut x = Vec::new();
    for config in configs {
        x.push(1.0);
        x.extend((1..names.len()).map(|it| f64::from(u8::from(*config as usize == it))));
    }
    x
}

/// Intercepts for participants and messages, and the agreement of raters: in cases of ours.
fn crossed(case: &Case, names: &[&str], (configs, people, ratings): (&[i64], &[i64], &[i64])) {
    let messages: Vec<usize> = case.ints("message").iter().map(|it| *it as usize).collect();
    let y: Vec<f64> = ratings.iter().map(|it| *it as f64).collect();
    let participants: Vec<usize> = people.iter().map(|it| *it as usize).collect();
    let x = design(names, configs);
    let model = mixed_model(&x, names.len(), &y, &[&participants, &messages]).unwrap();
    let tolerance = case.tolerance("mixed_model", 2e-3);
    for (at, coefficient) in model.fixed.iter().enumerate() {
        let name = if at == 0 { "Intercept" } else { names[at] };
        let expected = &case.json["mixed_model_crossed"]["fixed"][name];
        near(
            case,
            name,
            coefficient.estimate,
            expected["est"].as_f64().unwrap(),
            tolerance,
        );
        near(
            case,
            name,
            coefficient.error,
            expected["se"].as_f64().unwrap(),
            tolerance,
        );
    }
    let variances = [model.intercepts[0], model.intercepts[1], model.residual];
    for (name, found) in ["participant_var", "message_var", "resid_var"]
        .iter()
        .zip(variances)
    {
        near(
            case,
            name,
            found,
            case.f64(&format!("mixed_model_crossed.{name}")),
            tolerance,
        );
    }
    let mut units: BTreeMap<(usize, i64), Vec<i64>> = BTreeMap::new();
    for (at, rating) in ratings.iter().enumerate() {
        units
            .entry((messages[at], configs[at]))
            .or_default()
            .push(*rating);
    }
    let units: Vec<Vec<i64>> = units.into_values().collect();
    recorded(
        case,
        &case.json,
        "krippendorff_ordinal",
        krippendorff_ordinal(&units),
    );
}

fn mixed(case: &Case, names: &[&str], (configs, people, ratings): (&[i64], &[i64], &[i64])) {
    let x = design(names, configs);
    let y: Vec<f64> = ratings.iter().map(|it| *it as f64).collect();
    let people: Vec<usize> = people.iter().map(|it| *it as usize).collect();
    let model = mixed_model(&x, names.len(), &y, &[&people]).unwrap();
    let tolerance = case.tolerance("mixed_model", 2e-3);
    for (at, coefficient) in model.fixed.iter().enumerate() {
        let name = if at == 0 { "Intercept" } else { names[at] };
        let expected = &case.json["mixed_model"]["fixed"][name];
        near(
            case,
            name,
            coefficient.estimate,
            expected["est"].as_f64().unwrap(),
            tolerance,
        );
        near(
            case,
            name,
            coefficient.error,
            expected["se"].as_f64().unwrap(),
            tolerance,
        );
    }
    near(
        case,
        "group_var",
        model.intercepts[0],
        case.f64("mixed_model.group_var"),
        tolerance,
    );
    near(
        case,
        "resid_var",
        model.residual,
        case.f64("mixed_model.resid_var"),
        tolerance,
    );
}

fn correlations(case: &Case) {
    let pair = |at: &str| {
        [
            case.numbers(&format!("{at}.x")),
            case.numbers(&format!("{at}.y")),
        ]
    };
    if case.get("kendall").is_some() {
        let [x, y] = pair("kendall");
        let found = kendall(&x, &y).unwrap();
        recorded(case, &case.json["kendall"], "tau", Some(found.value));
        recorded(case, &case.json["kendall"], "p", Some(found.p));
    }
    if case.get("spearman").is_some() {
        let [x, y] = pair("spearman");
        let found = spearman(&x, &y).unwrap();
        recorded(case, &case.json["spearman"], "rho", Some(found.value));
        recorded(case, &case.json["spearman"], "p", Some(found.p));
    }
}

/// The adapter's effect on logits, unmerged, with others beside it in the batch; the recorded weights hold it merged or not.
#[test]
fn lora() {
    for case in all("lora") {
        let mut config = case.get("config").unwrap().clone();
        config["model_type"] = json!("llama");
        let config = DecoderConfig::from_config_json(&config).unwrap();
        let decoder =
            Decoder::from_source(config, &Within::new(case.weights(), "w.", &[])).unwrap();
        let source = Within::new(case.weights(), "a.", &[]);
        let lora = Lora::from_source(
            case.get("adapter_config").unwrap(),
            &source,
            decoder.config(),
        );
        let lora = Arc::new(lora.unwrap());
        let shape = case.weights().shape("input_ids").unwrap().to_vec();
        let ids: Vec<u32> = case.ints("input_ids").iter().map(|&id| id as u32).collect();
        let run = |factor: f32| -> Vec<f32> {
            let adapters = [(lora.clone(), factor)];
            let request = Request {
                logits: Logits::All,
                ..Request::default()
            };
            let mut caches = vec![Cache::new(decoder.config()); shape[0]];
            let batch = caches.iter_mut().zip(ids.chunks(shape[1]));
            let mut batch: Vec<Segment<'_>> = batch
                .map(|(cache, ids)| Segment {
                    adapters: if factor == 0.0 { &[] } else { &adapters },
                    ..Segment::new(Input::Ids(ids), cache)
                })
                .collect();
            let outputs = decoder.forward(&mut batch, &request).unwrap();
            outputs.into_iter().flat_map(|it| it.logits).collect()
        };
        let tolerance = case.tolerance("logits", 2e-4);
        let [base, adapted] = ["logits_base", "logits_adapter"].map(|name| case.values(name));
        let off = |found: &[f32], expected: &[f32]| f64::from(furthest(found, expected));
        let plain = run(0.0);
        // Peft merges in place: what is recorded as base weights may hold the adapter already.
        let merged = off(&plain, &adapted) <= tolerance;
        let (found_base, found_adapted) = match merged {
            true => (run(-1.0), plain),
            false => (plain, run(1.0)),
        };
        for (name, found, expected) in [
            ("base", found_base, &base),
            ("adapter", found_adapted, &adapted),
        ] {
            let off = off(&found, expected);
            assert!(
                off <= tolerance,
                "{}: logits_{name} off by {off}",
                case.name
            );
            println!(
                "{}: logits_{name} off by {off:e} (merged: {merged})",
                case.name
            );
        }
        assert!(
            off(&base, &adapted) > 10.0 * tolerance,
            "{}: the adapter does something",
            case.name
        );
    }
}
