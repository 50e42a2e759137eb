//! Judges behind servers of many kinds: each either answers in the end, or the run ends at once with the cause and its fix.

use super::common::{folder, orrery};
use super::{judging, results};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A request: its path, its head in small letters, its body.
struct Asked {
    path: String,
    head: String,
    body: Value,
}

/// What goes back: status, further headers, body.
type Answer = (u16, &'static str, Vec<u8>);
type Behaviour = fn(&Asked, usize) -> Answer;

/// A server with one behaviour, which hears the number of the request; gives its address and the count of requests.
fn server(behave: Behaviour) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let own = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let own = own.clone();
            std::thread::spawn(move || serve(stream, behave, &own));
        }
    });
    (url, count)
}

fn serve(mut stream: TcpStream, behave: Behaviour, count: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let head = head.to_lowercase();
    let length = head
        .split("content-length:")
        .nth(1)
        .and_then(|rest| rest.lines().next()?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let number = count.fetch_add(1, Ordering::SeqCst);
    let (status, more, body) = behave(&Asked { path, head, body }, number);
    let head = format!(
        "HTTP/1.1 {status} X\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body));
}

fn said(text: &str) -> Answer {
    let body = json!({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]});
    (200, "", body.to_string().into_bytes())
}

fn refusal(status: u16, message: &str) -> Answer {
    let body = json!({"error": {"message": message}});
    (status, "", body.to_string().into_bytes())
}

/// See its use.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 206, 200, 207, 76, 78, 45, 86, 178, 138, 174, 86,
    202, 77, 45, 46, 78, 76, 79, 85, 178, 170, 86, 74, 206, 207, 43, 73, 205, 43, 81, 178, 82, 138,
    142, 118, 180, 115, 138, 141, 85, 170, 173, 141, 173, 5, 0, 221, 227, 128, 211, 47, 0, 0, 0,
];
const LABEL: &str = "My verdict: [[A>B]]";

/// Judges two items and gives back the labels.
fn labels(url: &str, more: &[&str]) -> Vec<Value> {
    let folder = folder();
    let at = folder.path();
    results(at, 2);
    let told: Value = serde_json::from_str(&orrery(at, &judging(url, more)).worked().out).unwrap();
    assert_eq!(told["labelled_games"], 4, "{told}");
    let text = fs::read_to_string(at.join("judged.jsonl")).unwrap();
    let items = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    items
        .flat_map(|item| [0, 1].map(|game| item["games"][game]["score"].clone()))
        .collect()
}

#[test]
fn what_cannot_be_answered_ends_the_run_at_once() {
    let cases: &[(Behaviour, &[&str])] = &[
        (
            |_, _| refusal(401, "Incorrect API key provided"),
            &["401", "Incorrect API key", "check the key"],
        ),
        (
            |_, _| refusal(403, "not for you"),
            &["403", "check the key"],
        ),
        (
            |_, _| refusal(404, "The model `gpt-4o` does not exist"),
            &["404", "does not exist", "model's name"],
        ),
        (
            |_, _| (404, "", b"{\"detail\":\"Not Found\"}".to_vec()),
            &["404", "Not Found", "`/v1`"],
        ),
        (
            |_, _| {
                (
                    308,
                    "location: https://elsewhere.example/v1\r\n",
                    Vec::new(),
                )
            },
            &["308", "elsewhere.example", "give the address"],
        ),
        (
            |_, _| (308, "location: /again\r\n", Vec::new()),
            &["sends on more than"],
        ),
        (
            |_, _| {
                (
                    200,
                    "content-type: text/html\r\n",
                    b"<html>login</html>".to_vec(),
                )
            },
            &["web page"],
        ),
        (|_, _| (200, "", Vec::new()), &["empty"]),
        (
            |_, _| {
                (
                    200,
                    "",
                    b"{\"error\":{\"message\":\"bad key\",\"code\":\"invalid_api_key\"}}".to_vec(),
                )
            },
            &["401", "bad key"],
        ),
        (
            |_, _| refusal(429, "You exceeded your current quota"),
            &["429", "quota", "credit"],
        ),
    ];
    for (behave, words) in cases {
        let folder = folder();
        let at = folder.path();
        results(at, 12);
        let (url, count) = server(*behave);
        let line = orrery(at, &judging(&url, &["--workers", "2"])).refused(1);
        for word in *words {
            assert!(line.contains(word), "{word}: {line}");
        }
        assert!(line.contains("24 of 24 games are missing"), "{line}");
        assert!(count.load(Ordering::SeqCst) <= 24, "{line}");
        assert_eq!(
            fs::read_to_string(at.join("judged.jsonl.games")).unwrap(),
            "",
            "{line}"
        );
        assert!(!at.join("judged.jsonl").exists());
    }
}

