//! The steps of SynCode-Instruct.

use super::chat_server::{ChatServer, Mood};
use super::common::{folder, interrupt, names, orrery, start};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

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

/// A page about code or about cats, in the repository `host`.
fn page(host: &str, at: usize, code: bool) -> String {
    let text = match code {
        true => format!("def f{at}(x): return x + {at}; import os; class A{at}: pass"),
        false => format!("the cat {at} sat quietly on a mat and slept all day long"),
    };
    json!({"url": format!("https://{host}/{at}"), "text": text}).to_string()
}

fn write(at: &Path, name: &str, lines: impl Iterator<Item = String>) {
    fs::write(at.join(name), lines.collect::<Vec<_>>().join("\n")).unwrap();
}

/// Addresses in a file of pages.
fn urls(at: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(at.join(name)).unwrap();
    let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
    records
        .map(|record: Value| record["url"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn recall_looks_at_pages_repositories_and_quality_and_goes_on_after_ctrl_c() {
    let folder = folder();
    let at = folder.path();
    write(
        at,
        "code.jsonl",
        (100..108).map(|i| page("seed.org", i, true)),
    );
    write(
        at,
        "other.jsonl",
        (100..108).map(|i| page("seed.org", i, false)),
    );
    let pages = (0..8).map(|i| page("code.org", i, i != 5));
    let pages = pages.chain((0..8).map(|i| page("cats.org", i, i == 5)));
    write(at, "pages.jsonl", pages);
    let recall = |out: &str, more: &[&str]| {
        let mut args = vec![
            "codearena",
            "syncode",
            "recall",
            "--in",
            "pages.jsonl",
            "--positives",
            "code.jsonl",
            "--negatives",
            "other.jsonl",
            "--json",
            "--out",
        ];
        args.push(out);
        args.extend(more);
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |args: &[String]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        orrery(at, &args)
    };
    let mut alone: Vec<String> = (0..8)
        .filter(|i| *i != 5)
        .map(|i| format!("https://code.org/{i}"))
        .collect();
    alone.push("https://cats.org/5".into());
    run(&recall("words.jsonl", &[])).worked();
    assert_eq!(urls(at, "words.jsonl"), alone);
    // The page about cats in the repository of code comes along; the one about code among cats stays.
    let mut together = alone.clone();
    together.insert(5, "https://code.org/5".into());
    run(&recall("repo.jsonl", &["--repository-share", "0.8"])).worked();
    assert_eq!(urls(at, "repo.jsonl"), together);

    // The same by the vectors of an encoder, whose server is slow and now and then busy or broken. Quality: cats are good.
    let server = ChatServer::start(
        vec![Mood::Slow, Mood::Busy, Mood::Slow, Mood::Broken],
        |_| String::new(),
    );
    let url = server.url();
    let encoder = [
        "--encoder",
        &url,
        "--encoder-model",
        "counter",
        "--workers",
        "2",
    ];
    let args = recall("vectors.jsonl", &encoder);
    let texts: Vec<&str> = args.iter().map(String::as_str).collect();
    let child = start(at, &texts);
    let journal = at.join("vectors.jsonl.vectors");
    for _ in 0..400 {
        if fs::read_to_string(&journal).is_ok_and(|text| text.lines().count() > 3) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let line = interrupt(child).refused(130);
    assert!(line.contains("the same command goes on"), "{line}");
    assert!(!at.join("vectors.jsonl").exists());
    let ran = run(&args).worked();
    assert_eq!(urls(at, "vectors.jsonl"), alone);
    assert_eq!(server.answered(), 32, "each text is encoded once");
    assert!(!journal.exists());
    assert_eq!(run(&args).worked().out, ran.out);
    assert_eq!(server.answered(), 32, "a second run changes nothing");
    let quality = [
        &encoder[..],
        &[
            "--good",
            "other.jsonl",
            "--poor",
            "code.jsonl",
            "--repository-share",
            "0.8",
        ],
    ]
    .concat();
    let ran = run(&recall("good.jsonl", &quality)).worked();
    let stats: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(urls(at, "good.jsonl"), ["https://code.org/5"], "{stats}");
    assert_eq!(stats["dropped"]["low quality"], 8, "{stats}");
    let half = run(&recall("x.jsonl", &["--good", "other.jsonl"])).refused(2);
    assert!(half.contains("--poor"), "{half}");
}

#[test]
fn an_encoder_tells_languages_by_its_vectors() {
    let folder = folder();
    let at = folder.path();
    fs::create_dir(at.join("sources")).unwrap();
    for i in 0..6 {
        let python = format!("def f{i}(x):\n    return x * {i}\n");
        let c = format!("int f{i}(int x) {{ return x * {i}; }}\n");
        fs::write(at.join(format!("sources/{i}.py")), python).unwrap();
        fs::write(at.join(format!("sources/{i}.c")), c).unwrap();
    }
    let snippets = [
        ("python", "def g(y):\n    return y - 1\n"),
        ("c", "int g(int y) { return y - 1; }\n"),
    ];
    write(
        at,
        "pages.jsonl",
        snippets.iter().map(|(url, code)| {
            json!({"url": url, "text": format!("<p>See here now:</p><pre>{code}</pre>")})
                .to_string()
        }),
    );
    let mut moods = vec![Mood::Busy, Mood::Page];
    moods.resize(40, Mood::Fine);
    let server = ChatServer::start(moods, |_| String::new());
    let url = server.url();
    let encoder = ["--encoder", url.as_str(), "--encoder-model", "counter"];
    let lang = |more: &[&str]| {
        let args = [&["codearena", "syncode", "lang"], more].concat();
        orrery(at, &args)
    };
    // What is no answer at all is told, and what was answered before stays.
    let train = [
        &["--train", "sources", "--out", "head.safetensors"],
        &encoder[..],
    ]
    .concat();
    let line = lang(&train).refused(1);
    assert!(
        line.contains("is not a reply") && line.contains("the same command goes on"),
        "{line}"
    );
    lang(&train).worked();
    let tell = [
        "--in",
        "pages.jsonl",
        "--lang-model",
        "head.safetensors",
        "--out",
        "lang.jsonl",
    ];
    let line = lang(&tell).refused(2);
    assert!(line.contains("--encoder-model counter"), "{line}");
    let line =
        lang(&[&tell[..], &["--encoder", &url, "--encoder-model", "other"]].concat()).refused(2);
    assert!(line.contains("--encoder-model counter"), "{line}");
    let args = [&tell[..], &encoder].concat();
    // The second page's snippet meets a malformed answer first: the same command goes on.
    if lang(&args).code != Some(0) {
        lang(&args).worked();
    }
    let text = fs::read_to_string(at.join("lang.jsonl")).unwrap();
    for line in text.lines() {
        let page: Value = serde_json::from_str(line).unwrap();
        assert_eq!(page["lang"], page["url"], "{page}");
    }
    assert_eq!(text.lines().count(), 2);
}
