//! Prompts as chat models read them.

use std::path::Path;

use engine::models::causal_lm::IGNORED;
use engine::text::{ChatInput, ChatTemplate, TextError, Tokenizer};
use serde_json::json;

use super::SystemError;
use crate::moxin::Encoded;

/// The chat layout of Llama 2, for checkpoints that bring none.
const LLAMA2: &str = include_str!("llama2.jinja");

/// The tokenizer of the model at `path`, whose embedding table has `rows` rows, with a chat template.
pub(super) fn open_tokenizer(path: &Path, rows: usize) -> Result<Tokenizer, SystemError> {
    let mut tokenizer = Tokenizer::open(path)?;
    tokenizer.check_rows(rows)?;
    if tokenizer.chat().is_err() && looks_like_llama2(&tokenizer) {
        tokenizer.set_chat_template(LLAMA2)?;
    }
    tokenizer.chat()?;
    Ok(tokenizer)
}

/// A system message, or none where it is empty, and a user's, which shall be answered.
pub(super) fn conversation(system: &str, user: &str) -> ChatInput {
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let mut input = ChatInput::new(&[]);
    if !system.is_empty() {
        input.messages.push(message("system", system));
    }
    input.messages.push(message("user", user));
    input
}

/// A reply behind its prompt, as [`Replier`](super::Replier) would have written it; at most `length` tokens. Only the reply
/// and the token that ends it have labels.
///
/// # Errors
/// [`SystemError::Text`], and [`SystemError::Input`] for a chat template that puts no reply behind the prompt.
pub fn encode_reply(
    tokenizer: &Tokenizer,
    [system, user]: [&str; 2],
    reply: &str,
    length: usize,
) -> Result<Encoded, SystemError> {
    let chat = tokenizer.chat()?;
    let mut input = conversation(system, user);
    let prompt = chat.encode(tokenizer, &input)?;
    input.add_generation_prompt = false;
    let answer = json!({"role": "assistant", "content": reply.trim()});
    input.messages.push(answer);
    let mut ids = chat.encode(tokenizer, &input)?;
    if !ids.starts_with(&prompt) {
        return Err(SystemError::Input(format!(
            "the chat template of `{}` puts no reply behind the prompt: take another base",
            tokenizer.origin()
        )));
    }
    // What the template writes behind the end token is never generated.
    let ends = &tokenizer.special().end;
    let end = ids.iter().rposition(|id| ends.contains(id));
    if let Some(end) = end.filter(|end| *end >= prompt.len()) {
        ids.truncate(end + 1);
    }
    ids.truncate(length);
    let label = |(at, &id): (usize, &u32)| match at < prompt.len() {
        true => IGNORED,
        false => id as i32,
    };
    Ok(Encoded {
        labels: ids.iter().enumerate().map(label).collect(),
        ids,
    })
}

/// Vocabularies of Llama 2 mark the begin and end of a text so.
fn looks_like_llama2(tokenizer: &Tokenizer) -> bool {
    tokenizer.len() <= 32_064
        && tokenizer.added_id("<s>").is_some()
        && tokenizer.added_id("</s>").is_some()
}

/// The text of a conversation in the layout of Llama 2, its control tokens as text. `messages` are objects with `role` and
/// `content`: a system message or none, then user and assistant in turn.
///
/// # Errors
/// [`TextError::Template`] where they do not take turns.
pub fn llama2_chat(messages: &[serde_json::Value]) -> Result<String, TextError> {
    let mut input = ChatInput::new(&[]);
    input.messages = messages.to_vec();
    ChatTemplate::new(LLAMA2, "<s>", "</s>")?.render(&input)
}
