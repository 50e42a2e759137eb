//! `/v1/counterspeech`: a draft of a reply to a hostile comment.

use axum::extract::State;
use axum::{Extension, Json};
use base::command::any_seed;
use language::counterspeech::{BASELINE, Configuration, Drawing, PROFILING, Prompts, Record};
use language::counterspeech::{clean, is_refusal};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::body::Parsed;
use super::chat::{ChatRequest, ask};
use super::error::ApiError;
use super::gate::Purse;

/// Most texts of a list, and characters of a text.
const MOST: (usize, usize) = (64, 8000);

/// A request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyRequest {
    message: String,
    #[serde(default)]
    parents: Vec<String>,
    #[serde(default)]
    history: Vec<String>,
    community: Option<String>,
    #[serde(default)]
    examples: Vec<String>,
    model: Option<String>,
    seed: Option<u64>,
    temperature: Option<f32>,
    max_tokens: Option<usize>,
}

impl ReplyRequest {
    fn check(&self) -> Result<(), ApiError> {
        if self.message.trim().is_empty() {
            return Err(ApiError::param(
                "message",
                "the message is empty: give the comment to answer",
            ));
        }
        let lists = [&self.parents, &self.history, &self.examples];
        let texts = lists.into_iter().flatten().chain([&self.message]);
        let fits = lists.iter().all(|list| list.len() <= MOST.0)
            && texts.into_iter().all(|text| text.len() <= MOST.1);
        if !fits {
            return Err(ApiError::input(format!(
                "give at most {} texts of at most {} bytes each",
                MOST.0, MOST.1
            )));
        }
        Ok(())
    }
}

/// Drafts a reply.
///
/// # Errors
/// [`ApiError`].
pub async fn reply(
    State(server): State<Shared>,
    Extension(purse): Extension<Purse>,
    Parsed(request): Parsed<ReplyRequest>,
) -> Result<Json<Value>, ApiError> {
    request.check()?;
    let prompts = Prompts::default();
    let record = Record::single(
        &request.message,
        &request.parents,
        (request.community.as_deref(), &request.examples),
        &request.history,
    );
    let configuration = Configuration {
        model: BASELINE.to_owned(),
        context: record.blocks("Hi"),
    };
    let prompt = prompts.fill(&record, &configuration, None);
    let usual = Drawing::default();
    let seed = request.seed.unwrap_or_else(any_seed);
    let messages = vec![
        json!({"role": "system", "content": prompt.system}),
        json!({"role": "user", "content": prompt.user}),
    ];
    let settings = json!({
        "model": request.model, "seed": seed as i64, "top_p": usual.top_p,
        "temperature": request.temperature.unwrap_or(usual.temperature),
        "max_tokens": request.max_tokens.unwrap_or(usual.max_tokens),
    });
    let texts = ask(&server, ChatRequest::plain(messages, settings)?, purse).await?;
    let text = clean(&texts.concat());
    let note = prompts.profiles(&configuration).then_some(PROFILING);
    Ok(Json(json!({
        "refused": is_refusal(&text, &request.message), "text": text, "config": configuration.id(), "seed": seed,
        "prompt_sha": prompt.sha, "machine_text": true, "note": note,
    })))
}
