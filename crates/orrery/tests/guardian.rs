//! The verbs of `orrery guardian` that need no model, and bad input.
#![cfg(feature = "guardian")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{folder, orrery};
use serde_json::{Value, json};
use std::fs;

fn guardian<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["guardian"], args].concat()
}

#[test]
fn rules_check_tool_calls_without_a_model() {
    let folder = folder();
    let at = folder.path();
    let tools = json!([{"name": "set_alarm", "parameters": {"type": "object", "properties": {"time": {"type": "string"}}, "required": ["time"]}}]);
    fs::write(at.join("tools.json"), tools.to_string()).unwrap();
    fs::write(
        at.join("good.json"),
        json!({"name": "set_alarm", "arguments": {"time": "7:00"}}).to_string(),
    )
    .unwrap();
    fs::write(
        at.join("bad.json"),
        json!({"name": "set_alarm", "arguments": {"time": 7}}).to_string(),
    )
    .unwrap();
    let run = |call: &'static str| {
        orrery(
            at,
            &guardian(&["tools", "--tools", "tools.json", "--call", call]),
        )
    };
    assert!(run("good.json").worked().out.contains("fits"));
    let bad = run("bad.json");
    assert!(
        bad.refused(1).contains("1 fault")
            && bad
                .out
                .contains("`time` of `set_alarm` is integer, not string")
    );
    fs::write(at.join("none.json"), "nothing").unwrap();
    assert!(run("none.json").refused(2).contains("is not JSON"));
}

#[test]
fn scored_lines_are_evaluated_and_calibrated_without_a_model() {
    let folder = folder();
    let at = folder.path();
    let line = |index: usize| {
        let risky = index.is_multiple_of(3);
        let probability = (index % 50) as f64 / 100.0 + if risky { 0.4 } else { 0.0 };
        let messages = json!([{"role": "user", "content": "x"}]);
        format!(
            "{}\n",
            json!({"id": index, "messages": messages, "risk": "harm", "label": u8::from(risky), "probability": probability})
        )
    };
    fs::write(
        at.join("scored.jsonl"),
        (0..200).map(line).collect::<String>(),
    )
    .unwrap();
    let eval = guardian(&[
        "eval",
        "--data",
        "scored.jsonl",
        "--resamples",
        "200",
        "--roc",
        "roc.json",
        "--json",
    ]);
    let found: Value = serde_json::from_str(&orrery(at, &eval).worked().out).unwrap();
    let [auc, low, high] = [
        &found["harm"]["metrics"]["auc"],
        &found["harm"]["intervals"]["auc"]["low"],
        &found["harm"]["intervals"]["auc"]["high"],
    ]
    .map(|it| it.as_f64().unwrap());
    assert!(low < auc && auc < high && auc > 0.8, "{low} {auc} {high}");
    let roc: Value = serde_json::from_slice(&fs::read(at.join("roc.json")).unwrap()).unwrap();
    assert_eq!(roc["risks"]["harm"][0][1], 0.0);
    let calibrate = guardian(&[
        "calibrate",
        "--data",
        "scored.jsonl",
        "--fpr",
        "0.05",
        "--out",
        "thresholds.json",
        "--json",
    ]);
    let found: Value = serde_json::from_str(&orrery(at, &calibrate).worked().out).unwrap();
    assert!(found["thresholds"]["harm"].as_f64().unwrap() > 0.4);
}

#[test]
fn synthetic_lines_repeat_with_their_seed() {
    let folder = folder();
    let at = folder.path();
    for kind in [
        "tools",
        "retrieval",
        "meanings",
        "mentions",
        "benign",
        "typical",
        "adversarial",
    ] {
        let make = |out: &'static str| {
            orrery(
                at,
                &guardian(&[
                    "synth", "--kind", kind, "--count", "12", "--seed", "5", "--out", out,
                ]),
            )
            .worked();
            fs::read(at.join(out)).unwrap()
        };
        assert!(make("a.jsonl") == make("b.jsonl"), "{kind}");
        let text = fs::read_to_string(at.join("a.jsonl")).unwrap();
        assert!(
            text.lines().count() >= 12 && text.contains("\"label\":"),
            "{kind}"
        );
    }
}

#[test]
fn what_cannot_be_used_is_told_in_a_line() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("empty.jsonl"), "\n[1]\n").unwrap();
    fs::write(
        at.join("unlabelled.jsonl"),
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\n",
    )
    .unwrap();
    fs::write(at.join("definitions.toml"), "spoiler: no\n").unwrap();
    let cases: [(&[&str], &str); 13] = [
        (&["check"], "nothing to assess"),
        (
            &["check", "--prompt", "x", "--risk", "violense"],
            "did you mean `violence`",
        ),
        (
            &[
                "check",
                "--prompt",
                "x",
                "--risk",
                "harm",
                "--definition",
                "y",
            ],
            "cannot be overridden",
        ),
        (
            &["check", "--prompt", "x", "--model", "no/such/model.gguf"],
            "model",
        ),
        (
            &[
                "check",
                "--prompt",
                "x",
                "--definition-file",
                "definitions.toml",
            ],
            "write `name = \"definition\"`",
        ),
        (&["check", "--prompt", ""], "--prompt is empty"),
        (&["check", "--prompt", "x", "--risk", ""], "empty name"),
        (
            &["screen", "--out", "unlabelled.jsonl", "unlabelled.jsonl"],
            "would be lost",
        ),
        (
            &["screen", "--out", "/dev/null", "unlabelled.jsonl"],
            "no results can be kept",
        ),
        (&["screen", "empty.jsonl"], "holds no line with messages"),
        (&["screen", "--shard", "3/2", "empty.jsonl"], "I/N"),
        (
            &["eval", "--data", "unlabelled.jsonl"],
            "no line has a `label`",
        ),
        (
            &[
                "synth", "--kind", "sets", "--folder", "nowhere", "--out", "a.jsonl",
            ],
            "cannot read",
        ),
    ];
    for (args, wanted) in cases {
        let line = orrery(at, &guardian(args)).refused(2);
        assert!(line.contains(wanted), "{args:?}: {line}");
    }
}
