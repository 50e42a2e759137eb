//! `orrery counterspeech` as a user runs it, without a model.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

mod common;
use common::{folder, interrupt, orrery, start};

fn run(folder: &Path, args: &[&str]) -> common::Ran {
    orrery(folder, &[&["counterspeech"], args].concat())
}

/// Replies of two configurations to the first six built-in records.
fn replies(folder: &Path) {
    run(folder, &["templates", "--out", "."]).worked();
    let records = std::fs::read_to_string(folder.join("records.jsonl")).unwrap();
    let mut lines = String::new();
    for (at, line) in records.lines().take(6).enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        for config in ["Ba", "Ba.Pr"] {
            let text = format!("I see your point {at}, but let us stay friendly. {config}!");
            let row = json!({
                "record": record["id"], "config": config, "model": "Ba", "context": "", "prompts": "orrery 1",
                "prompt_sha": "0", "record_sha": "0", "model_sha": "0", "adapter_sha": null, "seed": 1, "text": text,
                "refused": at == 5, "tokens": 9, "seconds": 0.1, "machine_text": true,
            });
            lines += &format!("{row}\n");
        }
    }
    std::fs::write(folder.join("replies.jsonl"), lines).unwrap();
}

fn design(folder: &Path) -> common::Ran {
    let args = [
        "study",
        "design",
        "--replies",
        "replies.jsonl",
        "--configs",
        "Ba,Ba.Pr",
        "--messages",
        "2",
        "--ratings",
        "2",
        "--out",
        "pilot",
        "--json",
    ];
    run(folder, &args)
}

