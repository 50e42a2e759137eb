//! Files as people have them.

use super::common::{Ran, command, folder, orrery};
use super::{BASELINE, judging, results};
use serde_json::{Value, json};
use std::fs;

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
    let ran = orrery(at, &judging("rubric", &[])).worked();
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
        refuse(&["codearena", "score", "--judged", "odd.jsonl"]).contains("score 5 is not a label")
    );
    fs::write(at.join("bad.yaml"), "system_prompt: x\n").unwrap();
    assert!(
        refuse(&judging("rubric", &["--judge-config", "bad.yaml"])).contains("judge configuration")
    );
    // Ten megabytes on one line.
    let long = json!({"id": "l", "question": "x ".repeat(5_000_000), "response": "a", format!("{BASELINE}_response"): "b"});
    fs::write(at.join("results.jsonl"), format!("{long}\n")).unwrap();
    assert!(refuse(&judging("rubric", &[])).contains("nothing to judge"));
    orrery(at, &judging("rubric", &["--keep-long"])).worked();
}

/// Each line of trouble comes once and is readable, and the rest of the file is used.
fn warned(err: &str, wanted: &[&str]) {
    for words in wanted {
        let hits = err.lines().filter(|line| line.contains(words)).count();
        assert_eq!(hits, 1, "{words}: {err}");
    }
    assert!(err.lines().all(|line| line.len() < 300), "{err}");
}

#[test]
fn judged_files_as_people_have_them() {
    let folder = folder();
    let at = folder.path();
    let item =
        |id: &str, games: Value| json!({"id": id, "question": "q", "games": games}).to_string();
    let won = json!([{"score": "B>A"}, {"score": "A>B"}]);
    let lines = [
        item("a", won.clone()),
        item("a", won.clone()),
        "{\"id\": \"n\", \"question\": \"q\", \"games\": [{\"score\": NaN}]}".to_owned(),
        item("g", json!("none")),
        item("o", json!([{"score": 0.5}])),
        item("l", json!([{"score": null}, {"score": null}])),
        item("cut", won)[..30].to_owned(),
    ];
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    bytes.extend(lines.join("\r\n").bytes());
    fs::write(at.join("j.jsonl"), bytes).unwrap();
    let ran = orrery(at, &["codearena", "score", "--judged", "j.jsonl", "--json"]).worked();
    let wanted = [
        "`NaN` is not a JSON number",
        "id `a` was there",
        "no `games`",
        "the score 0.5 is not a label",
        "cut off",
        "no task type",
    ];
    warned(&ran.err, &wanted);
    let score: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&score["items"], &score["failed_items"]),
        (&2.into(), &1.into())
    );
    assert_eq!(score["metric"]["win_rate"], 0.5);
    for (text, why) in [
        ("{\"m\": NaN}", "expected value"),
        ("[1]", "expected a map"),
        ("{\"m\": \"high\"}", "expected f64"),
        ("", "EOF"),
    ] {
        fs::write(at.join("against.json"), text).unwrap();
        let ran = orrery(
            at,
            &[
                "codearena",
                "leaderboard",
                "j.jsonl",
                "--against",
                "against.json",
            ],
        );
        assert_eq!(ran.code, Some(2), "{text}");
        let line = ran.err.lines().last().unwrap_or_default();
        assert!(
            line.contains("not an object of numbers") && line.contains(why),
            "{line}"
        );
    }
}

