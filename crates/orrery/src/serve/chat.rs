//! `/v1/chat/completions`.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use engine::text::{ChatInput, Moment};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::answer::{Texts, Writer, stream, whole};
use super::body::{Parsed, read};
use super::chat_writer::{ChatWriter, ChoiceText};
use super::error::ApiError;
use super::gate::{Purse, RequestId};
use super::models::Model;
use super::row::Event;
use super::settings::{Plan, Settings};
use super::tools::{self, Choice};
use super::{Shared, proxy};

/// Most messages.
const MOST_MESSAGES: usize = 4096;

/// A request.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatRequest {
    /// The conversation.
    pub messages: Vec<Value>,
    #[serde(flatten)]
    settings: Settings,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    top_logprobs: Option<usize>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    chat_template_kwargs: Option<Map<String, Value>>,
}

impl ChatRequest {
    /// A plain question, as other endpoints ask it.
    pub fn plain(messages: Vec<Value>, settings: Value) -> Result<Self, ApiError> {
        let settings = serde_json::from_value(settings).map_err(ApiError::input)?;
        Ok(Self {
            messages,
            settings,
            logprobs: None,
            top_logprobs: None,
            tools: None,
            tool_choice: None,
            chat_template_kwargs: None,
        })
    }
}

/// Answers a conversation.
///
/// # Errors
/// [`ApiError`].
pub async fn completions(
    State(server): State<Shared>,
    Extension(id): Extension<RequestId>,
    Extension(purse): Extension<Purse>,
    Parsed(body): Parsed<Value>,
) -> Result<Response, ApiError> {
    let name = body.get("model").and_then(Value::as_str);
    if let (Some(upstream), Some(name)) = (&server.upstream, name)
        && !server.models.has(name)
    {
        return proxy::completions(server.clone(), upstream.clone(), id, purse, body).await;
    }
    let request: ChatRequest = read(body)?;
    answer(server, request, id, purse).await
}

/// Answers a request that was read.
///
/// # Errors
/// [`ApiError`].
pub async fn answer(
    server: Shared,
    request: ChatRequest,
    RequestId(id): RequestId,
    purse: Purse,
) -> Result<Response, ApiError> {
    let streams = request.settings.streams();
    let (texts, writer) = begin(&server, request, id, purse).await?;
    match streams {
        true => Ok(stream(texts, writer)),
        false => whole(texts, writer).await,
    }
}

/// Begins the texts of a request.
async fn begin(
    server: &Shared,
    request: ChatRequest,
    id: String,
    purse: Purse,
) -> Result<(Texts, ChatWriter), ApiError> {
    let settings = &request.settings;
    let chosen = server.models.get(settings.model.as_deref()).await?;
    let model = chosen.0.clone();
    let name = settings.model.clone().unwrap_or_else(|| model.id.clone());
    let (seed, bounds) = (settings.seed(), server.bounds);
    let each = settings.texts()?;
    let usage = settings.tells_usage();
    let (events, receiver) = unbounded_channel();
    if server.log_prompts {
        let said = Value::Array(request.messages.clone()).to_string();
        base::command::eprint_line(&format!("{id} prompt {said}"));
    }
    // Templates, grammars and guides take time, which the runtime's threads do not have.
    let work = move || -> Result<_, ApiError> {
        let tools = request.tools.as_deref().unwrap_or_default();
        let choice = tools::choice(request.tool_choice.as_ref(), tools)?;
        let offered: &[Value] = if choice == Choice::None { &[] } else { tools };
        let prompt = prompt(&model, &request, offered)?;
        let grammar = match (&choice, request.settings.grammar()) {
            (Choice::Required(names), _) => Some(tools::grammar(tools, names)),
            (_, grammar) => grammar,
        };
        let top = (request.logprobs == Some(true)).then(|| request.top_logprobs.unwrap_or(0));
        let jobs = request.settings.jobs(Plan {
            chosen: &chosen,
            prompts: vec![prompt],
            seed,
            bounds,
            top,
            echo: false,
            grammar,
            usual: usize::MAX,
            events,
        })?;
        Ok((jobs, tools::names(offered), top.is_some(), model))
    };
    let made = tokio::task::spawn_blocking(work)
        .await
        .map_err(ApiError::failed)?;
    let (jobs, tools, logs, model) = made?;
    server.batch.submit(jobs)?;
    let texts = Texts {
        events: receiver,
        count: each,
        each,
        purse,
    };
    let choice = || ChoiceText::default();
    Ok((
        texts,
        ChatWriter {
            model,
            id,
            name,
            created: super::now(),
            seed,
            logs,
            usage,
            tools,
            choices: (0..each).map(|_| choice()).collect(),
        },
    ))
}

