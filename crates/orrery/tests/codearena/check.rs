//! Answers in the sandbox, and classes of items.

use super::chat_server::{ChatServer, Mood};
use super::common::{folder, interrupt, orrery, start};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How often each result stands in a journal; a line that was cut off is none.
fn noted(journal: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(journal).unwrap_or_default();
    let mut times = BTreeMap::new();
    for line in text.lines() {
        if let Ok(line) = serde_json::from_str::<Value>(line) {
            *times
                .entry(line["hash"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    times
}

/// Waits until a journal holds more than `lines` lines.
fn wait_for(journal: &Path, lines: usize) {
    for _ in 0..2000 {
        if noted(journal).len() > lines {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn graded_answers_stay_graded() {
    let folder = folder();
    let at = folder.path();
    if orrery(at, &["codearena", "languages"]).code != Some(0) {
        println!("skipped: no sandbox here");
        return;
    }
    let answer = |id: usize, lang: &str, code: &str| {
        let check = json!({"assertions": ["assert f(1) == 2"]});
        json!({"id": id, "lang": lang, "answer": format!("```{lang}\n{code}\n```"), "check": check})
            .to_string()
    };
    let slow = |i: usize| {
        format!(
            "import time\ntime.sleep(0.15)\ndef f(x): return x + {}",
            1 + i % 2
        )
    };
    let mut lines: Vec<String> = (0..16)
        .map(|i| answer(i, "python", &format!("{}\n# {i}", slow(i))))
        .collect();
    // One answer twice is one piece of work, and a language that nobody has is nobody's failure.
    lines.push(answer(0, "python", &format!("{}\n# 0", slow(0))));
    lines.push(answer(16, "go", "func f(x int) int { return x + 1 }"));
    fs::write(at.join("answers.jsonl"), lines.join("\n")).unwrap();
    let args = [
        "codearena",
        "check",
        "--answers",
        "answers.jsonl",
        "--out",
        "graded.jsonl",
        "--json",
    ];
    let child = start(at, &args);
    let journal = at.join("graded.jsonl.grades");
    wait_for(&journal, 2);
    let line = interrupt(child).refused(130);
    assert!(
        line.contains("grades are missing; the same command goes on"),
        "{line}"
    );
    assert!(!at.join("graded.jsonl").exists());
    let before = noted(&journal).len();
    assert!((3..16).contains(&before), "{before}");

    let said =
        |args: &[&str]| -> Value { serde_json::from_str(&orrery(at, args).worked().out).unwrap() };
    let told = said(&args);
    assert_eq!(
        (&told["answers"], &told["passed"]),
        (&18.into(), &9.into()),
        "{told}"
    );
    let resumed = told["resumed"].as_u64().unwrap() as usize;
    // The answer that is there twice is counted twice.
    assert!(resumed == before || resumed == before + 1, "{told}");
    let times = noted(&journal);
    assert!(
        times.values().all(|times| *times == 1),
        "nothing is run twice: {times:?}"
    );
    assert!((16..=17).contains(&times.len()), "{times:?}");
    let graded = fs::read_to_string(at.join("graded.jsonl")).unwrap();
    for (at, line) in graded.lines().take(16).enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        let wanted = if at % 2 == 0 { "pass" } else { "fail" };
        assert_eq!(record["graded"]["grade"], wanted, "{record}");
    }
    // Again: nothing is run, and the file is the same. A cut last line costs that one grade; other limits cost all.
    let again = said(&args);
    assert!(
        again["resumed"].as_u64().unwrap() >= 17 && again["rates"] == told["rates"],
        "{again}"
    );
    assert_eq!(fs::read_to_string(at.join("graded.jsonl")).unwrap(), graded);
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, &text[..text.len() - 9]).unwrap();
    let most = again["resumed"].as_u64().unwrap();
    let less = said(&args)["resumed"].as_u64().unwrap();
    assert!(less < most && less + 2 >= most, "{less} of {most}");
    let other = said(&[&args[..], &["--memory", "400"]].concat());
    assert_eq!(other["resumed"], 0);
}

#[test]
fn labels_of_a_model_are_asked_for_once() {
    let folder = folder();
    let at = folder.path();
    let item = |i: usize| {
        json!({"id": i, "question": format!("Question {i}?"), "meta": {"source": "mine"}})
            .to_string()
    };
    let known =
        json!({"id": "k", "question": "Q", "meta": {"parsed": {"task_type": ["Cryptography"]}}})
            .to_string();
    let lines: Vec<String> = (0..24).map(item).chain([known]).collect();
    fs::write(at.join("items.jsonl"), lines.join("\n")).unwrap();
    let server = ChatServer::start(
        vec![Mood::Slow, Mood::Busy, Mood::Slow],
        |prompt| match prompt.contains("Question 3?") {
            true => "I cannot say.".to_owned(),
            false => "Cryptography".to_owned(),
        },
    );
    let url = server.url();
    let args = [
        "codearena",
        "classify",
        "--data",
        "items.jsonl",
        "--endpoint",
        &url,
        "--model",
        "m",
        "--workers",
        "3",
        "--out",
        "classified.jsonl",
        "--json",
    ];
    let child = start(at, &args);
    wait_for(&at.join("classified.jsonl.labels"), 3);
    let line = interrupt(child).refused(130);
    assert!(
        line.contains("of 24 labels are missing; the same command goes on"),
        "{line}"
    );
    assert!(!at.join("classified.jsonl").exists());
    let told: Value = serde_json::from_str(&orrery(at, &args).worked().out).unwrap();
    assert_eq!(
        (&told["known"], &told["found"], &told["none"]),
        (&1.into(), &23.into(), &1.into())
    );
    assert_eq!(server.answered(), 24, "each question is asked once");
    orrery(at, &args).worked();
    assert_eq!(server.answered(), 24);
    let text = fs::read_to_string(at.join("classified.jsonl")).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["meta"]["source"], "mine", "what was there stays");
    assert!(
        first["meta"]["parsed"]["task_type"][0].is_string(),
        "{first}"
    );
}

#[test]
fn pass_at_nothing_is_no_question() {
    let folder = folder();
    for k in ["0", "1,0", "-1", "x"] {
        let k = format!("--k={k}");
        let args = [
            "codearena",
            "check",
            "--answers",
            "a.jsonl",
            "--out",
            "b.jsonl",
            &k,
        ];
        let line = orrery(folder.path(), &args).refused(2);
        assert!(line.contains("--k"), "{line}");
        assert!(line.contains("give a whole number from 1"), "{line}");
    }
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}
