//! `orrery serve` as clients use it, on a tiny random model.
#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod common;
use common::{command, folder, language_model, orrery};

/// A directory `model` with a random Llama over bytes, its tokenizer and a chat template.
fn model(folder: &Path) {
    let place = language_model::model(folder, 4096);
    let settings = json!({
        "eos_token": "<|end|>",
        "chat_template": "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:",
    });
    std::fs::write(place.join("tokenizer_config.json"), settings.to_string()).unwrap();
}

/// A running server; it ends with its owner.
struct Server {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// It worked.
    fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// It is an error object with `status`, whose message is given back.
    fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let error = &self.json()["error"];
        assert!(
            error["type"].is_string() && error.get("code").is_some(),
            "{error}"
        );
        assert!(self.headers.contains_key("x-request-id"));
        error["message"].as_str().unwrap().to_owned()
    }

    /// Objects of a stream, which ends as streams do.
    fn events(&self) -> Vec<Value> {
        let text = self.text();
        let lines: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect();
        assert_eq!(lines.last(), Some(&"[DONE]"), "{text}");
        lines[..lines.len() - 1]
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let folder = folder();
        model(folder.path());
        Self::start_in(folder, args)
    }

    fn start_in(folder: tempfile::TempDir, args: &[&str]) -> Self {
        let mut all = vec![
            "serve", "--port", "0", "--json", "--quiet", "--model", "model",
        ];
        all.extend(args);
        let mut child = command(folder.path(), &all)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("`{line}`"));
        let address = said["url"]
            .as_str()
            .unwrap()
            .trim_start_matches("http://")
            .to_owned();
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        stream
    }

    /// Sends bytes, gives what comes until the end.
    fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(bytes);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        parse(&all)
    }

    fn head(&self, method: &str, path: &str, more: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{more}",
            self.address
        )
    }

    fn get(&self, path: &str) -> Answer {
        self.raw(format!("{}\r\n", self.head("GET", path, "")).as_bytes())
    }

    fn post_bytes(&self, path: &str, body: &[u8], more: &str) -> Answer {
        let more = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n{more}",
            body.len()
        );
        let mut bytes = format!("{}\r\n", self.head("POST", path, &more)).into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string().as_bytes(), "")
    }

    fn chat(&self, body: &Value) -> Answer {
        self.post("/v1/chat/completions", body)
    }

    /// A stream that somebody reads from slowly.
    fn begin(&self, path: &str, body: &Value) -> TcpStream {
        let text = body.to_string();
        let more = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            text.len()
        );
        let mut stream = self.connect();
        stream
            .write_all(format!("{}\r\n{text}", self.head("POST", path, &more)).as_bytes())
            .unwrap();
        stream
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    /// Waits until a metric has a value.
    fn until(&self, name: &str, fits: impl Fn(f64) -> bool) {
        let begun = Instant::now();
        while !fits(self.metric(name)) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{name} is {}",
                self.metric(name)
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

fn parse(all: &[u8]) -> Answer {
    let end = all
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| {
            panic!("no answer: {:?}", String::from_utf8_lossy(all));
        });
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut rest = &all[end + 4..];
    let chunked = headers
        .get("transfer-encoding")
        .is_some_and(|it| it == "chunked");
    let mut body = Vec::new();
    let length_line = |rest: &[u8]| rest.windows(2).position(|two| two == b"\r\n");
    while let Some(line) = length_line(rest).filter(|_| chunked) {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..line]), 16).unwrap();
        if size == 0 || rest.len() < line + 2 + size {
            break;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 4 + size..];
    }
    if !chunked {
        body = rest.to_vec();
    }
    Answer {
        status,
        headers,
        body,
    }
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

