//! Another endpoint behind the guard: questions are screened on their way there, answers on their way back.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::endpoint::{
    ChatError, ChatModel, Dialect, Endpoint, EndpointConfig, Message as Asked, Prompt, Request,
    Retry,
};
use language::guardian::pipeline::Assessment;
use language::guardian::{Message, RiskConfig};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::ApiError;
use super::gate::{Purse, RequestId};
use super::guard::assess;

/// What questions and answers are screened for.
const QUESTION: [&str; 2] = ["harm", "jailbreak"];
const ANSWER: [&str; 1] = ["harm"];
/// Tokens of an answer where none are asked for.
const USUAL: u32 = 1024;

/// Where other models are.
#[derive(Debug)]
pub struct Upstream {
    /// Base address.
    pub url: String,
    /// The key that it wants.
    pub key: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Passed {
    model: String,
    messages: Vec<Said>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    tools: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Said {
    role: String,
    content: String,
}

/// Asks the other endpoint.
///
/// # Errors
/// [`ApiError`]: what the guard cannot read, and what the other endpoint reports.
pub async fn completions(
    server: Shared,
    upstream: Arc<Upstream>,
    RequestId(id): RequestId,
    purse: Purse,
    body: Value,
) -> Result<Response, ApiError> {
    let passed: Passed = serde_json::from_value(body).map_err(|error| {
        ApiError::input(format!(
            "the request cannot be passed on (texts only): {error}"
        ))
    })?;
    if passed.tools.as_ref().is_some_and(|tools| !tools.is_null()) {
        return Err(ApiError::param(
            "tools",
            "tools are not passed on: leave them out",
        ));
    }
    let stream = passed.stream == Some(true);
    let question = passed
        .messages
        .iter()
        .rev()
        .find(|said| said.role == "user");
    let question = question.map(|said| Message::new("user", said.content.as_str()));
    let question = question
        .ok_or_else(|| ApiError::param("messages", "there is no user's message to screen"))?;
    let (guard, found) = assess(
        &server,
        vec![question.clone()],
        risks(&QUESTION)?,
        false,
        &purse,
    )
    .await?;
    let mut screened = json!({"model": guard, "prompt": found});
    let (name, mut text, mut finish) = (
        passed.model.clone(),
        String::new(),
        "content_filter".to_owned(),
    );
    let mut usage = [0, 0];
    if !flagged(&found) {
        let reply = server.tasks.run(move |_| ask(&upstream, &passed));
        let reply = reply.await?;
        usage = [reply.prompt_tokens, reply.output_tokens].map(Option::unwrap_or_default);
        let both = vec![question, Message::new("assistant", reply.text.as_str())];
        let (_, found) = assess(&server, both, risks(&ANSWER)?, false, &purse).await?;
        if !flagged(&found) {
            text = reply.text;
            finish = reply.stop_reason.unwrap_or_else(|| "stop".into());
        }
        screened["answer"] = json!(found);
    }
    let mut answer = json!({
        "id": format!("chatcmpl-{id}"), "created": super::now(), "model": name, "guardian": screened,
    });
    if stream {
        answer["object"] = json!("chat.completion.chunk");
        let mut choice = json!({"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null});
        answer["choices"] = json!([choice]);
        let first = answer.to_string();
        choice["delta"] = json!({});
        choice["finish_reason"] = json!(finish);
        answer["choices"] = json!([choice]);
        let body = format!("data: {first}\n\ndata: {answer}\n\ndata: [DONE]\n\n");
        return Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response());
    }
    answer["object"] = json!("chat.completion");
    answer["choices"] = json!([{
        "index": 0, "message": {"role": "assistant", "content": text}, "logprobs": null, "finish_reason": finish,
    }]);
    answer["usage"] = json!({
        "prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": usage[0] + usage[1],
    });
    Ok(Json(answer).into_response())
}

fn flagged(found: &[Assessment]) -> bool {
    found.iter().any(|it| it.flagged)
}

fn risks(names: &[&str]) -> Result<Vec<RiskConfig>, ApiError> {
    let config = |name: &&str| RiskConfig::new(Some(name), None).map_err(ApiError::input);
    names.iter().map(config).collect()
}

fn ask(upstream: &Upstream, passed: &Passed) -> Result<base::endpoint::Reply, ApiError> {
    let config = EndpointConfig {
        url: upstream.url.clone(),
        model: passed.model.clone(),
        key: upstream.key.clone(),
        timeout: Duration::from_secs(300),
        retry: Retry::default(),
        dialect: Dialect::default(),
    };
    let endpoint = Endpoint::new(config, None).map_err(ApiError::failed)?;
    let message = |said: &Said| Asked {
        role: said.role.clone(),
        content: said.content.clone(),
        pictures: Vec::new(),
    };
    let request = Request {
        prompt: Prompt::Chat(passed.messages.iter().map(message).collect()),
        temperature: passed.temperature.unwrap_or(1.0),
        max_tokens: passed
            .max_completion_tokens
            .or(passed.max_tokens)
            .unwrap_or(USUAL),
        seed: passed.seed,
    };
    endpoint.reply(&request).map_err(|error| match &error {
        ChatError::Refused { status, .. } => {
            let status = StatusCode::from_u16(*status)
                .ok()
                .filter(StatusCode::is_client_error);
            // Its keys are this server's business, not the client's.
            let status = status.filter(|it| !matches!(it.as_u16(), 401 | 403));
            ApiError::status(status.unwrap_or(StatusCode::BAD_GATEWAY), &error)
        }
        _ => ApiError::status(StatusCode::BAD_GATEWAY, &error),
    })
}
