//! A model behind an OpenAI-compatible server.

use std::io::Read;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::retry::{Retry, sleep};
use super::wire::{self, Body};
use super::{ChatError, ChatModel, Dialect, Embedder, Reply, Request};

/// Largest answer that is read, in bytes.
const LARGEST: u64 = 32 << 20;
/// How often one request is sent on to another address.
const REDIRECTS: usize = 5;
/// How often one request is written anew because of what a server says of it.
const ADAPTATIONS: usize = 8;

/// Where a model is and how patiently it is asked.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Base address, such as `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The model's name on that server.
    pub model: String,
    /// The key, where the server wants one.
    pub key: Option<String>,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// How often a request is sent again.
    pub retry: Retry,
    /// How requests are written; what a server complains of is changed by itself.
    pub dialect: Dialect,
}

/// A model behind an OpenAI-compatible server. Clones of a connection are pooled; any number of threads may ask.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    agent: ureq::Agent,
    stop: Option<&'static AtomicBool>,
    dialect: RwLock<Dialect>,
}

/// What one try came to.
enum Try<T> {
    Done(T),
    Never(ChatError),
    Again(String, Option<Duration>),
    /// Refused with a status and a message: perhaps only for how it was written.
    Refused(u16, String, Option<Duration>),
}

impl Endpoint {
    /// A client; nothing is sent yet. It gives up early when `stop` becomes true.
    ///
    /// # Errors
    /// [`ChatError::Unable`] when the address is none.
    pub fn new(
        config: EndpointConfig,
        stop: Option<&'static AtomicBool>,
    ) -> Result<Self, ChatError> {
        let url = config.url.trim_end_matches('/').to_owned();
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(ChatError::Unable(format!(
                "`{url}` is not a valid base URL: give one such as `http://127.0.0.1:8000/v1`"
            )));
        }
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .timeout_connect(Some(config.timeout.min(Duration::from_secs(20))))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("orrery/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let mut dialect = config.dialect.clone();
        if dialect.key_header.is_none() && is_azure(&url) {
            dialect.key_header = Some("api-key".into());
        }
        Ok(Self {
            config: EndpointConfig { url, ..config },
            agent,
            stop,
            dialect: RwLock::new(dialect),
        })
    }

    fn dialect(&self) -> Dialect {
        self.dialect
            .read()
            .map(|held| held.clone())
            .unwrap_or_default()
    }

    /// Sends what `write` makes of the dialect to a path below the base address until there is an answer that `read`
    /// understands. What the server complains of is written in another way, which costs no try.
    fn post<T>(
        &self,
        write: impl Fn(&Dialect) -> (&'static str, String),
        learn: impl Fn(&Dialect, u16, &str) -> Option<Dialect>,
        read: impl Fn(&[u8]) -> Body<T>,
    ) -> Result<T, ChatError> {
        let tries = self.config.retry.tries.max(1);
        let (mut last, mut failure, mut adaptations) = (String::new(), 0, 0);
        let mut url = String::new();
        while failure < tries {
            if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(ChatError::Stopped);
            }
            let dialect = self.dialect();
            let (path, body) = write(&dialect);
            url = with_path(&self.config.url, path);
            let (cause, asked) = match self.once(&url, &dialect, body.as_bytes(), &read) {
                Try::Done(answer) => return Ok(answer),
                Try::Never(error) => return Err(error),
                Try::Again(cause, asked) => (cause, asked),
                Try::Refused(status, message, asked) => {
                    if let Some(next) =
                        learn(&dialect, status, &message).filter(|_| adaptations < ADAPTATIONS)
                    {
                        adaptations += 1;
                        if let Ok(mut held) = self.dialect.write() {
                            *held = next;
                        }
                        continue;
                    }
                    if !passes(status, &message) {
                        return Err(ChatError::Refused {
                            url,
                            status,
                            message,
                        });
                    }
                    (format!("status {status}: {message}"), asked)
                }
            };
            last = cause;
            let pause = self.config.retry.pause(failure, asked);
            failure += 1;
            if failure < tries && !sleep(pause, self.stop) {
                return Err(ChatError::Stopped);
            }
        }
        Err(ChatError::Unreachable {
            url,
            tries,
            cause: last,
        })
    }

