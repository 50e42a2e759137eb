//! Conversations as tokens and labels (Tulu format), and pairs of prompt and completion.

use engine::models::causal_lm::IGNORED;
use engine::text::Tokenizer;
use serde::{Deserialize, Serialize};

use super::SystemError;

/// The Tulu format as a chat template, for `tokenizer_config.json`: role lines are plain text, answers end with the end token.
pub const TULU: &str = "{% for message in messages %}\
{% if message['role'] == 'assistant' %}{{ '<|assistant|>\\n' + (message['content'] | trim) + eos_token + '\\n' }}\
{% else %}{{ '<|' + message['role'] + '|>\\n' + (message['content'] | trim) + '\\n' }}{% endif %}\
{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// Questions.
    User,
    /// Answers: what is learned.
    Assistant,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What.
    pub content: String,
}

impl Message {
    /// A message.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        let content = content.into();
        Self { role, content }
    }
}

/// Tokens and what is learned of them: a label equals its token, or is [`IGNORED`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens, the one that begins a text included.
    pub ids: Vec<u32>,
    /// As many labels.
    pub labels: Vec<i32>,
}

impl Encoded {
    /// Whether nothing of it is learned.
    pub fn is_silent(&self) -> bool {
        self.labels.iter().skip(1).all(|&label| label == IGNORED)
    }
}

/// The text of messages; `</s>` is `end`.
fn text_of(messages: &[Message], end: &str) -> String {
    let mut text = String::new();
    for message in messages {
        let content = message.content.trim();
        match message.role {
            Role::System => text.push_str(&format!("<|system|>\n{content}\n")),
            Role::User => text.push_str(&format!("<|user|>\n{content}\n")),
            Role::Assistant => text.push_str(&format!("<|assistant|>\n{content}{end}\n")),
        }
    }
    text
}

/// How the end token is written.
fn end_of(tokenizer: &Tokenizer) -> Result<String, SystemError> {
    let special = tokenizer.special();
    let id = special.eos.or(special.end.first().copied());
    let known = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>"];
    let written = id.and_then(|id| {
        let mut all = tokenizer.control_tokens();
        all.find(|(other, _)| *other == id).map(|(_, text)| text)
    });
    written
        .or_else(|| known.into_iter().find(|text| tokenizer.added_id(text).is_some()))
        .map(str::to_owned)
        .ok_or_else(|| {
            SystemError::Input(format!(
                "the tokenizer `{}` has no token that ends a text: name one as `eos_token` in its `tokenizer_config.json`",
                tokenizer.origin()
            ))
        })
}

/// At most `limit` tokens of a text of ours, in which the end token is one.
fn encode(tokenizer: &Tokenizer, text: &str, limit: usize) -> Result<Vec<u32>, SystemError> {
    let (before, after) = tokenizer.around();
    let mut ids = before.to_vec();
    ids.extend(tokenizer.encode_with_special(text)?);
    ids.extend(after);
    ids.truncate(limit);
    Ok(ids)
}

/// A control token in what somebody wrote would steer the model: such examples are refused.
fn check(tokenizer: &Tokenizer, texts: &[&str]) -> Result<(), SystemError> {
    for (_, marker) in tokenizer.control_tokens() {
        if texts.iter().any(|text| text.contains(marker)) {
            return Err(SystemError::Input(format!(
                "a text holds `{marker}`, which steers the model: take it out of the text"
            )));
        }
    }
    Ok(())
}

/// A conversation, at most `limit` tokens of it. Everything but what the assistant says is [`IGNORED`], its header included. The
/// ends of masked parts are found by encoding the beginnings of the text: where tokens merge across an end, it is off by one,
/// as in the official code.
///
/// # Errors
/// [`SystemError::Input`] for a control token in a message; what the tokenizer reports.
pub fn encode_messages(
    tokenizer: &Tokenizer,
    messages: &[Message],
    limit: usize,
) -> Result<Encoded, SystemError> {
    let contents: Vec<&str> = messages.iter().map(|it| it.content.as_str()).collect();
    check(tokenizer, &contents)?;
    let end = end_of(tokenizer)?;
    let ids = encode(tokenizer, text_of(messages, &end).trim(), limit)?;
    let mut labels: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let length = |text: String| Ok::<_, SystemError>(encode(tokenizer, &text, limit)?.len());
    for (at, message) in messages.iter().enumerate() {
        if message.role == Role::Assistant {
            continue;
        }
        let from = match at {
            0 => 0,
            _ => length(text_of(&messages[..at], &end))?,
        };
        let mut so_far = text_of(&messages[..=at], &end);
        if messages
            .get(at + 1)
            .is_some_and(|next| next.role == Role::Assistant)
        {
            so_far.push_str("<|assistant|>\n");
        }
        let to = length(so_far)?;
        if let Some(masked) = labels.get_mut(from..to.min(ids.len())) {
            masked.fill(IGNORED);
        }
        if to >= limit {
            break;
        }
    }
    Ok(Encoded { ids, labels })
}

/// A prompt and its completion, joined by a space unless one of them has white space there; the prompt is [`IGNORED`].
///
/// # Errors
/// As [`encode_messages`].
pub fn encode_completion(
    tokenizer: &Tokenizer,
    prompt: &str,
    completion: &str,
    limit: usize,
) -> Result<Encoded, SystemError> {
    check(tokenizer, &[prompt, completion])?;
    let end = end_of(tokenizer)?;
    let spaced = prompt.ends_with([' ', '\n', '\t']) || completion.starts_with([' ', '\n', '\t']);
    let between = if spaced { "" } else { " " };
    let ids = encode(
        tokenizer,
        &format!("{prompt}{between}{completion}{end}"),
        limit,
    )?;
    let masked = encode(tokenizer, prompt, limit)?.len();
    let labels = ids.iter().enumerate().map(|(at, &id)| match at < masked {
        true => IGNORED,
        false => id as i32,
    });
    Ok(Encoded {
        labels: labels.collect(),
        ids,
    })
}

/// The tokens of a conversation that the assistant shall answer, at most the last `limit` of them where it is too long.
///
/// # Errors
/// As [`encode_messages`].
pub fn encode_question(
    tokenizer: &Tokenizer,
    messages: &[Message],
    limit: usize,
) -> Result<Vec<u32>, SystemError> {
    let contents: Vec<&str> = messages.iter().map(|it| it.content.as_str()).collect();
    check(tokenizer, &contents)?;
    let end = end_of(tokenizer)?;
    let text = text_of(messages, &end) + "<|assistant|>\n";
    let ids = encode(tokenizer, &text, usize::MAX)?;
    Ok(ids[ids.len().saturating_sub(limit)..].to_vec())
}
