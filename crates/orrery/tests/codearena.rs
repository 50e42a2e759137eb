//! The verbs of `orrery codearena` against a judge's server that is late, wrong, broken, busy or silent, and against files as
//! people have them.
#![allow(clippy::unwrap_used)]

#[path = "common/chat_server.rs"]
mod chat_server;
mod common;

use chat_server::{ChatServer, Mood};
use common::{folder, interrupt, names, orrery, start};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

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

fn judge<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
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

/// How often the log holds each game.
fn logged(at: &Path) -> BTreeMap<(String, u64), usize> {
    let text = fs::read_to_string(at.join("judged.jsonl.games")).unwrap();
    let mut games = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Ok(game) = serde_json::from_str::<Value>(line) {
            let key = (
                game["id"].as_str().unwrap().to_owned(),
                game["game"].as_u64().unwrap(),
            );
            *games.entry(key).or_default() += 1;
        }
    }
    games
}

/// The longer answer is better; the server's label follows from the prompt.
fn longer_wins(prompt: &str) -> String {
    let part = |name: &str| {
        prompt
            .split(&format!("{name}'s Answer|>"))
            .nth(1)
            .unwrap_or_default()
            .len()
    };
    let label = if part("Assistant A") > part("Assistant B") {
        "A>B"
    } else {
        "B>A"
    };
    format!("Thinking about it.\n[[{label}]]")
}

#[test]
fn nothing_is_lost_and_nothing_judged_twice_whatever_the_server_does() {
    let folder = folder();
    let at = folder.path();
    results(at, 12);
    let moods = [
        Mood::Fine,
        Mood::Late,
        Mood::Busy,
        Mood::Broken,
        Mood::Malformed,
        Mood::Silent,
        Mood::NoLabel,
    ];
    let server = ChatServer::start(moods.to_vec(), longer_wins);
    let url = server.url();
    let args = judge(&url, &["--timeout", "2", "--tries", "4", "--workers", "4"]);
    let ran = orrery(at, &args).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&said["items"], &said["played_games"]),
        (&12.into(), &24.into())
    );
    assert!(logged(at).values().all(|times| *times == 1) && logged(at).len() == 24);
    let judged = fs::read_to_string(at.join("judged.jsonl")).unwrap();
    for line in judged.lines() {
        let item: Value = serde_json::from_str(line).unwrap();
        let labels: Vec<&str> = item["games"]
            .as_array()
            .unwrap()
            .iter()
            .map(|game| game["score"].as_str().unwrap())
            .collect();
        assert_eq!(labels, ["B>A", "A>B"], "{}", item["uid"]);
    }
    let score = orrery(
        at,
        &["codearena", "score", "--judged", "judged.jsonl", "--json"],
    )
    .worked();
    let score: Value = serde_json::from_str(&score.out).unwrap();
    assert_eq!(
        (&score["metric"]["win_rate"], &score["bias"]["disagree"]),
        (&1.0.into(), &0.into())
    );

    // Once more: nobody is asked. A log whose last line was cut off costs that one game.
    let asked = server.asked();
    orrery(at, &args).worked();
    assert_eq!(server.asked(), asked);
    let log = at.join("judged.jsonl.games");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, &text[..text.len() - 20]).unwrap();
    let ran = orrery(at, &args).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&said["resumed_games"], &said["played_games"]),
        (&23.into(), &1.into())
    );
    assert_eq!(fs::read_to_string(at.join("judged.jsonl")).unwrap(), judged);
}