    fn once<T>(
        &self,
        url: &str,
        dialect: &Dialect,
        body: &[u8],
        read: impl Fn(&[u8]) -> Body<T>,
    ) -> Try<T> {
        let mut place = url.to_owned();
        for _ in 0..=REDIRECTS {
            let mut post = self
                .agent
                .post(&place)
                .header("content-type", "application/json");
            if let Some(key) = &self.config.key {
                post = match &dialect.key_header {
                    Some(name) => post.header(name, key),
                    None => post.header("authorization", format!("Bearer {key}")),
                };
            }
            let answer = match post.send(body) {
                Ok(answer) => answer,
                Err(ureq::Error::BadUri(_) | ureq::Error::Http(_)) => {
                    return Try::Never(ChatError::Unable(format!(
                        "`{place}` is not a valid URL, or the key has characters that no key has"
                    )));
                }
                Err(error) => return Try::Again(error.to_string(), None),
            };
            let status = answer.status().as_u16();
            let header = |name: &str| {
                answer
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            };
            if matches!(status, 301 | 302 | 307 | 308) {
                let to = header("location").unwrap_or_default();
                // The key goes to no other host.
                match redirected(&place, to) {
                    Some(next) => place = next,
                    None => {
                        let to: String = to.chars().take(200).collect();
                        return Try::Refused(
                            status,
                            format!("it sends on to `{}`", crate::command::one_line(&to)),
                            None,
                        );
                    }
                }
                continue;
            }
            let asked = header("retry-after").and_then(|value| value.trim().parse::<f64>().ok());
            let asked = asked.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let mut bytes = Vec::new();
            let mut reader = answer.into_body().into_reader().take(LARGEST + 1);
            if let Err(error) = reader.read_to_end(&mut bytes) {
                return Try::Again(error.to_string(), None);
            }
            if bytes.len() as u64 > LARGEST {
                return Try::Never(ChatError::Malformed {
                    url: place,
                    cause: format!("it is longer than {} MB", LARGEST >> 20),
                });
            }
            if !(200..300).contains(&status) {
                return Try::Refused(status, wire::complaint(&bytes), asked);
            }
            return match read(&bytes) {
                Body::Answer(answer) => Try::Done(answer),
                Body::Error(meant, message) => {
                    Try::Refused(meant.unwrap_or(status), message, asked)
                }
                Body::Cut(cause) => Try::Again(cause, asked),
                Body::NoText(cause) => Try::Never(ChatError::NoText { url: place, cause }),
                Body::Foreign(cause) => Try::Never(ChatError::Malformed { url: place, cause }),
            };
        }
        Try::Never(ChatError::Malformed {
            url: url.to_owned(),
            cause: format!("it sends on more than {REDIRECTS} times"),
        })
    }
}

/// Too many requests, timeouts and the server's own troubles pass; an account without credit does not.
fn passes(status: u16, message: &str) -> bool {
    let text = message.to_lowercase();
    let broke = ["quota", "billing", "credit"]
        .iter()
        .any(|word| text.contains(word));
    matches!(status, 408 | 409 | 425 | 500..=599) || (status == 429 && !broke)
}

/// Whether an address is Azure's: its keys go in a header of their own.
fn is_azure(url: &str) -> bool {
    let host = url.split('/').nth(2).unwrap_or_default();
    host.ends_with(".azure.com") || url.contains("?api-version=") || url.contains("&api-version=")
}

/// `path` below a base address, before its query.
fn with_path(base: &str, path: &str) -> String {
    match base.split_once('?') {
        Some((base, query)) => format!("{}{path}?{query}", base.trim_end_matches('/')),
        None => format!("{base}{path}"),
    }
}

/// Where a redirect leads, if it stays on the same host.
fn redirected(from: &str, to: &str) -> Option<String> {
    let parts = |url: &str| {
        let (scheme, rest) = url.split_once("://")?;
        let host = rest.split(['/', '?']).next()?;
        Some((scheme.to_owned(), host.to_owned()))
    };
    let (scheme, host) = parts(from)?;
    if to.starts_with('/') && !to.starts_with("//") {
        return Some(format!("{scheme}://{host}{to}"));
    }
    let (new_scheme, new_host) = parts(to)?;
    let name = |host: &str| host.split(':').next().unwrap_or_default().to_lowercase();
    let safer = new_scheme == "https" && scheme == "http";
    let same = new_scheme == scheme && new_host.eq_ignore_ascii_case(&host);
    (same || (safer && name(&new_host) == name(&host))).then(|| to.to_owned())
}

impl ChatModel for Endpoint {
    fn name(&self) -> &str {
        &self.config.model
    }

    fn reply(&self, request: &Request) -> Result<Reply, ChatError> {
        self.post(
            |dialect| {
                let (path, body) = wire::body(&self.config.model, request, dialect);
                (path, body.to_string())
            },
            |dialect, status, message| dialect.after(status, message, request),
            wire::reply,
        )
    }
}

impl Embedder for Endpoint {
    fn name(&self) -> &str {
        &self.config.model
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ChatError> {
        let body = serde_json::json!({"model": self.config.model, "input": texts});
        let body = body.to_string();
        self.post(
            |_| ("/embeddings", body.clone()),
            |_, _, _| None,
            |bytes| wire::embeddings(bytes, texts.len()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let azure = "https://x.openai.azure.com/openai/deployments/d?api-version=1";
        assert!(is_azure(azure) && !is_azure("https://api.openai.com/v1"));
        assert_eq!(
            with_path(azure, "/chat/completions"),
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1"
        );
        let from = "http://h:80/v1/x";
        assert_eq!(redirected(from, "/y").as_deref(), Some("http://h:80/y"));
        assert_eq!(
            redirected(from, "https://h/v1/x").as_deref(),
            Some("https://h/v1/x")
        );
        for elsewhere in [
            "http://other/v1/x",
            "//other/x",
            "https://h.evil/v1",
            "",
            "y",
        ] {
            assert_eq!(redirected(from, elsewhere), None, "{elsewhere}");
        }
    }
}
