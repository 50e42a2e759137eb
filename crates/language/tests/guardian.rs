//! Granite Guardian against numbers and prompts of the official code.
#![cfg(feature = "guardian")]
#![allow(clippy::unwrap_used)]

use base::fixtures::{self, Case, furthest};
use engine::models::decoder::{Cache, Decoder, DecoderConfig, Input, Logits, Request, Segment};
use engine::weights::Within;
use language::guardian::metrics::Scored;
use language::guardian::probability::risk_probability;
use language::guardian::{Message, Prompt, RiskConfig, Version, Wording};
use serde_json::{Value, json};

fn assert_forward(kind: &str, model_type: &str) {
    let all = fixtures::all("guardian", kind);
    for case in &all {
        let mut config = case.json["config"].clone();
        config["model_type"] = json!(model_type);
        let config = DecoderConfig::from_config_json(&config).unwrap();
        let model = Decoder::from_source(config, &Within::new(case.weights(), "w.", &[])).unwrap();
        let tokens = case.weights().shape("input_ids").unwrap()[1];
        let ids: Vec<u32> = case.ints("input_ids").iter().map(|id| *id as u32).collect();
        let mut found = Vec::new();
        for ids in ids.chunks(tokens) {
            let mut cache = Cache::new(model.config());
            let request = Request {
                logits: Logits::All,
                ..Request::default()
            };
            let mut batch = [Segment::new(Input::Ids(ids), &mut cache)];
            found.extend(
                model
                    .forward(&mut batch, &request)
                    .unwrap()
                    .remove(0)
                    .logits,
            );
        }
        let off = furthest(&found, &case.values("logits"));
        assert!(
            off <= case.tolerance("logits", 2e-4) as f32,
            "{}: off by {off:e}",
            case.name
        );
    }
}

#[test]
fn granite_models() {
    assert_forward("granite", "granite");
    assert_forward("granite_moe", "granitemoe");
}

/// The sentences come from the *other* recorded prompts of the generation wherever one of them has them.
#[test]
fn prompts_are_byte_exact_under_the_official_sentences() {
    let all = fixtures::all("guardian", "prompts");
    let mut ran = 0;
    for case in &all {
        let runs = case.json["runs"].as_array().unwrap();
        for (index, run) in runs.iter().enumerate() {
            let version = Version::find(run["version"].as_str().unwrap()).unwrap();
            let others = runs
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != index)
                .map(|(_, run)| run.clone());
            let prompts: Vec<Value> = others.chain([run.clone()]).collect();
            let wording = Wording::from_prompts(version, &prompts).unwrap();
            let messages: Vec<Message> = serde_json::from_value(run["messages"].clone()).unwrap();
            let risk = RiskConfig::new(run["risk"].as_str(), run["definition"].as_str()).unwrap();
            let prompt = Prompt::render(version, &messages, &risk, &wording).unwrap();
            assert_eq!(
                prompt.text(),
                run["prompt"].as_str().unwrap(),
                "{} run {index}",
                case.name
            );
            ran += 1;
        }
        for error in case.json["errors_32"].as_array().into_iter().flatten() {
            let config = &error["config"];
            let found = RiskConfig::new(
                config["risk_name"].as_str(),
                config["risk_definition"].as_str(),
            )
            .unwrap_err();
            let wanted = error["error"].as_str().unwrap();
            assert!(
                found.to_string().starts_with(wanted),
                "{found} is not {wanted}"
            );
        }
    }
    println!("{ran} prompts");
}

#[test]
fn probabilities_of_recorded_answers() {
    let all = fixtures::all("guardian", "risk_probability");
    for case in &all {
        for (index, run) in case.json["runs"].as_array().unwrap().iter().enumerate() {
            let steps: Vec<Vec<(String, f64)>> =
                serde_json::from_value(run["steps"].clone()).unwrap();
            let (found, wanted) = (
                risk_probability(&steps),
                run["prob_of_risk"].as_f64().unwrap(),
            );
            let tolerance = case.tolerance("prob_of_risk", 1e-5);
            assert!(
                (found - wanted).abs() <= tolerance,
                "{} run {index}: {found} is not {wanted}",
                case.name
            );
        }
    }
}

fn assert_metrics(case: &Case) {
    let scores = case.weights().doubles("score").unwrap();
    let risky: Vec<bool> = case.ints("label").iter().map(|label| *label == 1).collect();
    let found = Scored::new(&scores, &risky).metrics(case.f64("threshold"));
    let close = |what: &str, found: Option<f64>| {
        let (found, wanted) = (found.unwrap(), case.f64(what));
        let tolerance = case.tolerance(what, 1e-9);
        assert!(
            (found - wanted).abs() <= tolerance,
            "{}: {what} is {found}, not {wanted}",
            case.name
        );
    };
    close("auc", found.auc);
    close("auprc", found.auprc);
    close("f1", Some(found.f1));
    close("recall", found.recall);
    close("precision", Some(found.precision));
    close("balanced_accuracy", found.balanced_accuracy);
    close("accuracy", Some(found.accuracy));
    close("f1_macro", Some(found.f1_macro));
    for low in &found.low_rates {
        // Keys such as 0.1 hold the dot that paths are cut at.
        let wanted = &case.json["partial"][low.fpr.to_string()];
        for (name, found) in [
            ("auc", low.auc),
            ("tpr_interp", low.recall),
            ("tpr_step", low.recall_step),
        ] {
            let wanted = wanted[name].as_f64().unwrap();
            assert!(
                (found - wanted).abs() <= 1e-9,
                "{}: {name} at {} is {found}, not {wanted}",
                case.name,
                low.fpr
            );
        }
    }
}

#[test]
fn metrics_as_scikit_learn_has_them() {
    for kind in ["metrics", "metrics_ties"] {
        let all = fixtures::all("guardian", kind);
        all.iter().for_each(assert_metrics);
    }
}

#[test]
fn our_own_sentences_fill_every_risk_of_both_generations() {
    let user = Message::new("user", "Which bird is it?");
    let answer = Message::new("assistant", "A wren.");
    let context = Message::new("context", "The wren is a small bird.");
    let tools = Message::json("tools", json!([{"name": "look"}]));
    for version in [Version::V30, Version::V32] {
        let wording = Wording::ours(version);
        for risk in language::guardian::RISKS {
            let config = RiskConfig::new(Some(risk.name), None).unwrap();
            let mut messages = vec![tools.clone(), context.clone(), user.clone()];
            if risk.answer {
                messages.push(answer.clone());
            }
            match Prompt::render(version, &messages, &config, &wording) {
                Ok(prompt) => assert!(
                    prompt.definition.len() > 20
                        && prompt.text().contains("Which bird") | prompt.text().contains("A wren")
                ),
                Err(error) => assert!(
                    risk.name == "function_call" && version == Version::V30,
                    "{}: {error}",
                    risk.name
                ),
            }
        }
    }
}