#[test]
fn ctrl_c_keeps_what_is_done_and_the_same_command_goes_on() {
    let folder = folder();
    let at = folder.path();
    results(at, 30);
    let server = ChatServer::start(vec![Mood::Slow], longer_wins);
    let url = server.url();
    let args = judge(&url, &["--workers", "3"]);
    let child = start(at, &args);
    let log = at.join("judged.jsonl.games");
    for _ in 0..400 {
        if fs::read_to_string(&log).is_ok_and(|text| text.lines().count() > 5) {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let line = interrupt(child).refused(130);
    assert!(line.contains("the same command goes on"), "{line}");
    assert!(!at.join("judged.jsonl").exists());
    orrery(at, &args).worked();
    assert!(logged(at).values().all(|times| *times == 1) && logged(at).len() == 60);
    // Games under way at Ctrl-C were finished and recorded, not asked again.
    assert_eq!(server.answered(), 60);
}

#[test]
fn a_server_that_refuses_or_is_not_there() {
    let folder = folder();
    let at = folder.path();
    results(at, 2);
    let server = ChatServer::start(vec![Mood::Refusing], longer_wins);
    let url = server.url();
    // A refusal is an answer: attempts are consumed, the items count as ties, and the score says how many failed.
    orrery(at, &judge(&url, &[])).worked();
    let score = orrery(
        at,
        &["codearena", "score", "--judged", "judged.jsonl", "--json"],
    )
    .worked();
    let score: Value = serde_json::from_str(&score.out).unwrap();
    assert_eq!(
        (&score["failed_items"], &score["metric"]["tie_rate"]),
        (&2.into(), &1.0.into())
    );
    let none = orrery(
        at,
        &[
            "codearena",
            "score",
            "--judged",
            "judged.jsonl",
            "--drop-failed",
        ],
    )
    .refused(2);
    assert!(none.contains("no item has a label"), "{none}");

    fs::remove_file(at.join("judged.jsonl")).unwrap();
    fs::remove_file(at.join("judged.jsonl.games")).unwrap();
    let line = orrery(at, &judge("http://127.0.0.1:9", &["--tries", "1"])).refused(1);
    assert!(
        line.contains("no answer from") && line.contains("4 of 4 games are missing"),
        "{line}"
    );
    assert!(!at.join("judged.jsonl").exists());
    let line = orrery(at, &judge("localhost:8000", &[])).refused(2);
    assert!(line.contains("no address"), "{line}");
}

#[test]
fn files_as_people_have_them() {
    let folder = folder();
    let at = folder.path();
    let good = |id: &str| {
        json!({"id": id, "question": "How?", "response": "Like this: a longer answer", format!("{BASELINE}_response"): "So"}).to_string()
    };
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    bytes.extend(format!("{}\r\n\r\n{}\r\n{}\n", good("a"), good("b"), good("a")).bytes());
    bytes.extend(b"{\"id\": \"c\", \"question\": \"caf\xe9\"}\n{\"id\": \"d\", \"score\": NaN}\n[1, 2]\n{\"id\": \"e\"}\n");
    bytes.extend(format!("{{\"id\": \"deep\", \"x\": {}\n", "[".repeat(10_000)).bytes());
    bytes.extend(format!("{}\n", json!({"id": "n", "question": "no answer"})).bytes());
    bytes.extend(good("cut").bytes().take(30));
    fs::write(at.join("results.jsonl"), bytes).unwrap();
    let ran = orrery(at, &judge("rubric", &[])).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["items"], 2, "{}", ran.err);
    let warnings: Vec<&str> = ran.err.lines().collect();
    let wanted = [
        "not UTF-8",
        "`NaN`",
        "no JSON object",
        "recursion",
        "cut off",
        "id `a` was there",
        "no `messages`",
        "no `response`",
    ];
    for words in wanted {
        assert_eq!(
            warnings.iter().filter(|line| line.contains(words)).count(),
            1,
            "{words}: {}",
            ran.err
        );
    }
    assert!(warnings.iter().all(|line| line.len() < 300), "{}", ran.err);

    let refuse = |args: &[&str]| orrery(at, args).refused(2);
    fs::write(at.join("empty.jsonl"), "").unwrap();
    assert!(refuse(&["codearena", "score", "--judged", "empty.jsonl"]).contains("holds no JSON"));
    assert!(refuse(&["codearena", "score", "--judged", "absent.jsonl"]).contains("cannot read"));
    fs::write(at.join("unjudged.jsonl"), format!("{}\n", good("a"))).unwrap();
    let line = refuse(&["codearena", "score", "--judged", "unjudged.jsonl"]);
    assert!(line.contains("judge it first"), "{line}");
    fs::write(
        at.join("odd.jsonl"),
        "{\"id\": 1, \"question\": \"q\", \"games\": [{\"score\": 5}]}\n",
    )
    .unwrap();
    assert!(
        refuse(&["codearena", "score", "--judged", "odd.jsonl"]).contains("score 5 is no label")
    );
    fs::write(at.join("bad.yaml"), "system_prompt: x\n").unwrap();
    assert!(
        refuse(&judge("rubric", &["--judge-config", "bad.yaml"])).contains("judge configuration")
    );
    // Ten megabytes on one line.
    let long = json!({"id": "l", "question": "x ".repeat(5_000_000), "response": "a", format!("{BASELINE}_response"): "b"});
    fs::write(at.join("results.jsonl"), format!("{long}\n")).unwrap();
    assert!(refuse(&judge("rubric", &[])).contains("nothing to judge"));
    orrery(at, &judge("rubric", &["--keep-long"])).worked();
}

#[test]
fn answers_go_through_judge_tables_and_report() {
    let folder = folder();
    let at = folder.path();
    results(at, 4);
    let server = ChatServer::start(vec![Mood::Fine, Mood::Busy], |prompt| {
        format!("```python\n# {prompt}\n```")
    });
    let url = server.url();
    let args = [
        "codearena",
        "generate",
        "--data",
        "results.jsonl",
        "--model",
        "tiny",
        "--endpoint",
        &url,
        "--out",
        "answers.jsonl",
    ];
    orrery(at, &args).worked();
    let asked = server.asked();
    orrery(at, &args).worked();
    assert_eq!(server.asked(), asked, "answers are made once");
    let text = fs::read_to_string(at.join("answers.jsonl")).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["model"], &first["uid"], &first["stop_reason"]),
        (&"tiny".into(), &"q0".into(), &"stop".into())
    );
    assert!(first["response"].as_str().unwrap().contains("Question 0?"));

    for (judge, out) in [("rubric", "r.jsonl"), ("always:A>B", "a.jsonl")] {
        orrery(
            at,
            &[
                "codearena",
                "judge",
                "--results",
                "answers.jsonl",
                "--judge",
                judge,
                "--out",
                out,
            ],
        )
        .worked();
    }
    let bias = orrery(
        at,
        &[
            "codearena",
            "score",
            "--judged",
            "a.jsonl",
            "--json",
            "--metric",
            "m.json",
        ],
    )
    .worked();
    let bias: Value = serde_json::from_str(&bias.out).unwrap();
    assert_eq!(
        (&bias["metric"]["tie_rate"], &bias["bias"]["position_bias"]),
        (&1.0.into(), &1.0.into())
    );
    let metric: Value = serde_json::from_slice(&fs::read(at.join("m.json")).unwrap()).unwrap();
    assert_eq!(metric, bias["metric"]);
    for format in ["table", "csv", "markdown", "latex", "json"] {
        for by in ["main", "sub", "language", "difficulty"] {
            let ran = orrery(
                at,
                &[
                    "codearena",
                    "leaderboard",
                    "r.jsonl",
                    "a.jsonl",
                    "--by",
                    by,
                    "--format",
                    format,
                ],
            )
            .worked();
            assert!(ran.out.contains("tiny"), "{}", ran.out);
        }
    }
    let ratings = orrery(
        at,
        &[
            "codearena",
            "leaderboard",
            "r.jsonl",
            "--rating",
            "bt",
            "--json",
        ],
    )
    .worked();
    let ratings: Value = serde_json::from_str(&ratings.out).unwrap();
    assert_eq!(ratings["ratings"].as_array().unwrap().len(), 2);
    orrery(
        at,
        &[
            "codearena",
            "report",
            "--judged",
            "a.jsonl",
            "--out",
            "report.html",
        ],
    )
    .worked();
    let page = fs::read_to_string(at.join("report.html")).unwrap();
    assert!(page.contains("Items whose two orders disagree: 4"));
    let ran = orrery(
        at,
        &[
            "codearena",
            "judge",
            "--results",
            "answers.jsonl",
            "--judge",
            "rubric",
            "--dry-run",
            "--json",
        ],
    )
    .worked();
    let dry: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(dry["games"], 8);
    orrery(
        at,
        &[
            "codearena",
            "classify",
            "--data",
            "results.jsonl",
            "--out",
            "c.jsonl",
        ],
    )
    .worked();
}

