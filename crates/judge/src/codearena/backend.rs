//! Who judges: a language model, a fixed rubric, a biased judge that shows why two games are played, recorded replies.

use std::collections::HashMap;
use std::path::Path;

use base::endpoint::{ChatError, ChatModel, Message, Prompt, Request};
use serde_json::Value;

use super::jsonl::{self, JsonlError};
use super::rubric;

/// One call to a judge.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The item's id.
    pub id: &'a str,
    /// 0: the baseline is A; 1: the model is A.
    pub game: usize,
    /// Attempts of this game before this one.
    pub attempt: usize,
    /// The question.
    pub question: &'a str,
    /// The answers shown as A and as B.
    pub answers: [&'a str; 2],
    /// The conversation so far.
    pub messages: &'a [Message],
    /// Sampling temperature.
    pub temperature: f64,
    /// Most tokens of the judgement.
    pub max_tokens: u32,
}

/// Whoever writes a judgement.
pub trait Judge: Sync {
    /// Its name, part of what a recorded game depends on.
    fn name(&self) -> String;

    /// A judgement.
    ///
    /// # Errors
    /// [`ChatError`]; never as text.
    fn judge(&self, call: &Call<'_>) -> Result<String, ChatError>;
}

/// A language model as judge.
pub struct ModelJudge<M>(pub M);

impl<M: ChatModel> Judge for ModelJudge<M> {
    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    fn judge(&self, call: &Call<'_>) -> Result<String, ChatError> {
        let request = Request {
            prompt: Prompt::Chat(call.messages.to_vec()),
            temperature: call.temperature,
            max_tokens: call.max_tokens,
            seed: None,
        };
        self.0.reply(&request).map(|reply| reply.text)
    }
}

/// The deterministic rubric of [`rubric`]: no substitute for people, but the same every time.
#[derive(Clone, Copy, Debug)]
pub struct RubricJudge;

impl Judge for RubricJudge {
    fn name(&self) -> String {
        "rubric".into()
    }

    fn judge(&self, call: &Call<'_>) -> Result<String, ChatError> {
        Ok(rubric::judgment(call.question, call.answers))
    }
}

/// A judge that gives one label whatever it reads.
#[derive(Clone, Debug)]
pub struct FixedJudge(pub String);

impl Judge for FixedJudge {
    fn name(&self) -> String {
        format!("always:{}", self.0)
    }

    fn judge(&self, _: &Call<'_>) -> Result<String, ChatError> {
        Ok(format!("[[{}]]", self.0))
    }
}

/// Recorded replies, by item and game.
#[derive(Clone, Debug, Default)]
pub struct RecordedJudge {
    name: String,
    replies: HashMap<(String, usize), Vec<String>>,
}

impl RecordedJudge {
    /// Reads JSON lines `{"id": …, "game": 0 or 1, "replies": [first attempt, second, …]}`.
    ///
    /// # Errors
    /// [`JsonlError`].
    pub fn read(path: &Path) -> Result<(Self, Vec<String>), JsonlError> {
        let lines = jsonl::read(path)?;
        let mut troubles = lines.troubles;
        let mut replies = HashMap::new();
        for (line, record) in lines.records {
            let id = match record.get("id") {
                Some(Value::String(id)) => Some(id.clone()),
                Some(Value::Number(id)) => Some(id.to_string()),
                _ => None,
            };
            let game = record.get("game").and_then(Value::as_u64);
            let texts = record.get("replies").and_then(Value::as_array);
            match (id, game, texts) {
                (Some(id), Some(game), Some(texts)) => {
                    let texts = texts
                        .iter()
                        .filter_map(|text| text.as_str().map(str::to_owned));
                    replies.insert((id, game as usize), texts.collect());
                }
                _ => troubles.push(format!(
                    "`{}` line {line}: it lacks `id`, `game` or `replies`: left out",
                    path.display()
                )),
            }
        }
        let name = format!("file:{}", path.display());
        Ok((Self { name, replies }, troubles))
    }
}

impl Judge for RecordedJudge {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn judge(&self, call: &Call<'_>) -> Result<String, ChatError> {
        let key = (call.id.to_owned(), call.game);
        let reply = self.replies.get(&key).and_then(|all| all.get(call.attempt));
        reply.cloned().ok_or_else(|| {
            ChatError::Unable(format!(
                "the file of replies has none for item `{}`, game {}, attempt {}",
                call.id, call.game, call.attempt
            ))
        })
    }
}