#[test]
fn answers_to_check_as_people_have_them() {
    let folder = folder();
    let at = folder.path();
    if orrery(at, &["codearena", "languages"]).code != Some(0) {
        println!("skipped: no sandbox here");
        return;
    }
    let answer = |id: &str, lang: &str, check: Value| {
        json!({"id": id, "lang": lang, "answer": "```python\ndef f(x): return x\n```", "check": check}).to_string()
    };
    let good = json!({"assertions": ["assert f(1) == 1"]});
    let lines = [
        answer("a", "python", good.clone()),
        answer("b", "klingon", good.clone()),
        answer("c", "python", json!({"guess": 1})),
        json!({"id": "d", "lang": "python", "check": good}).to_string(),
        json!({"lang": "python", "answer": "x", "check": good}).to_string(),
        "{\"id\": \"e\", \"score\": NaN}".to_owned(),
        answer("f", "python", good)[..40].to_owned(),
    ];
    fs::write(at.join("a.jsonl"), lines.join("\r\n")).unwrap();
    let ran = orrery(
        at,
        &[
            "codearena",
            "check",
            "--answers",
            "a.jsonl",
            "--out",
            "g.jsonl",
            "--json",
        ],
    )
    .worked();
    let wanted = [
        "no language `klingon`",
        "its `check` cannot be read",
        "no `answer`",
        "no `id`",
        "`NaN`",
        "cut off",
    ];
    warned(&ran.err, &wanted);
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&said["answers"], &said["passed"]), (&1.into(), &1.into()));
    // A journal that something else wrote over costs its work, not the run.
    fs::write(
        at.join("g.jsonl.grades"),
        b"\xff\xfe garbage\n{\"hash\": 5}\n{\"hash\": \"x\", \"graded\": {}}",
    )
    .unwrap();
    let line = orrery(
        at,
        &[
            "codearena",
            "check",
            "--answers",
            "a.jsonl",
            "--out",
            "g.jsonl",
            "--json",
        ],
    )
    .refused(2);
    assert!(line.contains("UTF-16"), "{line}");
    fs::write(
        at.join("g.jsonl.grades"),
        b"garbage\n{\"hash\": 5}\n{\"hash\": \"x\", \"graded\": {}}",
    )
    .unwrap();
    let ran = orrery(
        at,
        &[
            "codearena",
            "check",
            "--answers",
            "a.jsonl",
            "--out",
            "g.jsonl",
            "--json",
        ],
    )
    .worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&said["passed"], &said["resumed"]), (&1.into(), &0.into()));
}