/// The tokens of a conversation.
fn prompt(model: &Model, request: &ChatRequest, tools: &[Value]) -> Result<Vec<u32>, ApiError> {
    if request.messages.is_empty() || request.messages.len() > MOST_MESSAGES {
        return Err(ApiError::param(
            "messages",
            format!("give 1 to {MOST_MESSAGES} messages"),
        ));
    }
    let messages = request
        .messages
        .iter()
        .map(message)
        .collect::<Result<Vec<_>, _>>()?;
    let mut input = ChatInput {
        messages,
        tools: if tools.is_empty() {
            Value::Null
        } else {
            json!(tools)
        },
        add_generation_prompt: true,
        extra: request.chat_template_kwargs.clone().unwrap_or_default(),
        now: Moment::now(),
        ..ChatInput::default()
    };
    let tokenizer = model.tokenizer();
    let template = tokenizer.chat()?;
    if !tools.is_empty() {
        let with = template.render(&input)?;
        let without = ChatInput {
            tools: Value::Null,
            ..input.clone()
        };
        if with == template.render(&without)? {
            // The template knows no tools: they are described in words.
            let described = tools::described(tools);
            match input.messages.first_mut() {
                Some(first) if first["role"] == "system" => {
                    let said = first["content"].as_str().unwrap_or_default();
                    first["content"] = json!(format!("{said}\n\n{described}"));
                }
                _ => input
                    .messages
                    .insert(0, json!({"role": "system", "content": described})),
            }
        }
    }
    Ok(template.encode(tokenizer, &input)?)
}

/// A message as templates expect it: its content is one text, arguments of calls are objects.
fn message(message: &Value) -> Result<Value, ApiError> {
    let wrong = |what: &str| Err(ApiError::param("messages", what));
    let Some(fields) = message.as_object() else {
        return wrong("a message is an object with `role` and `content`");
    };
    let mut fields = fields.clone();
    let role = match fields.get("role").and_then(Value::as_str) {
        Some("developer") => "system",
        Some(role @ ("system" | "user" | "assistant" | "tool" | "function")) => role,
        _ => return wrong("the role of a message is system, developer, user, assistant or tool"),
    }
    .to_owned();
    let content = match fields.get("content") {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(parts)) => {
            let mut text = String::new();
            for part in parts {
                match part.get("text").and_then(Value::as_str) {
                    Some(one) => text.push_str(one),
                    None => {
                        return wrong(
                            "a part of a content is not text: these models read text only",
                        );
                    }
                }
            }
            text
        }
        Some(_) => return wrong("the content of a message is a text or a list of parts"),
    };
    fields.insert("role".into(), json!(role));
    fields.insert("content".into(), json!(content));
    if let Some(Value::Array(calls)) = fields.get_mut("tool_calls") {
        for call in calls {
            let arguments = call.pointer_mut("/function/arguments");
            if let Some(Value::String(text)) = arguments
                && let Ok(object @ Value::Object(_)) = serde_json::from_str::<Value>(text)
                && let Some(place) = call.pointer_mut("/function/arguments")
            {
                *place = object;
            }
        }
    }
    Ok(Value::Object(fields))
}

/// The texts of a plain question, for other endpoints.
///
/// # Errors
/// [`ApiError`].
pub async fn ask(
    server: &Shared,
    request: ChatRequest,
    purse: Purse,
) -> Result<Vec<String>, ApiError> {
    let (mut texts, mut writer) = begin(server, request, "inner".into(), purse).await?;
    let mut left = texts.count;
    let mut tokens = 0;
    while left > 0 {
        let Some((index, event)) = texts.events.recv().await else {
            return Err(ApiError::failed("the text broke off"));
        };
        match &event {
            Event::Failed(error) => return Err(error.clone()),
            Event::End(end) => {
                left -= 1;
                tokens += end.tokens + end.prompt;
            }
            _ => {}
        }
        writer.take(index, event);
    }
    texts.purse.spend(tokens);
    Ok(writer
        .choices
        .into_iter()
        .map(|choice| choice.text)
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_what_templates_expect() {
        let parts = json!({"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
        assert_eq!(
            message(&parts).unwrap(),
            json!({"role": "system", "content": "ab"})
        );
        let call = json!({"role": "assistant", "content": null,
            "tool_calls": [{"function": {"name": "f", "arguments": "{\"a\":1}"}}]});
        let made = message(&call).unwrap();
        assert_eq!(
            made["tool_calls"][0]["function"]["arguments"],
            json!({"a": 1})
        );
        assert_eq!(made["content"], "");
        for wrong in [
            json!(1),
            json!({"role": "king", "content": "x"}),
            json!({"role": "user", "content": 1}),
            json!({"role": "user", "content": [{"type": "image_url"}]}),
        ] {
            assert!(message(&wrong).is_err(), "{wrong}");
        }
    }
}