fn content(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

#[test]
fn every_path_of_the_document_is_there_and_the_page_is_strict() {
    let server = Server::start(&[]);
    let document = server.get("/openapi.json").ok();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let answer = match method.as_str() {
                "get" => server.get(path),
                _ => server.post(path, &json!({})),
            };
            assert!(
                ![404, 405, 500].contains(&answer.status),
                "{method} {path}: {}",
                answer.status
            );
        }
    }
    let page = server.get("/");
    assert!(page.text().contains("<title>Orrery</title>"));
    let policy = &page.headers["content-security-policy"];
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let models = server.get("/v1/models").ok();
    assert_eq!(models["data"][0]["id"], "model");
    assert_eq!(server.get("/healthz").ok()["status"], "ok");
    assert!(server.get("/metrics").text().ends_with("# EOF\n"));
    assert_eq!(
        server.get("/v1/systems").ok()["data"]
            .as_array()
            .unwrap()
            .len(),
        27
    );
    server.get("/nowhere").refused(404);
    server.get("/v1/completions").refused(405);
}

#[test]
fn the_same_request_gives_the_same_answer_whatever_else_runs() {
    let server = Server::start(&["--slots", "12"]);
    let requests: Vec<Value> = (0..10)
        .map(|at| {
            let mut request = json!({
                "messages": user(&"tell me of it ".repeat(1 + 7 * at)), "max_tokens": 24 + at, "seed": at, "logprobs": true,
                "top_logprobs": 2, "temperature": 0.3 * at as f32, "top_p": 0.9,
            });
            match at % 4 {
                1 => request["harp"] = json!({"theta": 0.5, "mask": "persistent"}),
                2 => request["guide"] = json!({"towards": ["ab", "cd"], "away": ["xy"], "k": 3, "weight": 0.5}),
                3 => request["harp"] = json!(true),
                _ => {}
            }
            request
        })
        .collect();
    let answer = |request: &Value| {
        let mut answer = server.chat(request).ok();
        let fields = answer.as_object_mut().unwrap();
        for field in ["id", "created", "usage"] {
            fields.remove(field);
        }
        answer
    };
    let alone: Vec<Value> = requests.iter().map(answer).collect();
    let different: std::collections::BTreeSet<&str> = alone.iter().map(content).collect();
    assert!(different.len() > 5, "{different:?}");
    std::thread::scope(|scope| {
        for round in 0..3 {
            for (request, alone) in requests.iter().zip(&alone) {
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(17 * round));
                    assert_eq!(&answer(request), alone, "{request}");
                });
            }
        }
    });
    assert!(server.metric("orrery_batch_texts_sum") > server.metric("orrery_batch_texts_count"));
}

#[test]
fn a_stream_is_the_whole_answer_in_pieces() {
    let server = Server::start(&[]);
    let mut request =
        json!({"messages": user("hello"), "max_tokens": 40, "seed": 3, "n": 2, "logprobs": true});
    let whole = server.chat(&request).ok();
    request["stream"] = json!(true);
    request["stream_options"] = json!({"include_usage": true});
    let answer = server.chat(&request);
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let events = answer.events();
    for index in 0..2 {
        let choices = || {
            let all = events.iter().filter_map(|event| event["choices"].get(0));
            all.filter(move |choice| choice["index"] == index)
        };
        let text: String = choices()
            .filter_map(|choice| choice["delta"]["content"].as_str())
            .collect();
        assert_eq!(
            text,
            whole["choices"][index]["message"]["content"]
                .as_str()
                .unwrap()
        );
        let logs: Vec<&Value> = choices()
            .flat_map(|choice| choice["logprobs"]["content"].as_array())
            .flatten()
            .collect();
        let there: Vec<&Value> = whole["choices"][index]["logprobs"]["content"]
            .as_array()
            .unwrap()
            .iter()
            .collect();
        assert_eq!(logs, there);
        assert_eq!(
            choices().next_back().unwrap()["finish_reason"],
            whole["choices"][index]["finish_reason"]
        );
    }
    assert_ne!(
        content(&whole),
        whole["choices"][1]["message"]["content"].as_str().unwrap()
    );
    let usage = &events.last().unwrap()["usage"];
    assert_eq!(
        usage["completion_tokens"],
        whole["usage"]["completion_tokens"]
    );
    assert_eq!(usage["prompt_tokens"], whole["usage"]["prompt_tokens"]);
}

