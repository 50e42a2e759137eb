//! Step 5: several answers to each question.

use base::endpoint::{ChatModel, Message, Prompt, Request};
use serde_json::{Value, json};

use super::stage::{Fate, WorkError, text};
use base::job::jsonl::Record;

/// Candidates a question; the paper takes four of the queries that tests cannot decide.
pub const CANDIDATES: u64 = 4;

/// The question as it is put to a model.
pub fn prompt(record: &Record) -> String {
    let language = text(record, "lang");
    let fence = match language {
        "" => "Put the code into one fenced block.".to_owned(),
        language => format!("Put the code into one fenced block tagged `{language}`."),
    };
    format!("{}\n\n{fence}", text(record, "question"))
}

/// Samples `count` candidates, the number of each being its seed.
///
/// # Errors
/// [`WorkError::Model`].
pub fn answer(
    model: &dyn ChatModel,
    record: &Record,
    count: u64,
    temperature: f64,
) -> Result<Fate, WorkError> {
    let mut candidates = Vec::new();
    for seed in 0..count {
        let reply = model.reply(&Request {
            prompt: Prompt::Chat(vec![Message::user(prompt(record))]),
            temperature,
            max_tokens: 4096,
            seed: Some(seed),
        })?;
        if !reply.text.trim().is_empty() {
            candidates.push(json!({"text": reply.text}));
        }
    }
    if candidates.is_empty() {
        return Ok(Fate::Drop("no answer".into()));
    }
    let mut record = record.clone();
    record.insert("candidates".into(), Value::Array(candidates));
    Ok(Fate::Keep(record))
}