#[test]
fn answers_without_a_text_are_no_results() {
    let cases: &[(Behaviour, &str)] = &[
        (
            |_, _| {
                (200, "", br#"{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}"#.to_vec())
            },
            "content_filter",
        ),
        (
            |_, _| {
                (200, "", br#"{"choices":[{"message":{"content":null,"reasoning_content":"[[A>B]]"},"finish_reason":"length"}]}"#.to_vec())
            },
            "reasoning",
        ),
        (|_, _| said(""), "empty"),
        (|_, _| said("<think>[[A>B]]"), "empty"),
        (
            |_, _| refusal(400, "This model's maximum context length is 8192 tokens"),
            "context length",
        ),
        (
            |_, _| {
                (
                    200,
                    "",
                    br#"{"error":{"message":"overloaded","code":502}}"#.to_vec(),
                )
            },
            "overloaded",
        ),
    ];
    for (behave, word) in cases {
        let folder = folder();
        let at = folder.path();
        results(at, 12);
        let (url, count) = server(*behave);
        let line = orrery(at, &judging(&url, &["--workers", "1", "--tries", "1"])).refused(1);
        assert!(line.contains(word), "{word}: {line}");
        assert!(
            count.load(Ordering::SeqCst) <= 8,
            "it goes on though nobody answers"
        );
        assert_eq!(
            fs::read_to_string(at.join("judged.jsonl.games")).unwrap(),
            ""
        );
    }
    // One item that the judge cannot take does not stop the others, and does not become a tie.
    let folder = folder();
    let at = folder.path();
    results(at, 6);
    let (url, _) = server(
        |asked, _| match asked.body.to_string().contains("Question 3?") {
            true => refusal(400, "This model's maximum context length is 8192 tokens"),
            false => said(LABEL),
        },
    );
    let line = orrery(at, &judging(&url, &[])).refused(1);
    assert!(line.contains("2 of 12 games are missing"), "{line}");
    assert!(!at.join("judged.jsonl").exists());
    orrery(at, &judging(&url, &["--partial"])).refused(1);
    assert_eq!(
        fs::read_to_string(at.join("judged.jsonl"))
            .unwrap()
            .lines()
            .count(),
        5
    );
}

#[test]
fn judges_of_today_are_understood() {
    let cases: &[Behaviour] = &[
        |asked, _| match asked.body.get("max_tokens") {
            Some(_) => refusal(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            ),
            None if asked.body["max_completion_tokens"] == 16_384 => said(LABEL),
            None => refusal(400, "no limit"),
        },
        |asked, _| match asked.body["max_tokens"].as_u64() {
            Some(..=4096) => said(LABEL),
            _ => refusal(
                400,
                "max_tokens is too large: 16384. This model supports at most 4096 completion tokens",
            ),
        },
        |asked, _| match asked.body.get("temperature") {
            Some(_) => refusal(
                400,
                "Unsupported value: 'temperature' does not support 0.2 with this model.",
            ),
            None => said(LABEL),
        },
        |asked, _| match asked.body["messages"][0]["role"] == "system" {
            true => refusal(500, "System role not supported"),
            false => said(LABEL),
        },
        |asked, _| {
            match asked.body["stream"] == true {
            true => (200, "content-type: text/event-stream\r\n", b"data: {\"choices\":[{\"delta\":{\"content\":\"[[A\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\">B]]\"}}]}\n\ndata: [DONE]\n\n".to_vec()),
            false => refusal(400, "This model only support stream mode, please enable the stream parameter"),
        }
        },
        |_, _| {
            (
                200,
                "content-type: text/event-stream\r\n",
                b"data: {\"choices\":[{\"delta\":{\"content\":\"[[A>B]]\"}}]}\n\ndata: [DONE]\n\n"
                    .to_vec(),
            )
        },
        |_, _| {
            (200, "", br#"{"choices":[{"message":{"content":[{"type":"text","text":"[[A>B]]"}],"reasoning":"[[B>A]]"}}]}"#.to_vec())
        },
        |_, _| said("<think>\n[[B>A]]? No.\n</think>\n[[A>B]]"),
        |_, _| {
            (
                200,
                "",
                br#"{"choices":[{"message":{"content":"bad \ud83d char [[A>B]]"}}]}"#.to_vec(),
            )
        },
        // `{"choices":[{"message":{"content":"[[A>B]]"}}]}`, compressed without being asked.
        |_, _| (200, "content-encoding: gzip\r\n", GZIP.to_vec()),
        |asked, _| match asked.path.starts_with("/new") {
            true => said(LABEL),
            false => (308, "location: /new/v1/chat/completions\r\n", Vec::new()),
        },
        |_, number| match number % 3 {
            0 => said(LABEL),
            1 => (429, "retry-after: 0.05\r\n", b"{}".to_vec()),
            _ => (
                200,
                "",
                br#"{"error":{"message":"upstream overloaded","code":502}}"#.to_vec(),
            ),
        },
    ];
    for (at, behave) in cases.iter().enumerate() {
        let (url, _) = server(*behave);
        let got = labels(&format!("{url}/v1"), &["--workers", "1"]);
        assert!(got.iter().all(|label| label == "A>B"), "case {at}: {got:?}");
    }
    // The official program reads labels in thoughts too: two different ones are none.
    let (url, _) = server(|_, _| said("<think>[[A>B]]</think>[[A>B]]"));
    assert_eq!(labels(&url, &["--keep-thinking"]), ["A>B"; 4]);
    let (url, _) = server(|asked, _| {
        let azure = asked
            .path
            .contains("/deployments/d/chat/completions?api-version=1")
            && asked.head.contains("api-key: k");
        match azure && !asked.head.contains("authorization") {
            true => said(LABEL),
            false => refusal(401, "Access denied due to missing subscription key"),
        }
    });
    let folder = folder();
    results(folder.path(), 1);
    let url = format!("{url}/openai/deployments/d?api-version=1");
    let args = judging(&url, &["--key-env", "AZURE_KEY"]);
    let mut command = super::common::command(folder.path(), &args);
    let ran = super::common::Ran::from(command.env("AZURE_KEY", "k").output().unwrap()).worked();
    assert!(ran.out.contains("\"labelled_games\":2"), "{}", ran.out);
}

#[test]
fn a_label_that_is_none_is_refused() {
    let folder = folder();
    results(folder.path(), 1);
    let line = orrery(folder.path(), &judging("always:X", &[])).refused(2);
    assert!(line.contains("A>>B"), "{line}");
}