#[test]
fn texts_are_gone_on_with_scored_and_stopped() {
    let server = Server::start(&[]);
    let complete = |body: Value| server.post("/v1/completions", &body).ok();
    let made =
        complete(json!({"prompt": "Once upon", "max_tokens": 12, "temperature": 0, "logprobs": 2}));
    let choice = &made["choices"][0];
    assert_eq!(choice["finish_reason"], "length");
    let text = choice["text"].as_str().unwrap();
    let logs = choice["logprobs"]["token_logprobs"].as_array().unwrap();
    assert_eq!(logs.len(), 12);
    // The tokens that the text is made of, scored as a prompt, have the same probabilities to the last bit.
    let ids: Vec<Value> = {
        let words = choice["logprobs"]["tokens"].as_array().unwrap();
        assert_eq!(words.len(), 12);
        let whole = format!("Once upon{text}");
        whole.bytes().map(|byte| json!(byte)).collect()
    };
    if text.is_ascii() {
        let echo = complete(json!({"prompt": ids, "max_tokens": 0, "echo": true, "logprobs": 2}));
        let scored = echo["choices"][0]["logprobs"]["token_logprobs"]
            .as_array()
            .unwrap();
        assert!(scored[0].is_null());
        assert_eq!(scored[9..], logs[..]);
        assert_eq!(echo["choices"][0]["text"], format!("Once upon{text}"));
    }
    // The same prompt is found again.
    let long = json!({"prompt": "x".repeat(300), "max_tokens": 4, "seed": 1});
    let first = complete(long.clone());
    let second = complete(long);
    assert_eq!(first["choices"], second["choices"]);
    assert_eq!(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(
        second["usage"]["prompt_tokens_details"]["cached_tokens"],
        299
    );
    // A stop string ends a text and is no part of it.
    let end: String = text.chars().skip(3).take(1).collect();
    let before: String = text
        .chars()
        .take_while(|letter| !end.contains(*letter))
        .collect();
    let stopped =
        complete(json!({"prompt": "Once upon", "max_tokens": 12, "temperature": 0, "stop": [end]}));
    assert_eq!(stopped["choices"][0]["text"], before);
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    let many = complete(json!({"prompt": ["a", "b"], "n": 2, "max_tokens": 2}));
    assert_eq!(many["choices"].as_array().unwrap().len(), 4);
    assert_eq!(many["usage"]["prompt_tokens"], 2);
}

#[test]
fn answers_fit_what_they_must_and_tools_are_called() {
    let server = Server::start(&[]);
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["colour", "count"],
        "properties": {"colour": {"enum": ["red", "blue"]}, "count": {"type": "integer", "minimum": 1, "maximum": 9}}});
    for seed in 0..4 {
        let answer = server.chat(&json!({"messages": user("describe"), "max_tokens": 200, "seed": seed,
            "response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}}));
        let answer = answer.ok();
        let made: Value = serde_json::from_str(content(&answer)).unwrap();
        assert!(["red", "blue"].contains(&made["colour"].as_str().unwrap()));
        assert!((1..=9).contains(&made["count"].as_i64().unwrap()));
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    }
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object",
        "properties": {"city": {"enum": ["Seoul", "Busan"]}}, "required": ["city"], "additionalProperties": false}}}]);
    let mut request =
        json!({"messages": user("weather?"), "tools": tools, "tool_choice": "required", "seed": 1});
    let answer = server.chat(&request).ok();
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls", "{answer}");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "weather");
    let arguments: Value =
        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!(["Seoul", "Busan"].contains(&arguments["city"].as_str().unwrap()));
    request["stream"] = json!(true);
    let events = server.chat(&request).events();
    let calls: Vec<&Value> = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"].get("tool_calls"))
        .collect();
    assert_eq!(calls[0][0]["function"], call["function"]);
    let wrong = json!({"messages": user("x"), "response_format": {"type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object", "dependentRequired": {}}}}});
    assert!(
        server
            .chat(&wrong)
            .refused(400)
            .contains("dependentRequired")
    );
}

