//! Language models behind one trait: anything that turns messages into text.
//!
//! [`ChatModel`] is what systems ask; [`Endpoint`] speaks to any server with the OpenAI-compatible HTTP interface
//! (`/chat/completions`, `/completions`, and `/embeddings` for an [`Embedder`]). Transport errors are retried with growing pauses inside the model and never
//! reach the caller as text.

mod client;
mod dialect;
mod retry;
mod stream;
mod wire;

pub use client::{Endpoint, EndpointConfig};
pub use dialect::{Dialect, TokenLimit};
pub use retry::Retry;

use serde::{Deserialize, Serialize};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
    /// Pictures before the text, as `data:` addresses ([`crate::media::data_address`]), for models that see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<String>,
}

impl Message {
    /// The frame of a conversation.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }

    /// What the user says.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// What the model said.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    fn new(role: &str, content: impl Into<String>) -> Self {
        Self {
            role: role.to_owned(),
            content: content.into(),
            pictures: Vec::new(),
        }
    }

    /// The same with pictures before the text.
    pub fn seeing(mut self, pictures: Vec<String>) -> Self {
        self.pictures = pictures;
        self
    }
}

/// What a model is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A conversation; the server applies the model's chat template.
    Chat(Vec<Message>),
    /// Text that already has its template.
    Raw(String),
}

/// One question to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What it is given.
    pub prompt: Prompt,
    /// Sampling temperature, 0 for greedy.
    pub temperature: f64,
    /// Most tokens of the reply.
    pub max_tokens: u32,
    /// Seed of the sampling, for servers that know it.
    pub seed: Option<u64>,
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Why it stopped: `stop`, `length`…
    pub stop_reason: Option<String>,
    /// Tokens of the prompt, where the server counts them.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the reply, where the server counts them.
    pub output_tokens: Option<u64>,
}

impl Reply {
    /// A reply that is nothing but text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The server cannot be reached, or does not answer in time, after all retries.
    #[error(
        "no answer from `{url}` after {tries} tries ({cause}): check that the server runs, or allow more time"
    )]
    Unreachable {
        /// Where the request went.
        url: String,
        /// How often it was sent.
        tries: u32,
        /// What happened last.
        cause: String,
    },
    /// The server refuses the request, now and always.
    #[error("`{url}` refuses the request with status {status}: {message}{}", advice(*status, message))]
    Refused {
        /// Where the request went.
        url: String,
        /// The HTTP status, or the one that an error object with status 200 names.
        status: u16,
        /// What it says, cut short.
        message: String,
    },
    /// The model was reached and wrote no text: a filter, a refusal, or all tokens spent on reasoning.
    #[error("`{url}` answered without a text ({cause})")]
    NoText {
        /// Where the request went.
        url: String,
        /// What it says instead.
        cause: String,
    },
    /// The server answered something that is not a reply.
    #[error("the answer of `{url}` is not a reply ({cause}): is it an OpenAI-compatible server?")]
    Malformed {
        /// Where the request went.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The model cannot do what was asked.
    #[error("{0}")]
    Unable(String),
    /// Ctrl-C.
    #[error("stopped")]
    Stopped,
}

impl ChatError {
    /// Whether every other request will fail alike, as with a wrong key, model or address: nothing more need be asked.
    pub fn is_lasting(&self) -> bool {
        match self {
            // A bad request may be the fault of one prompt, such as one that is too long.
            Self::Refused { status, .. } => !matches!(status, 400 | 413 | 422),
            Self::Malformed { .. } => true,
            Self::Unreachable { .. } | Self::NoText { .. } | Self::Unable(_) | Self::Stopped => {
                false
            }
        }
    }
}

/// How a refusal is mended.
fn advice(status: u16, message: &str) -> &'static str {
    let about_model = message.to_lowercase().contains("model");
    match status {
        300..=399 => ": give the address that it names",
        401 | 403 => ": check the key (`--key-env` names its variable)",
        402 | 429 => ": check the account's credit and limits",
        404 if about_model => ": check the model's name and the address",
        404 | 405 => ": check the address, which mostly ends in `/v1`",
        _ => "",
    }
}

/// A language model.
pub trait ChatModel: Sync {
    /// Its name, as it goes into records.
    fn name(&self) -> &str;

    /// One reply.
    ///
    /// # Errors
    /// [`ChatError`]; retries are behind it already.
    fn reply(&self, request: &Request) -> Result<Reply, ChatError>;
}

impl<M: ChatModel + ?Sized> ChatModel for Box<M> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn reply(&self, request: &Request) -> Result<Reply, ChatError> {
        (**self).reply(request)
    }
}

/// A model that turns texts into vectors.
pub trait Embedder: Sync {
    /// Its name, as it goes into records.
    fn name(&self) -> &str;

    /// A vector for each text, all of one length, of finite numbers.
    ///
    /// # Errors
    /// [`ChatError`]; retries are behind it already.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ChatError>;
}

impl<E: Embedder + ?Sized> Embedder for Box<E> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ChatError> {
        (**self).embed(texts)
    }
}
