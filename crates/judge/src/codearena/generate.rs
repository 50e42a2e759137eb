//! Answers of the model under test: greedy, several questions at a time, each answer recorded the moment it is there.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use base::endpoint::{ChatError, ChatModel, Message, Prompt, Request};
use serde_json::{Value, json};

use super::item::Item;
use base::job::journal::{Journal, JournalError};
use base::job::jsonl::Record;

/// Most tokens of an answer (official setting).
pub const MAX_TOKENS: u32 = 16_384;
/// What a result tells of an answer.
const FIELDS: [&str; 4] = [
    "response",
    "stop_reason",
    "n_prompt_tokens",
    "n_output_tokens",
];

/// How a question becomes a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatTemplate {
    /// The server applies the model's own template.
    Auto,
    /// CodeLlama's template with an empty system prompt, sent as plain text.
    CodeLlama,
}

impl ChatTemplate {
    /// The prompt of a conversation; CodeLlama's holds its last message alone (official code).
    pub fn prompt(self, conversation: Vec<Message>) -> Prompt {
        match self {
            Self::Auto => Prompt::Chat(conversation),
            Self::CodeLlama => {
                let asked = conversation.last().map_or("", |last| last.content.as_str());
                Prompt::Raw(format!("<s>[INST] <<SYS>>\n\n<</SYS>>\n\n{asked} [/INST]"))
            }
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
pub struct GenerationConfig<'a> {
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
    /// Seed of the sampling, for servers that support it.
    pub seed: Option<u64>,
    /// Questions at a time.
    pub workers: usize,
    /// Becomes true when no further question shall be asked.
    pub stop: &'a AtomicBool,
}

/// What became of the questions.
#[derive(Clone, Debug, Default)]
pub struct GenerationOutcome {
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

impl GenerationConfig<'_> {
    /// What an answer depends on besides question and model, as JSON.
    pub fn settings(&self) -> String {
        self.generation().to_string()
    }

    fn generation(&self) -> Value {
        json!({
            "template": self.template.name(),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
        })
    }

    fn hash(&self, item: &Item) -> String {
        let settings = self.settings();
        let asked = json!(item.conversation()).to_string();
        let parts = [asked.as_str(), self.name, self.model.name(), &settings];
        format!("{:016x}", super::fingerprint(&parts))
    }

    /// The [`FIELDS`] of an answer.
    fn ask(&self, item: &Item) -> Result<Record, ChatError> {
        let reply = self.model.reply(&Request {
            prompt: self.template.prompt(item.conversation()),
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            seed: self.seed,
        })?;
        let values = [
            json!(reply.text),
            json!(reply.stop_reason),
            json!(reply.prompt_tokens),
            json!(reply.output_tokens),
        ];
        Ok(FIELDS.map(str::to_owned).into_iter().zip(values).collect())
    }
}

/// Answers all questions that the journal `log` does not hold an answer to. `at` is called with the number of questions done and of all.
///
/// # Errors
/// [`JournalError`]; answers that were made are in the journal.
pub fn answer_all(
    items: &[Item],
    plan: &GenerationConfig<'_>,
    log: &Path,
    at: &mut dyn FnMut(usize, usize),
) -> Result<GenerationOutcome, JournalError> {
    let mut journal = Journal::open(log, |line| line.contains_key("response"))?;
    let hashes: Vec<String> = items.iter().map(|item| plan.hash(item)).collect();
    let ask = |index: usize| match items.get(index) {
        Some(item) => plan.ask(item),
        None => Ok(Record::new()),
    };
    let progress = journal.work(&hashes, plan.workers, plan.stop, ask, at)?;
    let mut outcome = GenerationOutcome {
        resumed: progress.resumed,
        made: progress.made,
        missing: progress.missing,
        error: progress.error,
        ..GenerationOutcome::default()
    };
    for (item, hash) in items.iter().zip(&hashes) {
        let Some(answer) = journal.get(hash) else {
            continue;
        };
        let stop = answer.get("stop_reason").and_then(Value::as_str);
        outcome.truncated += usize::from(stop == Some("length"));
        let mut record = item.record.clone();
        record.insert("uid".into(), json!(item.id));
        record.insert("model".into(), json!(plan.name));
        record.insert("generation".into(), plan.generation());
        for field in FIELDS {
            let value = answer.get(field).cloned().unwrap_or(Value::Null);
            record.insert(field.into(), value);
        }
        outcome.answered.push(record);
    }
    Ok(outcome)
}