#[test]
fn readers_that_leave_free_their_slots_and_a_full_queue_says_so() {
    let server = Server::start(&["--slots", "1", "--queue", "1"]);
    let long =
        json!({"messages": user("go on"), "max_tokens": 4000, "ignore_eos": true, "stream": true});
    let mut first = server.begin("/v1/chat/completions", &long);
    let mut some = [0; 200];
    first.read_exact(&mut some).unwrap();
    // Headers come before the slot does.
    server.until("orrery_slots_busy", |busy| busy == 1.0);
    let second = server.begin("/v1/chat/completions", &long);
    server.until("orrery_queue_waiting", |waiting| waiting == 1.0);
    let full = server.chat(&long);
    full.refused(429);
    assert!(full.headers["retry-after"].parse::<u64>().unwrap() >= 1);
    drop(first);
    drop(second);
    server.until("orrery_cancelled_total", |cancelled| cancelled == 2.0);
    server.until("orrery_slots_busy", |busy| busy == 0.0);
    server.until("orrery_queue_waiting", |waiting| waiting == 0.0);
    server
        .chat(&json!({"messages": user("hi"), "max_tokens": 3}))
        .ok();
}

#[test]
fn nonsense_is_refused_with_an_error_object() {
    let server = Server::start(&["--max-body", "1"]);
    let path = "/v1/chat/completions";
    for (body, words) in [
        (&b"{"[..], "cannot be used"),
        (b"[]", "cannot be used"),
        (b"{\"messages\": 3}", "cannot be used"),
        (b"{\"messages\": []}", "1 to"),
        (b"{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}", "cannot be used"),
        (b"{\"messages\": [{\"role\": \"king\", \"content\": \"x\"}]}", "role"),
        (b"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"top_p\": 7}", "top-p"),
        (b"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"n\": 1000}", "texts"),
        (b"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"guide\": {\"towards\": \"@/etc/passwd\"}}", "synset"),
    ] {
        let told = server.post_bytes(path, body, "").refused(400);
        assert!(told.contains(words), "{told}");
    }
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    server.post_bytes(path, &deep, "").refused(400);
    server
        .post_bytes(path, &vec![b' '; (1 << 20) + 1], "")
        .refused(413);
    let plain = format!(
        "{}\r\nx",
        server.head(
            "POST",
            path,
            "Content-Type: text/plain\r\nContent-Length: 1\r\n"
        )
    );
    server.raw(plain.as_bytes()).refused(415);
    let unknown = json!({"messages": user("x"), "model": "modle"});
    assert!(
        server
            .chat(&unknown)
            .refused(404)
            .contains("did you mean `model`")
    );
    let long = json!({"messages": user(&"x".repeat(5000))});
    assert_eq!(
        server.chat(&long).json()["error"]["code"],
        "context_length_exceeded"
    );
    // Headers without an end are not read for ever.
    let flood = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\n{}\r\n",
        server.address,
        "x: y\r\n".repeat(20_000)
    );
    assert_eq!(server.raw(flood.as_bytes()).status, 431);
    server.get("/healthz").ok();
}

