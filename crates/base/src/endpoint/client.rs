//! A model behind an OpenAI-compatible server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::retry::{Retry, sleep};
use super::{ChatError, ChatModel, Embedder, Reply, Request, wire};

/// Largest answer that is read, in bytes.
const LARGEST: u64 = 32 << 20;

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
}

/// A model behind an OpenAI-compatible server. Clones of a connection are pooled; any number of threads may ask.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    agent: ureq::Agent,
    stop: Option<&'static AtomicBool>,
}

/// What one try came to.
enum Try<T> {
    Done(T),
    Never(ChatError),
    Again(String, Option<Duration>),
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
                "`{url}` is no address of a server: give one such as `http://127.0.0.1:8000/v1`"
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
        Ok(Self {
            config: EndpointConfig { url, ..config },
            agent,
            stop,
        })
    }

    /// Sends `body` to `path` below the base address until there is an answer that `read` understands.
    fn post<T>(
        &self,
        path: &str,
        body: &str,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, ChatError> {
        let url = format!("{}{path}", self.config.url);
        let tries = self.config.retry.tries.max(1);
        let mut last = String::new();
        for failure in 0..tries {
            if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(ChatError::Stopped);
            }
            match self.once(&url, body.as_bytes(), &read) {
                Try::Done(answer) => return Ok(answer),
                Try::Never(error) => return Err(error),
                Try::Again(cause, asked) => {
                    last = cause;
                    let pause = self.config.retry.pause(failure, asked);
                    if failure + 1 < tries && !sleep(pause, self.stop) {
                        return Err(ChatError::Stopped);
                    }
                }
            }
        }
        Err(ChatError::Unreachable {
            url,
            tries,
            cause: last,
        })
    }

    fn once<T>(&self, url: &str, body: &[u8], read: impl Fn(&[u8]) -> Result<T, String>) -> Try<T> {
        let mut post = self
            .agent
            .post(url)
            .header("content-type", "application/json");
        if let Some(key) = &self.config.key {
            post = post.header("authorization", format!("Bearer {key}"));
        }
        let mut answer = match post.send(body) {
            Ok(answer) => answer,
            Err(ureq::Error::BadUri(_) | ureq::Error::Http(_)) => {
                return Try::Never(ChatError::Unable(format!(
                    "`{url}` is no address, or the key has characters that no key has"
                )));
            }
            Err(error) => return Try::Again(error.to_string(), None),
        };
        let status = answer.status().as_u16();
        let asked = answer.headers().get("retry-after");
        let asked = asked
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let bytes = answer.body_mut().with_config().limit(LARGEST).read_to_vec();
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return Try::Again(error.to_string(), None),
        };
        match status {
            200 => match read(&bytes) {
                Ok(answer) => Try::Done(answer),
                Err(cause) => Try::Never(ChatError::Malformed {
                    url: url.to_owned(),
                    cause,
                }),
            },
            // Too many requests, timeouts and the server's own troubles pass.
            408 | 409 | 425 | 429 | 500..=599 => Try::Again(
                format!("status {status}: {}", wire::complaint(&bytes)),
                asked,
            ),
            _ => Try::Never(ChatError::Refused {
                url: url.to_owned(),
                status,
                message: wire::complaint(&bytes),
            }),
        }
    }
}

impl ChatModel for Endpoint {
    fn name(&self) -> &str {
        &self.config.model
    }

    fn reply(&self, request: &Request) -> Result<Reply, ChatError> {
        let (path, body) = wire::body(&self.config.model, request);
        self.post(path, &body.to_string(), wire::reply)
    }
}

impl Embedder for Endpoint {
    fn name(&self) -> &str {
        &self.config.model
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ChatError> {
        let body = serde_json::json!({"model": self.config.model, "input": texts});
        self.post("/embeddings", &body.to_string(), |bytes| {
            wire::vectors(bytes, texts.len())
        })
    }
}
