//! A language model out of a file, for tests, dry runs and proofs: the first entry whose text the last message holds gives
//! its replies in turn, by the request's seed.

use std::path::Path;

use base::endpoint::{ChatError, ChatModel, Prompt, Reply, Request};
use serde::Deserialize;
use serde_json::Value;

use base::job::jsonl::{self, JsonlError};

/// What is said when a text comes up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// The text to look for; the empty one is always found.
    #[serde(rename = "match")]
    pub wanted: String,
    /// Replies; the request's seed picks one.
    pub replies: Vec<String>,
}

/// A model that says what it was given to say.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    lines: Vec<Line>,
}

impl Scripted {
    /// A model with these lines.
    pub fn new(lines: Vec<Line>) -> Self {
        Self { lines }
    }

    /// Reads JSON lines `{"match": …, "replies": […]}`.
    ///
    /// # Errors
    /// [`JsonlError`].
    pub fn read(path: &Path) -> Result<Self, JsonlError> {
        let read = jsonl::read(path)?;
        let lines = read.records.into_iter();
        let lines =
            lines.filter_map(|(_, record)| serde_json::from_value(Value::Object(record)).ok());
        Ok(Self::new(lines.collect()))
    }
}

impl ChatModel for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn reply(&self, request: &Request) -> Result<Reply, ChatError> {
        let asked = match &request.prompt {
            Prompt::Raw(text) => text.as_str(),
            Prompt::Chat(messages) => messages
                .last()
                .map_or("", |message| message.content.as_str()),
        };
        let line = self
            .lines
            .iter()
            .find(|line| asked.contains(&line.wanted) && !line.replies.is_empty());
        let line =
            line.ok_or_else(|| ChatError::Unable("the file of replies has none that fits".into()))?;
        let at = request.seed.unwrap_or(0) as usize % line.replies.len();
        Ok(Reply::text(
            line.replies.get(at).cloned().unwrap_or_default(),
        ))
    }
}
