//! `orrery harp` as a user runs it, on a tiny random model.
#![allow(clippy::unwrap_used)]

use serde_json::Value;

mod common;
use common::language_model::model;
use common::{command, folder, orrery};

#[test]
fn a_text_its_trace_and_its_page() {
    let folder = folder();
    model(folder.path(), 96);
    let args = [
        "harp",
        "generate",
        "--model",
        "model",
        "Once upon",
        "--max-new",
        "12",
        "--trace",
        "t.jsonl",
        "--html",
        "t.html",
    ];
    let run = |extra: &[&str]| {
        let ran: common::Ran = command(folder.path(), &[&args, extra].concat())
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
            .into();
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran
    };
    let plain = run(&[]);
    assert!(
        !plain.out.contains('\x1b') && plain.err.contains("looked twice at"),
        "{}",
        plain.err
    );
    assert_eq!(run(&[]).out, plain.out, "the same seed gives the same text");
    assert!(run(&["--color", "always"]).out.contains("\x1b[38;5;"));
    let trace = std::fs::read_to_string(folder.path().join("t.jsonl")).unwrap();
    let steps: Vec<Value> = trace
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(steps.len(), 12);
    assert!(
        steps
            .iter()
            .all(|step| step["entropy"].as_f64().unwrap() <= 8.01)
    );
    let page = std::fs::read_to_string(folder.path().join("t.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("Once upon"));
    // The ordinary model says what a model says that never looks twice.
    let json = |extra: &[&str]| -> Value {
        serde_json::from_str(&run(&[&["--json"], extra].concat()).out).unwrap()
    };
    let never = json(&["--metric", "never"]);
    assert_eq!(never["texts"][0]["hesitations"], 0);
    assert_eq!(
        json(&["--theta", "9"])["texts"][0]["ids"],
        never["texts"][0]["ids"]
    );
    assert_eq!(
        json(&["--beta", "1"])["texts"][0]["ids"],
        never["texts"][0]["ids"]
    );
}

#[test]
fn an_evaluation_goes_on_where_it_was_stopped() {
    let folder = folder();
    model(folder.path(), 96);
    let tasks = "{\"prompt\": \"2 + 3 =\", \"answer\": \"5\"}\n{\"prompt\": \"one two\", \"answer\": \"three\"}\n";
    std::fs::write(folder.path().join("tasks.jsonl"), tasks).unwrap();
    let args = [
        "harp",
        "eval",
        "--model",
        "model",
        "--task",
        "tasks.jsonl",
        "--max-new",
        "4",
        "--out",
        "r.jsonl",
        "--json",
    ];
    let first: Value = serde_json::from_str(&orrery(folder.path(), &args).worked().out).unwrap();
    assert_eq!(first["arms"].as_array().unwrap().len(), 4);
    assert_eq!(first["arms"][3]["arm"], "beam");
    let log = folder.path().join("r.jsonl");
    let whole = std::fs::read_to_string(&log).unwrap();
    assert_eq!(whole.lines().count(), 1 + 2 * 4);
    // The last line is broken off.
    std::fs::write(&log, &whole[..whole.len() - 9]).unwrap();
    orrery(folder.path(), &args).worked();
    assert_eq!(
        std::fs::read_to_string(&log).unwrap().lines().count(),
        1 + 2 * 4
    );
    let other = orrery(folder.path(), &[&args[..], &["--theta", "2"]].concat());
    assert!(other.refused(2).contains("results of other settings"));
    // An arm that is named twice counts once; the tasks are not written over; nothing is kept in a device.
    let mut twice: Value = serde_json::from_str(
        &orrery(
            folder.path(),
            &[&args[..], &["--arms", "vanilla,vanilla"]].concat(),
        )
        .worked()
        .out,
    )
    .unwrap();
    assert_eq!(twice["arms"][0]["items"].take(), 2);
    let eval = ["harp", "eval", "--model", "model", "--task", "tasks.jsonl"];
    for (more, wanted) in [
        (["--out", "tasks.jsonl"], "would be lost"),
        (["--out", "/dev/null"], "no results can be kept"),
        (["--limit", "0"], "whole number from 1"),
    ] {
        let line = orrery(folder.path(), &[&eval[..], &more].concat()).refused(2);
        assert!(line.contains(wanted), "{more:?}: {line}");
    }
    let sweep = [
        "harp",
        "sweep",
        "--model",
        "model",
        "--task",
        "tasks.jsonl",
        "--json",
    ];
    let rows: Value = serde_json::from_str(&orrery(folder.path(), &sweep).worked().out).unwrap();
    assert_eq!(rows["rows"].as_array().unwrap().len(), 1 + 4 * 2);
}

#[test]
fn bad_input_is_one_line() {
    let folder = folder();
    model(folder.path(), 96);
    let long = "x".repeat(200);
    let cases: [(&[&str], &str); 11] = [
        (&["generate", "--model", "model"], "there is no prompt"),
        (&["generate", "--model", "model", ""], "the prompt is empty"),
        (
            &["generate", "--model", "model", &long],
            "the prompt has 200 tokens",
        ),
        (
            &["generate", "--model", "model", "--metric", "top2", "hi"],
            "below 1",
        ),
        (
            &["generate", "--model", "model", "--theta", "-1", "hi"],
            "0 to 1000",
        ),
        (
            &["generate", "--model", "model", "--chat", "hi"],
            "chat template",
        ),
        (
            &["generate", "--model", "nowhere", "hi"],
            "there is no model `nowhere`",
        ),
        (
            &["generate", "--model", "model", "--file", "none.txt"],
            "cannot read `none.txt`",
        ),
        (
            &[
                "generate",
                "--model",
                "model",
                "hi",
                "--mask",
                "persistent",
                "--reframe-window",
                "4",
            ],
            "leave one of the two out",
        ),
        (
            &["eval", "--model", "model", "--task", "bad.jsonl"],
            "line 2 of `bad.jsonl`",
        ),
        (
            &["sweep", "--model", "model", "--text", "latin1.txt"],
            "is not UTF-8 from byte 3",
        ),
    ];
    std::fs::write(
        folder.path().join("bad.jsonl"),
        "{\"prompt\": \"a\", \"answer\": \"b\"}\n{\"prompt\": 3}\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("latin1.txt"), b"caf\xe9").unwrap();
    for (args, wanted) in cases {
        let line = orrery(folder.path(), &[&["harp"], args].concat()).refused(2);
        assert!(line.contains(wanted), "{args:?}: {line}");
    }
}
