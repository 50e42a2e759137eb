//! Answers of the model under test: greedy, several questions at a time, each answer recorded the moment it is there.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use engine::endpoint::{ChatError, ChatModel, Message, Prompt, Reply, Request};
use serde_json::{Value, json};

use super::append::{Log, LogError};
use super::item::Item;
use super::jsonl::{self, JsonlError, Record};
use super::workers;

/// Most tokens of an answer (official setting).
pub const MAX_TOKENS: u32 = 16_384;

/// How a question becomes a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatTemplate {
    /// The server applies the model's own template.
    Auto,
    /// CodeLlama's template with an empty system prompt, sent as plain text.
    CodeLlama,
}

impl ChatTemplate {
    /// The prompt of a question.
    pub fn prompt(self, question: &str) -> Prompt {
        match self {
            Self::Auto => Prompt::Chat(vec![Message::user(question)]),
            Self::CodeLlama => Prompt::Raw(format!(
                "<s>[INST] <<SYS>>\n\n<</SYS>>\n\n{question} [/INST]"
            )),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::CodeLlama => "codellama",
        }
    }
}

/// How answers are made.
pub struct Plan<'a> {
    /// The model.
    pub model: &'a dyn ChatModel,
    /// The name under which the answers go.
    pub name: &'a str,
    /// How a question becomes a prompt.
    pub template: ChatTemplate,
    /// Sampling temperature, 0 for greedy.
    pub temperature: f64,
    /// Most tokens of an answer.
    pub max_tokens: u32,
    /// Seed of the sampling, for servers that know it.
    pub seed: Option<u64>,
    /// Questions at a time.
    pub workers: usize,
    /// Becomes true when no further question shall be asked.
    pub stop: &'a AtomicBool,
}

/// What became of the questions.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Records of the answered questions, in the file's order.
    pub answered: Vec<Record>,
    /// Answers of earlier runs.
    pub resumed: usize,
    /// Answers made now.
    pub made: usize,
    /// Questions without an answer.
    pub missing: usize,
    /// Answers that ended at the token limit.
    pub truncated: usize,
    /// The first error.
    pub error: Option<ChatError>,
}

/// Why answering cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] JsonlError),
    /// The log cannot be written.
    #[error(transparent)]
    Write(#[from] LogError),
}

impl Plan<'_> {
    /// What an answer depends on besides the question.
    fn settings(&self) -> Value {
        json!({
            "template": self.template.name(),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
        })
    }

    fn hash(&self, item: &Item) -> String {
        let settings = self.settings().to_string();
        let parts = [
            item.question.as_str(),
            self.name,
            self.model.name(),
            &settings,
        ];
        format!("{:016x}", super::fingerprint(&parts))
    }

    fn ask(&self, item: &Item) -> Result<Reply, ChatError> {
        self.model.reply(&Request {
            prompt: self.template.prompt(&item.question),
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            seed: self.seed,
        })
    }
}

/// Answers all questions that `log` does not hold an answer to. `at` hears of questions done and of all.
///
/// # Errors
/// [`GenerateError`]; answers that were made are in the log.
pub fn answer_all(
    items: &[Item],
    plan: &Plan<'_>,
    log: &Path,
    at: &mut dyn FnMut(usize, usize),
) -> Result<Outcome, GenerateError> {
    let mut file = Log::open(log)?;
    let mut known: HashMap<String, Record> = HashMap::new();
    for (_, record) in jsonl::read_any(log)?.records {
        if let Some(hash) = record.get("hash").and_then(Value::as_str) {
            known.insert(hash.to_owned(), record);
        }
    }
    let hashes: Vec<String> = items.iter().map(|item| plan.hash(item)).collect();
    let todo: Vec<usize> = hashes
        .iter()
        .enumerate()
        .filter(|(_, hash)| !known.contains_key(*hash))
        .map(|(index, _)| index)
        .collect();
    let mut outcome = Outcome {
        resumed: items.len() - todo.len(),
        ..Outcome::default()
    };
    at(outcome.resumed, items.len());
    workers::run(
        todo.len(),
        plan.workers,
        plan.stop,
        |job| {
            let index = todo.get(job).copied()?;
            Some((index, plan.ask(items.get(index)?)))
        },
        |_, result| {
            match result {
                Some((index, Ok(reply))) => {
                    let hash = hashes.get(index).cloned().unwrap_or_default();
                    let line = json!({
                        "hash": hash,
                        "response": reply.text,
                        "stop_reason": reply.stop_reason,
                        "n_prompt_tokens": reply.prompt_tokens,
                        "n_output_tokens": reply.output_tokens,
                    });
                    file.append(&line)?;
                    if let Value::Object(record) = line {
                        known.insert(hash, record);
                    }
                    outcome.made += 1;
                    at(outcome.resumed + outcome.made, items.len());
                }
                Some((_, Err(error))) if error != ChatError::Stopped => {
                    outcome.error.get_or_insert(error);
                }
                _ => {}
            }
            Ok::<(), GenerateError>(())
        },
    )?;
    outcome.missing = items.len() - outcome.resumed - outcome.made;
    for (item, hash) in items.iter().zip(&hashes) {
        let Some(answer) = known.get(hash) else {
            continue;
        };
        let stop = answer.get("stop_reason").and_then(Value::as_str);
        outcome.truncated += usize::from(stop == Some("length"));
        let mut record = item.record.clone();
        record.insert("uid".into(), json!(item.id));
        record.insert("model".into(), json!(plan.name));
        record.insert("generation".into(), plan.settings());
        for field in [
            "response",
            "stop_reason",
            "n_prompt_tokens",
            "n_output_tokens",
        ] {
            record.insert(
                field.into(),
                answer.get(field).cloned().unwrap_or(Value::Null),
            );
        }
        outcome.answered.push(record);
    }
    Ok(outcome)
}