#[test]
fn pages_as_people_have_them() {
    let folder = folder();
    let at = folder.path();
    fs::create_dir(at.join("pages")).unwrap();
    let page = |name: &str, bytes: &[u8]| fs::write(at.join("pages").join(name), bytes).unwrap();
    let code = "<pre>import os\nprint(os.name)\n</pre>";
    let deep = format!(
        "{}{code}{}",
        "<div><table>".repeat(10_000),
        "</table></div>".repeat(10_000)
    );
    page("deep.html", deep.as_bytes());
    page(
        "long.md",
        format!("{}\n```python\nprint(1)\n```", "word ".repeat(2_000_000)).as_bytes(),
    );
    page(
        "latin.html",
        format!("<p>A small caf\u{e9} nearby</p>{code}")
            .replace('\u{e9}', "\x01")
            .into_bytes()
            .iter()
            .map(|byte| if *byte == 1 { 0xe9 } else { *byte })
            .collect::<Vec<u8>>()
            .as_slice(),
    );
    page(
        "binary.html",
        &(0..=255).cycle().take(100_000).collect::<Vec<u8>>(),
    );
    page("empty.html", b"");
    page(
        "open.html",
        format!("<p>{code}<script>while (1) <a href='").as_bytes(),
    );
    let begun = std::time::Instant::now();
    orrery(
        at,
        &[
            "codearena",
            "syncode",
            "lang",
            "--in",
            "pages",
            "--out",
            "l.jsonl",
        ],
    )
    .worked();
    orrery(
        at,
        &[
            "codearena",
            "syncode",
            "clean",
            "--in",
            "l.jsonl",
            "--out",
            "c.jsonl",
        ],
    )
    .worked();
    assert!(
        begun.elapsed().as_secs() < 60,
        "it took {:?}",
        begun.elapsed()
    );
    let text = fs::read_to_string(at.join("c.jsonl")).unwrap();
    let pages: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = pages
        .iter()
        .map(|page| page["url"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["deep.html", "latin.html", "long.md", "open.html"]);
    assert!(
        pages[1]["text"]
            .as_str()
            .unwrap()
            .contains("A small caf\u{e9} nearby")
    );

    let mut bytes = b"\xef\xbb\xbf".to_vec();
    bytes.extend(b"{\"url\": \"a\", \"text\": \"caf\xe9\"}\r\n[]\r\n{\"p\": NaN}\r\n");
    bytes.extend(json!({"url": 3, "text": 5}).to_string().bytes());
    bytes.extend(b"\r\n{\"url\": \"cut");
    fs::write(at.join("p.jsonl"), bytes).unwrap();
    let ran = orrery(
        at,
        &[
            "codearena",
            "syncode",
            "lang",
            "--in",
            "p.jsonl",
            "--out",
            "l.jsonl",
        ],
    )
    .worked();
    warned(
        &ran.err,
        &["not UTF-8", "no JSON object", "`NaN`", "cut off"],
    );
    fs::write(
        at.join("run.yaml"),
        "pages: pages\nout: o\nasker: {url: x}\nanswerer: {url: x}\nfoo: 1\n",
    )
    .unwrap();
    let run = ["codearena", "syncode", "run", "--config", "run.yaml"];
    let line = orrery(at, &run).refused(2);
    assert!(line.contains("unknown field `foo`"), "{line}");
    let seeds = "pages: pages\nout: o\nasker: {url: 'http://x'}\nanswerer: {url: 'http://x'}\nrecall: {positives: p, negatives: n";
    fs::write(at.join("run.yaml"), format!("{seeds}, good: g}}\n")).unwrap();
    assert!(orrery(at, &run).refused(2).contains("go together"));
    fs::write(at.join("run.yaml"), format!("{seeds}, threshold: .nan}}\n")).unwrap();
    assert!(orrery(at, &run).refused(2).contains("from 0 to 1"));
}

/// Results are kept in files of JSON lines only: nothing else is written to, and nothing is lost.
#[cfg(unix)]
#[test]
fn results_go_to_files_of_json_lines() {
    let folder = folder();
    let at = folder.path();
    results(at, 2);
    let notes = "notes\nwithout a line end";
    fs::write(at.join("notes.md"), notes).unwrap();
    fs::create_dir(at.join("folder")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(at.join("pipe"))
        .status();
    assert!(made.unwrap().success());
    for (out, why) in [
        ("/dev/null", "no results can be kept"),
        ("pipe", "no results can be kept"),
        ("folder", "it is a folder"),
        ("notes.md", "is not a run log"),
    ] {
        let mut judge = judging("rubric", &[]);
        judge[7] = out;
        let line = orrery(at, &judge).refused(2);
        assert!(line.contains(why), "{out}: {line}");
        let classify = [
            "codearena",
            "classify",
            "--data",
            "results.jsonl",
            "--out",
            out,
        ];
        let line = orrery(at, &classify).refused(2);
        assert!(line.contains(why), "{out}: {line}");
    }
    // The log beside the output is not written over either.
    fs::write(at.join("judged.jsonl.games"), notes).unwrap();
    let line = orrery(at, &judging("rubric", &[])).refused(2);
    assert!(
        line.contains("`judged.jsonl.games` is not a run log"),
        "{line}"
    );
    for kept in ["notes.md", "judged.jsonl.games"] {
        assert_eq!(fs::read_to_string(at.join(kept)).unwrap(), notes);
    }
    assert!(!at.join("judged.jsonl").exists());
}

/// A name that is no UTF-8 is a name, in JSON too.
#[cfg(unix)]
#[test]
fn a_name_in_another_encoding() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let at = folder.path();
    results(at, 2);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.jsonl");
    let mut args = judging("rubric", &[]);
    args.retain(|arg| !["--out", "judged.jsonl"].contains(arg));
    let mut judge = command(at, &args);
    let ran = Ran::from(judge.arg("--out").arg(name).output().unwrap()).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(said["out"].as_str().unwrap().starts_with("caf"), "{said}");
    assert!(at.join(name).exists());
    let args = [
        "codearena",
        "report",
        "--json",
        "--out",
        "page.html",
        "--judged",
    ];
    Ran::from(command(at, &args).arg(name).output().unwrap()).worked();
}