#[test]
fn quiet_verbs_say_nothing() {
    let folder = folder();
    replies(folder.path());
    for line in [
        "templates --out mine -q",
        "study design --replies replies.jsonl --configs Ba,Ba.Pr --messages 2 --ratings 2 --out p -q",
        "indicators --replies replies.jsonl --model none --guard none -q",
    ] {
        let ran = run(folder.path(), &line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let note = "note: with `--model none`";
        match line.starts_with("indicators") {
            true => assert!(ran.err.starts_with(note) && ran.err.lines().count() == 1),
            false => assert!(ran.out.is_empty() && ran.err.is_empty(), "{}", ran.out),
        }
    }
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let folder = folder();
    let place = common::language_model::model(folder.path(), 512);
    let settings = json!({"eos_token": "<|end|>", "chat_template": "{{ messages[0].content }}"});
    std::fs::write(place.join("tokenizer_config.json"), settings.to_string()).unwrap();
    let line = "reply --message hello --model model --use Xy";
    let ran = run(folder.path(), &line.split(' ').collect::<Vec<_>>());
    let line = ran.refused(2);
    assert!(line.contains("`--use`") && !line.contains("grid"), "{line}");
}

#[test]
fn indicators_and_ranks_of_replies() {
    let folder = folder();
    replies(folder.path());
    let args = [
        "indicators",
        "--replies",
        "replies.jsonl",
        "--model",
        "none",
        "--guard",
        "none",
        "--plot",
        "factors.svg",
        "--json",
    ];
    let found: Value = serde_json::from_str(&run(folder.path(), &args).worked().out).unwrap();
    let first = &found["configurations"][0];
    assert_eq!(
        [&first["replies"], &first["refused"]],
        [&json!(5), &json!(1)]
    );
    for panel in [
        "relevance",
        "diversity",
        "readability",
        "adaptation",
        "personalization",
    ] {
        assert!(
            first["means"][panel]["interval"]["low"].is_number(),
            "{panel}: {first}"
        );
    }
    assert!(first["means"].get("toxicity").is_none());
    let plot = std::fs::read_to_string(folder.path().join("factors.svg")).unwrap();
    assert!(plot.starts_with("<svg") && plot.contains(">Pr</text>"));
    let args = [
        "rank",
        "--indicators",
        "indicators.summary.csv",
        "--top",
        "2",
        "--json",
    ];
    let ranked: Value = serde_json::from_str(&run(folder.path(), &args).worked().out).unwrap();
    assert_eq!(ranked["study"], json!(["Ba", "Ba.Pr"]));
}

/// A request to the form.
fn ask(port: u16, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = match body {
        None => format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        Some(body) => {
            let body = body.to_string();
            format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
    };
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn a_study_from_design_to_report() {
    let folder = folder();
    replies(folder.path());
    let planned: Value = serde_json::from_str(&design(folder.path()).worked().out).unwrap();
    assert_eq!(
        [&planned["participants"], &planned["items"]],
        [&json!(10), &json!(4)]
    );
    // Rules for so small a study.
    let prereg = folder.path().join("pilot/prereg.toml");
    let text = std::fs::read_to_string(&prereg).unwrap();
    std::fs::write(&prereg, text.replace("min_items = 7", "min_items = 2")).unwrap();
    let serve = [
        "counterspeech",
        "study",
        "serve",
        "--study",
        "pilot",
        "--port",
        "0",
    ];
    let refused = orrery(folder.path(), &serve).refused(2);
    assert!(
        refused.contains("not the pre-registration of the design"),
        "{refused}"
    );
    design(folder.path()).worked();

    let mut child = start(folder.path(), &serve);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let port: u16 = line
        .trim()
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let about = ask(port, "/api/study", None).1;
    let client = |n: usize| format!("{n:032}");
    let refused = ask(
        port,
        "/api/join",
        Some(&json!({"client": client(99), "consent": false})),
    );
    assert_eq!(refused.0, 404);
    for person in 0..4 {
        let join = json!({"client": client(person), "consent": true, "covariates": {"social_media": "very often"}});
        let joined = ask(port, "/api/join", Some(&join)).1;
        assert_eq!(
            ask(port, "/api/join", Some(&join)).1["participant"],
            joined["participant"]
        );
        let items = joined["items"].as_array().unwrap();
        assert_eq!(
            items[0]["thread"].is_null(),
            person % 2 == 1,
            "conditions take turns"
        );
        assert!(
            !joined.to_string().contains("Ba.Pr\""),
            "configurations are hidden"
        );
        let answers = items.iter().enumerate().map(|(place, item)| {
            let values: serde_json::Map<String, Value> = about["aspects"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| {
                    (
                        it["name"].as_str().unwrap().to_owned(),
                        json!(1 + (place + person) % 5),
                    )
                })
                .collect();
            json!({"place": place, "values": values, "check": item["check"], "seconds": 8.5})
        });
        let sent = json!({"client": client(person), "answers": answers.collect::<Vec<_>>()});
        for _ in 0..2 {
            assert_eq!(
                ask(port, "/api/answers", Some(&sent)).1["stored"],
                json!([0, 1, 2, 3])
            );
        }
        let mut wrong = sent.clone();
        wrong["answers"][0]["place"] = json!(77);
        assert_eq!(ask(port, "/api/answers", Some(&wrong)).0, 400);
    }
    let unknown = json!({"client": client(50), "answers": []});
    assert_eq!(ask(port, "/api/answers", Some(&unknown)).0, 404);
    let early = ["study", "analyse", "--study", "pilot"];
    let line = run(folder.path(), &early).refused(2);
    assert!(line.contains("study import --study pilot"), "{line}");
    let withdraw = [
        "study",
        "withdraw",
        "--study",
        "pilot",
        "--participant",
        "p002",
    ];
    let line = run(folder.path(), &withdraw).refused(2);
    assert!(line.contains("stop `study serve`"), "{line}");
    assert_eq!(interrupt(child).code, Some(0));

    let tables: Value = serde_json::from_str(
        &run(
            folder.path(),
            &["study", "import", "--study", "pilot", "--json"],
        )
        .worked()
        .out,
    )
    .unwrap();
    assert_eq!(
        tables,
        json!({"ratings": 4 * 4 * 6, "participants": 4}),
        "nothing lost, nothing twice"
    );
    let report = run(
        folder.path(),
        &["study", "analyse", "--study", "pilot", "--json"],
    )
    .worked();
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(
        [&report["participants"], &report["ratings"]],
        [&json!(4), &json!(96)]
    );
    assert_eq!(report["comparisons"].as_array().unwrap().len(), 6 * 2);
    run(folder.path(), &withdraw).worked();
    let left = std::fs::read_to_string(folder.path().join("pilot/answers.jsonl")).unwrap();
    assert!(left.lines().count() == 12 && !left.contains("p002"));
    assert!(
        design(folder.path())
            .refused(2)
            .contains("people have answered")
    );
}

#[test]
fn people_are_hidden_and_deleted() {
    let folder = folder();
    let record = |id: &str, author: &str| json!({"id": id, "message": {"author": author, "text": "go away"}, "user": {"history": ["a", "b"]}});
    let text = format!(
        "{}\n{}\n{{\"id\": \"half",
        record("1", "Maria"),
        record("2", "Otto")
    );
    std::fs::write(folder.path().join("raw.jsonl"), text).unwrap();
    let ran = run(
        folder.path(),
        &[
            "records",
            "import",
            "--from",
            "raw.jsonl",
            "--out",
            "r.jsonl",
            "--json",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("line 3"), "{}", ran.err);
    let records = std::fs::read_to_string(folder.path().join("r.jsonl")).unwrap();
    assert!(records.lines().count() == 2 && !records.contains("Maria"));
    let args = [
        "records",
        "delete",
        "--author",
        "Maria",
        "--key",
        "authors.key",
        "--data",
        "r.jsonl",
        "--json",
    ];
    run(folder.path(), &args).worked();
    let records = std::fs::read_to_string(folder.path().join("r.jsonl")).unwrap();
    assert!(records.lines().count() == 1 && records.contains("\"2\""));
}

#[test]
fn bad_input_is_one_line() {
    let folder = folder();
    replies(folder.path());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("empty.jsonl", "");
    write("no-message.jsonl", "{\"id\": \"1\"}\n");
    write("binary.jsonl", "\u{0}");
    std::fs::write(folder.path().join("latin1.jsonl"), [0x7b, 0xe9, 0x7d]).unwrap();
    write(
        "bad-grid.toml",
        "models = [\"Ba\"]\ncontexts = [\"Pr.Pr..\"]\n",
    );
    write(
        "twice.toml",
        "models = [\"Ba\", \"Ba\"]\ncontexts = [\"\"]\n",
    );
    write("bad.csv", "config,relevance\nBa,high\n");
    let cases: [(&[&str], &str); 13] = [
        (&["reply", "--message", " "], "the message is empty"),
        (
            &["reply", "--message", "x", "--model", "nowhere"],
            "there is no model `nowhere`",
        ),
        (
            &["generate", "--data", "none.jsonl"],
            "cannot read `none.jsonl`",
        ),
        (&["generate", "--data", "empty.jsonl"], "holds no record"),
        (
            &["generate", "--data", "no-message.jsonl"],
            "missing field `message`",
        ),
        (&["generate", "--data", "binary.jsonl"], "holds no record"),
        (&["generate", "--data", "latin1.jsonl"], "not UTF-8"),
        (&["generate", "--grid", "bad-grid.toml"], "`Pr.Pr..`"),
        (&["generate", "--grid", "twice.toml"], "listed twice"),
        (
            &["rank", "--indicators", "bad.csv"],
            "`high` where a number belongs",
        ),
        (
            &[
                "study",
                "design",
                "--replies",
                "replies.jsonl",
                "--configs",
                "Ba,Xy",
                "--out",
                "s",
            ],
            "no reply as `Xy`",
        ),
        (
            &["study", "serve", "--study", "nowhere"],
            "cannot read `nowhere/design.json`",
        ),
        (
            &["study", "power", "--participants", "1"],
            "two participants",
        ),
    ];
    for (args, wanted) in cases {
        let line = run(folder.path(), args).refused(2);
        assert!(line.contains(wanted), "{args:?}: {line}");
    }
    assert!(!folder.path().join("s").exists());
    // A person twice.
    let design = design(folder.path());
    design.worked();
    let head = "participant,condition,record,config,aspect,value,order,seconds,attention_ok\n";
    let rating = "p1,context,tidewatch-gullwing-1,Ba,adequacy,3,1,9,\n";
    for (text, wanted) in [
        (format!("{head}{rating}{rating}"), "twice"),
        (
            format!("{head}{}", rating.replace(",3,", ",9,")),
            "off the scale",
        ),
        (
            format!("{head}{}", rating.replace(",3,", ",many,")),
            "not a rating",
        ),
        (head.to_owned(), "holds no rating"),
    ] {
        write("other.csv", &text);
        let line = run(
            folder.path(),
            &["study", "import", "--study", "pilot", "--csv", "other.csv"],
        )
        .refused(2);
        assert!(line.contains(wanted), "{line}");
    }
}