#[test]
fn pages_become_verified_data_step_by_step_and_in_one() {
    let folder = folder();
    let at = folder.path();
    if orrery(at, &["codearena", "languages"]).code != Some(0) {
        println!("skipped: no sandbox here");
        return;
    }
    fs::create_dir(at.join("pages")).unwrap();
    let page = "<html><nav><a>Home page here</a></nav><p>Adding numbers is easy enough.</p><pre>def add(a, b):\n    return a + b\n</pre></html>";
    fs::write(at.join("pages/add.html"), page).unwrap();
    fs::write(
        at.join("pages/cat.html"),
        "<html><p>The cat sat on the mat.</p></html>",
    )
    .unwrap();
    let question =
        json!({"question": "Write add3(a, b, c) that adds three numbers.", "algorithmic": true})
            .to_string();
    let answer = |code: &str| format!("So:\n```python\n{code}\n```");
    let replies = [
        json!({"match": "new programming question", "replies": [question]}),
        json!({"match": "Write at most 8 tests", "replies": [answer("assert add3(1, 2, 3) == 6\nassert add3(0, 0, 1) == 1")]}),
        json!({"match": "Which candidate", "replies": ["{\"best\": 1, \"scores\": [9, 3]}"]}),
        json!({"match": "add3", "replies": [answer("def add3(a, b, c): return a"), answer("def add3(a, b, c): return a + b + c")]}),
    ];
    fs::write(
        at.join("replies.jsonl"),
        replies.map(|line| line.to_string()).join("\n"),
    )
    .unwrap();
    fs::write(
        at.join("run.yaml"),
        "pages: pages\nout: data\nasker: {url: 'file:replies.jsonl'}\nanswerer: {url: 'file:replies.jsonl'}\ncandidates: 2\n",
    )
    .unwrap();
    let run = [
        "codearena",
        "syncode",
        "run",
        "--config",
        "run.yaml",
        "--json",
    ];
    let ran = orrery(at, &run).worked();
    let stats: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(stats[0]["dropped"]["no code"], 1, "{stats}");
    let last = fs::read_to_string(at.join("data/final.jsonl")).unwrap();
    let record: Value = serde_json::from_str(last.trim()).unwrap();
    assert!(
        record["messages"][1]["content"]
            .as_str()
            .unwrap()
            .contains("a + b + c"),
        "{record}"
    );
    assert_eq!(
        orrery(at, &run).worked().out,
        ran.out,
        "a second run changes nothing"
    );

    let step = |verb: &str, input: &str, out: &str, more: &[&str]| {
        let mut args = vec!["codearena", "syncode", verb, "--in", input, "--out", out];
        args.extend(more);
        orrery(at, &args).worked();
    };
    let model = ["--endpoint", "file:replies.jsonl"];
    step("lang", "pages", "1.jsonl", &[]);
    step("clean", "1.jsonl", "2.jsonl", &[]);
    step("ask", "2.jsonl", "3.jsonl", &model);
    step(
        "answer",
        "3.jsonl",
        "4.jsonl",
        &["--endpoint", "file:replies.jsonl", "--candidates", "2"],
    );
    step("verify", "4.jsonl", "5.jsonl", &model);
    step("filter", "5.jsonl", "6.jsonl", &[]);
    assert_eq!(fs::read_to_string(at.join("6.jsonl")).unwrap(), last);
    assert!(
        names(at).iter().all(|name| !name.ends_with(".part")),
        "{:?}",
        names(at)
    );
    fs::write(
        at.join("wrong.yaml"),
        "pages: pages\nout: data\nasker: {url: x}\nanswerer: {url: x}\nworkers: 0\n",
    )
    .unwrap();
    assert!(
        orrery(
            at,
            &["codearena", "syncode", "run", "--config", "wrong.yaml"]
        )
        .refused(2)
        .contains("from 1 to 64")
    );
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
