//! Who judges: a language model, a fixed rubric, a biased judge that shows why two games are played, recorded replies.

use std::collections::HashMap;
use std::path::Path;

use base::endpoint::{ChatError, ChatModel, Message, Prompt, Request};
use serde_json::Value;

use super::rubric;
use base::job::jsonl::{self, JsonlError};

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
pub struct ModelJudge<M> {
    /// The model.
    pub model: M,
    /// Judge what it thinks aloud too, as the official program does: labels in a `<think>` block then count.
    pub keep_thinking: bool,
}

impl<M: ChatModel> Judge for ModelJudge<M> {
    fn name(&self) -> String {
        self.model.name().to_owned()
    }

    fn judge(&self, call: &Call<'_>) -> Result<String, ChatError> {
        let request = Request {
            prompt: Prompt::Chat(call.messages.to_vec()),
            temperature: call.temperature,
            max_tokens: call.max_tokens,
            seed: None,
        };
        let reply = self.model.reply(&request)?;
        let text = match self.keep_thinking {
            true => reply.text,
            false => without_thinking(&reply.text).to_owned(),
        };
        match text.trim().is_empty() {
            false => Ok(text),
            true => Err(ChatError::NoText {
                url: self.model.name().to_owned(),
                cause: match reply.stop_reason.as_deref() {
                    Some("length") => "all its tokens went into reasoning: allow more".into(),
                    _ => "it is empty".into(),
                },
            }),
        }
    }
}

/// What stands behind a model's thoughts: behind the last `</think>`; nothing where a block at the beginning does not end.
/// Chat templates may have opened the block already, so an end without a beginning counts.
fn without_thinking(text: &str) -> &str {
    let ends = ["</think>", "</thinking>"].iter();
    let after = ends
        .filter_map(|end| text.rfind(end).map(|at| at + end.len()))
        .max();
    let start = text.trim_start();
    match after.and_then(|at| text.get(at..)) {
        Some(rest) => rest.trim_start(),
        None if start.starts_with("<think>") || start.starts_with("<thinking>") => "",
        None => text,
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

impl FixedJudge {
    /// A judge with one of the eight labels that the official program counts, or `A=B`.
    ///
    /// # Errors
    /// One line where `label` is none.
    pub fn new(label: &str) -> Result<Self, String> {
        match super::scores::LABELS.contains(&label) {
            true => Ok(Self(label.to_owned())),
            false => Err(format!(
                "`always:{label}` names no label: give one of {}",
                super::scores::LABELS.join(", ")
            )),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_not_judgements() {
        for (text, said) in [
            ("<think>\n[[A>B]]? No.\n</think>\n[[B>A]]", "[[B>A]]"),
            ("[[A>B]]? No.</think>[[B>A]]", "[[B>A]]"),
            ("<think>[[A>B]]", ""),
            ("  [[A>B]]\n", "  [[A>B]]\n"),
            ("say <think> and [[A=B]]", "say <think> and [[A=B]]"),
        ] {
            assert_eq!(without_thinking(text), said);
        }
        assert!(FixedJudge::new("A>B").is_ok() && FixedJudge::new("X").is_err());
    }
}
