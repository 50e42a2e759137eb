//! Answers, games, tables and the report.

use super::chat_server::{ChatServer, Mood};
use super::common::{folder, interrupt, orrery, start};
use super::{judging, results};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

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
    let args = judging(&url, &["--timeout", "2", "--tries", "4", "--workers", "4"]);
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
    let args = judging(&url, &["--workers", "3"]);
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
    // A refusal is no result: it ends the run at once, and nothing of it is kept.
    let line = orrery(at, &judging(&url, &["--workers", "1"])).refused(1);
    assert!(
        line.contains("401") && line.contains("no key") && line.contains("check the key"),
        "{line}"
    );
    assert_eq!(server.asked(), 1);
    assert!(logged(at).is_empty() && !at.join("judged.jsonl").exists());
    // A journal from before, in which such games stand as ties, is mended by the right judge; ones without a label when asked.
    let fine = ChatServer::start(vec![Mood::Fine], |prompt| {
        match prompt.contains("Question 0?") {
            true => "I cannot say.".to_owned(),
            false => longer_wins(prompt),
        }
    });
    let fine_url = fine.url();
    let told = |more: &[&str]| -> Value {
        let ran = orrery(at, &judging(&fine_url, more)).worked();
        serde_json::from_str(&ran.out).unwrap()
    };
    let first = told(&[]);
    assert_eq!(
        (&first["played_games"], &first["labelled_games"]),
        (&4.into(), &2.into())
    );
    let log = at.join("judged.jsonl.games");
    let text = fs::read_to_string(&log).unwrap();
    let emptied = text.lines().map(|line| {
        let mut game: Value = serde_json::from_str(line).unwrap();
        if game["id"] == "q1" {
            game["played"]["judgment"] = "".into();
            game["played"]["score"] = Value::Null;
        }
        format!("{game}\n")
    });
    fs::write(&log, emptied.collect::<String>()).unwrap();
    assert_eq!(told(&[])["played_games"], 2, "games without an answer");
    let again = told(&["--retry-unlabelled"]);
    assert_eq!(
        (&again["played_games"], &again["labelled_games"]),
        (&2.into(), &2.into())
    );
    // Scores say how many games have a label, and are refused where these are too few.
    let none = json!({"id": 1, "question": "q", "response": "a", "games": [{"score": null}, {"score": null}]});
    fs::write(at.join("judged.jsonl"), format!("{none}\n{none}\n")).unwrap();
    for verb in [
        &["score", "--judged", "judged.jsonl"][..],
        &["leaderboard", "judged.jsonl", "--rating", "bt"],
    ] {
        let line = orrery(at, &[&["codearena"], verb].concat()).refused(2);
        assert!(
            line.contains("only 0 of 2 games") && line.contains("--retry-unlabelled"),
            "{line}"
        );
    }
    let score = orrery(
        at,
        &[
            "codearena",
            "score",
            "--judged",
            "judged.jsonl",
            "--json",
            "--min-labelled",
            "0",
        ],
    )
    .worked();
    let score: Value = serde_json::from_str(&score.out).unwrap();
    assert_eq!(
        (&score["failed_items"], &score["labelled_games"]),
        (&1.into(), &0.into())
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
    let line = orrery(at, &judging("http://127.0.0.1:9", &["--tries", "1"])).refused(1);
    assert!(
        line.contains("no answer from") && line.contains("4 of 4 games are missing"),
        "{line}"
    );
    assert!(!at.join("judged.jsonl").exists());
    let line = orrery(at, &judging("localhost:8000", &[])).refused(2);
    assert!(line.contains("not a valid base URL"), "{line}");
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
    // The official names of options say the same.
    let official = [
        "codearena",
        "judge",
        "--judge",
        "rubric",
        "--input_path",
        "answers.jsonl",
        "--output_path",
        "o.jsonl",
        "--baseline_name",
        super::BASELINE,
        "--workers",
        "2",
    ];
    orrery(at, &official).worked();
    let read = |name: &str| fs::read_to_string(at.join(name)).unwrap();
    assert_eq!(read("o.jsonl"), read("r.jsonl"));
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