#[test]
fn pages_of_others_and_strange_names_are_kept_out() {
    let server = Server::start(&["--allow-origin", "https://good.example"]);
    let ask = |host: &str, more: &str| {
        let bytes =
            format!("GET /v1/models HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
        server.raw(bytes.as_bytes())
    };
    ask("evil.example", "").refused(403);
    ask(&server.address, "Origin: https://evil.example\r\n").refused(403);
    let good = ask(&server.address, "Origin: https://good.example\r\n");
    assert_eq!(
        (
            good.status,
            good.headers["access-control-allow-origin"].as_str()
        ),
        (200, "https://good.example")
    );
    assert_eq!(
        ask(
            &server.address,
            &format!("Origin: http://{}\r\n", server.address)
        )
        .status,
        200
    );
    let before = server.head("OPTIONS", "/v1/models", "Origin: https://good.example\r\n");
    assert_eq!(server.raw(format!("{before}\r\n").as_bytes()).status, 204);
    let mine = server.raw(
        format!(
            "{}\r\n",
            server.head("GET", "/healthz", "X-Request-Id: mine-7\r\n")
        )
        .as_bytes(),
    );
    assert_eq!(mine.headers["x-request-id"], "mine-7");
}

#[test]
fn keys_open_and_limit() {
    let place = folder();
    model(place.path());
    let outside = orrery(
        place.path(),
        &[
            "serve", "--host", "0.0.0.0", "--port", "0", "--model", "model",
        ],
    );
    assert!(outside.refused(2).contains("--keys"), "{}", outside.err);
    std::fs::write(
        place.path().join("keys"),
        "ada 0123456789abcdef requests=3\n",
    )
    .unwrap();
    let server = Server::start_in(place, &["--keys", "keys"]);
    let with = |key: &str| {
        let more = format!("Authorization: Bearer {key}\r\n");
        server.raw(format!("{}\r\n", server.head("GET", "/v1/models", &more)).as_bytes())
    };
    server.get("/v1/models").refused(401);
    with("0123456789abcdeg").refused(401);
    server.get("/healthz").ok();
    assert_eq!(server.get("/").status, 200);
    for _ in 0..3 {
        assert_eq!(with("0123456789abcdef").status, 200);
    }
    let fourth = with("0123456789abcdef");
    fourth.refused(429);
    assert!(fourth.headers["retry-after"].parse::<u64>().unwrap() <= 61);
}

#[test]
fn a_request_to_stop_ends_streams_and_the_server() {
    for signal in ["-INT", "-TERM"] {
        let mut server = Server::start(&[]);
        let long = json!({"messages": user("go on"), "max_tokens": 4000, "ignore_eos": true, "stream": true});
        let mut stream = server.begin("/v1/chat/completions", &long);
        let mut some = [0; 200];
        stream.read_exact(&mut some).unwrap();
        let pid = server.child.id().to_string();
        Command::new("kill").args([signal, &pid]).output().unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(
            rest.contains("server_stopping") && rest.contains("[DONE]"),
            "{rest}"
        );
        let begun = Instant::now();
        let code = server.child.wait().unwrap().code();
        assert_eq!(code, Some(0));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn those_who_hang_or_leave_half_way_do_no_harm() {
    let server = Server::start(&[]);
    let hanging: Vec<TcpStream> = (0..300)
        .map(|at| {
            let mut stream = server.connect();
            if at % 2 == 0 {
                stream
                    .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nHos")
                    .unwrap();
            }
            stream
        })
        .collect();
    let half = server.connect();
    half.shutdown(Shutdown::Write).unwrap();
    let mut short = server.connect();
    let head = server.head(
        "POST",
        "/v1/completions",
        "Content-Type: application/json\r\nContent-Length: 500\r\n",
    );
    short.write_all(format!("{head}\r\n{{").as_bytes()).unwrap();
    drop(short);
    server
        .chat(&json!({"messages": user("hi"), "max_tokens": 3}))
        .ok();
    assert!(server.metric("orrery_connections") >= 300.0);
    drop(hanging);
    server.until("orrery_connections", |open| open < 10.0);
}

#[test]
fn vectors_pictures_marks_and_judgements() {
    let place = folder();
    model(place.path());
    orrery(
        place.path(),
        &[
            "wind", "keygen", "--out", "key.json", "--noises", "64", "--groups", "8",
        ],
    )
    .worked();
    let server = Server::start_in(place, &["--wind-key", "key.json"]);
    let made = server
        .post("/v1/embeddings", &json!({"input": ["one", "two"]}))
        .ok();
    let vector: Vec<f64> = serde_json::from_value(made["data"][1]["embedding"].clone()).unwrap();
    assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-4 && vector.len() == 32);
    // Texts that cannot fit are refused before they are cut into tokens.
    let long = "a ".repeat(2_000_000);
    for (path, field) in [("/v1/embeddings", "input"), ("/v1/completions", "prompt")] {
        let line = server.post(path, &json!({ field: long })).refused(400);
        assert!(line.to_string().contains("more than"), "{path}: {line:?}");
    }
    let picture = server
        .post(
            "/v1/images/generations",
            &json!({"prompt": "fox", "seed": 7, "steps": 2, "size": "64x64"}),
        )
        .ok();
    assert_eq!(picture["data"][0]["seed"], 7);
    assert!(
        picture["data"][0]["b64_json"]
            .as_str()
            .unwrap()
            .starts_with("iVBORw0KGgo")
    );
    assert_eq!(picture["output_format"], "png");
    let clip = server
        .post(
            "/v1/images/generations",
            &json!({"prompt": "fox", "seed": 7, "steps": 1, "size": "32x32", "video": true}),
        )
        .ok();
    assert_eq!(clip["output_format"], "apng");
    server
        .post("/v1/images/generations", &json!({"prompt": "qqqq zzzz"}))
        .refused(400);
    // Fields that do not exist, and values of another type, by the names that the request has.
    for (body, field, words) in [
        (
            json!({"prompt": "fox", "sead": 7}),
            "sead",
            "unknown field `sead`",
        ),
        (
            json!({"prompt": "fox", "n": "two"}),
            "n",
            "a whole number from 0 is wanted",
        ),
        (
            json!({"prompt": "fox", "guidance": []}),
            "guidance",
            "a number is wanted",
        ),
        (json!({"prompt": "fox", "stream": true}), "stream", "whole"),
        (
            json!({"prompt": "fox", "output_format": "webp"}),
            "output_format",
            "`png`",
        ),
    ] {
        let answer = server.post("/v1/images/generations", &body);
        let line = answer.refused(400);
        assert!(line.contains(words) && !line.contains("usize"), "{line}");
        assert_eq!(answer.json()["error"]["param"], field, "{line}");
    }
    server
        .post(
            "/v1/images/generations",
            &json!({"prompt": "fox", "steps": 1, "size": "32x32", "quality": "low", "user": "a"}),
        )
        .ok();
    // In words of the interface, not of the parser.
    let line = server
        .chat(&json!({"model": "model", "messages": user("hi"), "harp": {"theta": "much"}}))
        .refused(400);
    assert!(
        line.contains("`harp` is true, false, or an object"),
        "{line}"
    );
    for prompt in [json!(7), json!({"text": "x"}), json!([["a"]])] {
        let line = server
            .post("/v1/completions", &json!({"prompt": prompt}))
            .refused(400);
        assert!(line.contains("`prompt` is a text, a list"), "{line}");
        assert!(!line.contains("variant") && !line.contains('\n'), "{line}");
    }
    let marked = server.post("/wind/generate", &json!({"prompt": "3"})).ok();
    assert!(marked.get("salt").is_none());
    let found = server
        .post(
            "/wind/detect",
            &json!({"image": marked["data"][0]["b64_json"]}),
        )
        .ok();
    assert_eq!(found["verdict"], "match", "{found}");
    assert_eq!(found["index"], marked["index"]);
    server
        .post("/wind/detect", &json!({"image": "AAAA"}))
        .refused(400);
    let page =
        json!({"markdown": "# Title\n\nSome words.", "prediction": "# Title\n\nSome wards."});
    let judged = server
        .post("/v1/judge/omnidocbench", &json!({"pages": [page]}))
        .ok();
    assert!(
        judged["scores"]["text_block"]["all"].is_object(),
        "{judged}"
    );
    server
        .post(
            "/v1/judge/omnidocbench",
            &json!({"pages": [{"prediction": "x"}]}),
        )
        .refused(400);
    let reply = server
        .post(
            "/v1/counterspeech",
            &json!({"message": "Only fools read.", "max_tokens": 8, "seed": 1}),
        )
        .ok();
    assert_eq!(reply["machine_text"], true);
}

#[test]
fn models_are_read_when_asked_for_and_leave_where_memory_ends() {
    let server = Server::start(&["--model", "second=./model", "--memory", "0"]);
    let loaded = || -> Vec<bool> {
        let models = server.get("/v1/models").ok();
        let models = models["data"].as_array().unwrap().clone();
        models
            .iter()
            .map(|model| model["loaded"].as_bool().unwrap())
            .collect()
    };
    assert_eq!(loaded(), [true, false]);
    let ask = |model: &str| {
        let request = json!({"model": model, "messages": user("hi"), "max_tokens": 3, "seed": 1});
        let answer = server.chat(&request).ok();
        assert_eq!(answer["model"], model);
        content(&answer).to_owned()
    };
    let first = ask("model");
    assert_eq!(ask("second"), first);
    assert_eq!(loaded(), [false, true]);
    assert_eq!(ask("model"), first);
    assert_eq!(loaded(), [true, false]);
}
