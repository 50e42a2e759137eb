//! Shards of a job on several machines, and what they come to together.

use super::common::{Ran, command, folder, orrery};
use super::{judging, results};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn read(at: &Path, name: &str) -> String {
    fs::read_to_string(at.join(name)).unwrap()
}

fn merge(at: &Path, shards: &[&str], out: &str, more: &[&str]) -> Ran {
    let args = [&["codearena", "merge"], shards, &["--out", out], more].concat();
    orrery(at, &args)
}

#[test]
fn judged_shards_are_the_whole_file() {
    let folder = folder();
    let at = folder.path();
    results(at, 7);
    // An item that is left out keeps its place.
    let text = read(at, "results.jsonl").replacen("\"response\"", "\"other\"", 1);
    fs::write(at.join("results.jsonl"), text).unwrap();
    orrery(at, &judging("rubric", &[])).worked();
    let whole = read(at, "judged.jsonl");
    assert_eq!(whole.lines().count(), 6);
    let shards = [
        "judged.0-of-3.jsonl",
        "judged.1-of-3.jsonl",
        "judged.2-of-3.jsonl",
    ];
    for shard in ["0/3", "1/3"] {
        let ran = orrery(at, &judging("rubric", &["--shard", shard])).worked();
        assert!(ran.out.contains("-of-3.jsonl"), "{}", ran.out);
    }
    // One alone says that it is one.
    for verb in [&["score", "--judged"][..], &["leaderboard"]] {
        let args = [&["codearena"], verb, &shards[..1]].concat();
        let ran = orrery(at, &args).worked();
        assert!(ran.err.contains("is shard 0 of 3 alone"), "{}", ran.err);
    }
    let line = merge(at, &shards[..2], "all.jsonl", &[]).refused(2);
    assert!(
        line.contains("1 of 3 shards are missing: 2/3") && line.contains("--partial"),
        "{line}"
    );
    assert!(!at.join("all.jsonl").exists());
    let ran = merge(at, &shards[..2], "some.jsonl", &["--partial", "--json"]).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&said["items"], said["incomplete"].as_array().unwrap().len()),
        (&4.into(), 1)
    );
    assert!(ran.err.contains("warning: 1 of 3 shards"), "{}", ran.err);
    // The last one as a Slurm array task, of which the numbers begin with 1.
    let mut task = command(at, &judging("rubric", &[]));
    for (name, value) in [("ID", "3"), ("MIN", "1"), ("COUNT", "3")] {
        task.env(format!("SLURM_ARRAY_TASK_{name}"), value);
    }
    Ran::from(task.output().unwrap()).worked();
    let ran = merge(at, &[shards[2], shards[0], shards[1]], "all.jsonl", &[]).worked();
    assert!(ran.out.contains("6 items, 12 of 12 games"), "{}", ran.out);
    assert_eq!(read(at, "all.jsonl"), whole);
    // A shard of other answers is of another run, and what is not a shard is none.
    let text = read(at, "results.jsonl").replace("rather long", "short");
    fs::write(at.join("results.jsonl"), text).unwrap();
    orrery(at, &judging("rubric", &["--shard", "1/3"])).worked();
    let line = merge(at, &shards, "no.jsonl", &[]).refused(2);
    assert!(line.contains("of another run"), "{line}");
    let line = merge(at, &["all.jsonl"], "no.jsonl", &[]).refused(2);
    assert!(line.contains("is not a shard"), "{line}");
    // More shards than items: the last ones are empty.
    let ran = orrery(at, &judging("rubric", &["--shard", "8/9"])).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&said["items"], &said["out"]),
        (&0.into(), &"judged.8-of-9.jsonl".into())
    );
    let line = orrery(at, &judging("rubric", &["--shard", "9/9"])).refused(2);
    assert!(line.contains("`I/N`"), "{line}");
}

#[test]
fn graded_shards_give_the_rates_of_all() {
    let folder = folder();
    let at = folder.path();
    if orrery(at, &["codearena", "languages"]).code != Some(0) {
        println!("skipped: no sandbox here");
        return;
    }
    // Two samples of each task; the first of task 0 is wrong.
    let line = |sample: usize| {
        let code = if sample == 0 { "f = abs" } else { "f = str" };
        let check = json!({"assertions": ["assert f(1) == '1'"]});
        json!({"id": sample / 2, "lang": "python", "answer": code, "check": check}).to_string()
    };
    let lines: Vec<String> = (0..6).map(line).collect();
    fs::write(at.join("answers.jsonl"), lines.join("\n")).unwrap();
    let check = |more: &[&str]| {
        let args = [
            "codearena",
            "check",
            "--answers",
            "answers.jsonl",
            "--out",
            "graded.jsonl",
            "--k",
            "1,2",
        ];
        orrery(at, &[&args[..], more].concat()).worked()
    };
    let whole = check(&[]).out;
    assert!(whole.contains("pass@1  83.3 %  (3 items"), "{whole}");
    let file = read(at, "graded.jsonl");
    check(&["--shard", "0/2"]);
    check(&["--shard", "1/2"]);
    let shards = ["graded.0-of-2.jsonl", "graded.1-of-2.jsonl"];
    let first = read(at, shards[0]);
    let line = merge(at, &shards, shards[0], &[]).refused(2);
    assert!(line.contains("would be lost"), "{line}");
    assert_eq!(read(at, shards[0]), first);
    let merged = merge(at, &shards, "graded.jsonl", &["--k", "1,2"])
        .worked()
        .out;
    assert_eq!(merged, whole);
    assert_eq!(read(at, "graded.jsonl"), file);
}
