//! A server with the OpenAI-compatible interface and moods.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// How the server takes the first request with a prompt; it is fine from the second on, unless its mood lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Fine,
    /// An answer after a while.
    Late,
    /// Each answer after a while.
    Slow,
    /// 429.
    Busy,
    /// 500.
    Broken,
    /// 200, and JSON that breaks off.
    Malformed,
    /// 200, and a web page.
    Page,
    /// No answer at all.
    Silent,
    /// An answer without a label.
    NoLabel,
    /// 401, always.
    Refusing,
}

type Speaker = fn(&str) -> String;

struct Shared {
    moods: Vec<Mood>,
    speak: Speaker,
    seen: Mutex<HashMap<String, usize>>,
    asked: AtomicUsize,
    answered: AtomicUsize,
}

pub struct ChatServer {
    port: u16,
    shared: Arc<Shared>,
}

impl ChatServer {
    /// Prompts meet the moods in turn.
    pub fn start(moods: Vec<Mood>, speak: Speaker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            moods,
            speak,
            seen: Mutex::default(),
            asked: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
        });
        let own = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = own.clone();
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { port, shared }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Requests that got a good answer.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let Some(body) = read(&stream) else { return };
        self.asked.fetch_add(1, Ordering::SeqCst);
        let prompt = match body["messages"].as_array() {
            // The first user message names the game; what comes later belongs to the same one.
            Some(messages) => {
                let mut users = messages.iter().filter(|message| message["role"] == "user");
                let content = &users.next().unwrap()["content"];
                // Beside pictures the text is the last part.
                let parts = content.as_array().and_then(|parts| parts.last());
                let text = parts.map_or(content, |part| &part["text"]);
                text.as_str().unwrap().to_owned()
            }
            None => body["input"].to_string(),
        };
        let (number, times) = {
            let mut seen = self.seen.lock().unwrap();
            let next = seen.len();
            let entry = seen.entry(prompt.clone()).or_insert(next * 1000);
            *entry += 1;
            (*entry / 1000, *entry % 1000)
        };
        let mood = self.moods[number % self.moods.len()];
        let text = (self.speak)(&prompt);
        let vectors = body["input"].as_array().map(|texts| {
            let vectors = texts.iter().enumerate();
            let vectors = vectors.map(
                |(at, text)| json!({"index": at, "embedding": vector(text.as_str().unwrap())}),
            );
            json!({"data": vectors.collect::<Vec<_>>()}).to_string()
        });
        let fine = json!({
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 5},
        });
        let fine = vectors.unwrap_or_else(|| fine.to_string());
        let (status, body) = match (mood, times) {
            (Mood::Refusing, _) => (
                "401 Unauthorized",
                r#"{"error": {"message": "no key"}}"#.to_owned(),
            ),
            (Mood::Slow, _) => {
                std::thread::sleep(Duration::from_millis(60));
                ("200 OK", fine)
            }
            (Mood::Late, 1) => {
                std::thread::sleep(Duration::from_millis(400));
                ("200 OK", fine)
            }
            (Mood::Busy, 1) => ("429 Too Many Requests\r\nRetry-After: 0", "{}".to_owned()),
            (Mood::Broken, 1) => ("500 Internal Server Error", "<html>".to_owned()),
            (Mood::Malformed, 1) => ("200 OK", "{\"choices\": [".to_owned()),
            (Mood::Page, 1) => ("200 OK", "<html>".to_owned()),
            (Mood::Silent, 1) => {
                std::thread::sleep(Duration::from_secs(8));
                return;
            }
            (Mood::NoLabel, 1) => (
                "200 OK",
                r#"{"choices": [{"message": {"content": "hm"}}]}"#.to_owned(),
            ),
            _ => ("200 OK", fine),
        };
        if status.starts_with("200") {
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
    }
}

/// A small encoder: how often some letters come up in a text, far from zero.
fn vector(text: &str) -> Vec<f64> {
    let share = |c: char| text.matches(c).count() as f64 / text.len() as f64;
    "(){}:;=_ta".chars().map(|c| 2.0 + share(c)).collect()
}

/// The JSON body of a request.
fn read(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
