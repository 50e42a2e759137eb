//! The verbs of `orrery codearena`, run as a user runs them: against servers that are late, wrong, broken, busy or silent, and
//! against files as people have them.
#![allow(clippy::unwrap_used)]

#[path = "../common/chat_server.rs"]
mod chat_server;
#[path = "../common/mod.rs"]
mod common;

mod check;
mod files;
mod judge;
mod servers;
mod shards;
mod syncode;

use common::{folder, orrery};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const BASELINE: &str = "gpt-4-turbo-2024-04-09";

fn results(at: &Path, items: usize) {
    let lines = (0..items).map(|i| {
        json!({
            "id": format!("q{i}"), "messages": format!("[{{'role': 'user', 'content': 'Question {i}?'}}]"),
            "model": "tested", "response": format!("answer {i} of the model, rather long"),
            format!("{BASELINE}_response"): format!("answer {i}"), "difficulty": "easy",
            "programming_language": ["Python"], "meta": {"parsed": {"task_type": ["Algorithm-Design"]}},
        })
        .to_string()
    });
    fs::write(
        at.join("results.jsonl"),
        lines.collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
}

fn judging<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "codearena",
        "judge",
        "--results",
        "results.jsonl",
        "--judge",
        url,
        "--out",
        "judged.jsonl",
        "--json",
    ];
    args.extend(more);
    args
}

#[test]
fn every_verb_has_help_with_an_example() {
    let folder = folder();
    let verbs = [
        "generate",
        "judge",
        "score",
        "leaderboard",
        "report",
        "classify",
        "check",
        "merge",
        "languages",
    ]
    .map(|verb| vec![verb]);
    let steps = [
        "recall", "lang", "clean", "ask", "answer", "verify", "filter", "run",
    ]
    .map(|step| vec!["syncode", step]);
    for verb in verbs.into_iter().chain(steps) {
        let args = [vec!["codearena"], verb, vec!["--help"]].concat();
        let ran = orrery(folder.path(), &args).worked();
        assert!(
            ran.out.contains("Example") && ran.out.contains("  orrery codearena"),
            "{args:?}: {}",
            ran.out
        );
    }
}

#[test]
fn the_proof_without_a_language_model() {
    let folder = folder();
    if orrery(folder.path(), &["codearena", "languages"]).code != Some(0) {
        println!("skipped: no sandbox here");
        return;
    }
    let ran = orrery(
        folder.path(),
        &[
            "prove",
            "codearena",
            "--seeds",
            "1",
            "--out",
            "proof",
            "--json",
        ],
    )
    .worked();
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let shown = report["claims"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|claim| claim["verdict"] == "shown")
        .count();
    assert!(shown >= 5, "{report}");
    assert!(folder.path().join("proof/report.md").exists());
}
