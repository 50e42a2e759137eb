//! `/v1/moderations` and `/v1/guardian/check`: what the guard says of messages.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::{Extension, Json};
use engine::weights::hub::{HubSettings, resolve};
use language::guardian::pipeline::Assessment;
use language::guardian::{Guardian, GuardianOptions, Message, RiskConfig};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Shared;
use super::body::Parsed;
use super::error::ApiError;
use super::gate::{Purse, RequestId};
use super::settings::OneOrMany;

/// Risks of a message that moderation looks for.
const RISKS: [&str; 6] = [
    "harm",
    "social_bias",
    "profanity",
    "sexual_content",
    "unethical_behavior",
    "violence",
];
/// OpenAI's names of categories that one of our risks stands for.
const CATEGORIES: [(&str, &str); 4] = [
    ("hate", "social_bias"),
    ("sexual", "sexual_content"),
    ("illicit", "unethical_behavior"),
    ("violence", "violence"),
];
/// Most texts of a request, and most risks.
const MOST: usize = 32;
/// Most bytes of the messages of a request.
const LONGEST: usize = 200_000;

/// The guard, read when it is first asked.
pub struct Guard {
    source: String,
    read: OnceLock<Result<Arc<Guardian>, ApiError>>,
}

impl Guard {
    /// The guard on the model `given`, else on `smollm2` where it was pulled, else on `first`.
    pub fn new(given: Option<&str>, first: Option<&str>) -> Self {
        let settings = HubSettings::from_environment();
        let usual = resolve(super::USUAL, &settings).is_ok();
        let source = match (given, first) {
            (Some(given), _) => given,
            (None, Some(first)) if !usual => first,
            _ => super::USUAL,
        };
        Self {
            source: source.to_owned(),
            read: OnceLock::new(),
        }
    }

    /// The guard.
    ///
    /// # Errors
    /// [`ApiError`] where its model is not here or no guard fits it.
    pub fn get(&self) -> Result<Arc<Guardian>, ApiError> {
        let load = || {
            let read = Guardian::load(&self.source, GuardianOptions::default());
            read.map(Arc::new)
                .map_err(|error| ApiError::away(format!("the guard cannot be had: {error}")))
        };
        self.read.get_or_init(load).clone()
    }
}

fn risks(names: &[String], definition: Option<&str>) -> Result<Vec<RiskConfig>, ApiError> {
    if names.len() > MOST || (definition.is_some() && names.len() > 1) {
        return Err(ApiError::param(
            "risks",
            "give at most 32 risks, and a definition with one of your own only",
        ));
    }
    if names.is_empty() {
        return Ok(vec![
            RiskConfig::new(None, definition).map_err(ApiError::input)?,
        ]);
    }
    let config = |name: &String| RiskConfig::new(Some(name), definition);
    names
        .iter()
        .map(config)
        .collect::<Result<_, _>>()
        .map_err(ApiError::input)
}

/// Assesses messages; `all`: risks that the guard does not know are an error, else they are left out.
///
/// # Errors
/// [`ApiError`].
pub async fn assess(
    server: &Shared,
    messages: Vec<Message>,
    mut risks: Vec<RiskConfig>,
    all: bool,
    purse: &Purse,
) -> Result<(String, Vec<Assessment>), ApiError> {
    let length = |content: &Value| {
        content
            .as_str()
            .map_or_else(|| content.to_string().len(), str::len)
    };
    let length: usize = messages.iter().map(|it| length(&it.content)).sum();
    if length > LONGEST {
        return Err(ApiError::input(format!(
            "the messages have {length} bytes, and at most {LONGEST} are looked at: split them"
        )));
    }
    let inner = server.clone();
    let found = server.tasks.run(move |left| {
        let guard = inner.guard.get()?;
        if !all {
            risks.retain(|risk| guard.covers(risk).is_ok());
            // Nothing passes that nobody looked at.
            if risks.is_empty() {
                return Err(ApiError::away(
                    "the guard knows none of the risks that are looked for",
                ));
            }
        }
        let mut found = Vec::new();
        for risk in &risks {
            if left.is_true() {
                return Err(ApiError::away("the client disconnected"));
            }
            found.push(guard.assess(&messages, risk).map_err(ApiError::input)?);
        }
        Ok((guard.name().to_owned(), found))
    });
    let (name, found) = found.await?;
    purse.spend(found.iter().map(|it| it.prompt_tokens).sum());
    Ok((name, found))
}

/// A request of [`check`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    #[serde(default)]
    messages: Vec<Message>,
    prompt: Option<String>,
    response: Option<String>,
    context: Option<String>,
    #[serde(default)]
    risks: Vec<String>,
    definition: Option<String>,
}

/// Assesses risks of messages.
///
/// # Errors
/// [`ApiError`].
pub async fn check(
    State(server): State<Shared>,
    Extension(purse): Extension<Purse>,
    Parsed(request): Parsed<CheckRequest>,
) -> Result<Json<Value>, ApiError> {
    let mut messages = request.messages;
    let short = [
        ("context", request.context),
        ("user", request.prompt),
        ("assistant", request.response),
    ];
    for (role, text) in short {
        messages.extend(text.map(|text| Message::new(role, text)));
    }
    if messages.is_empty() {
        return Err(ApiError::param(
            "messages",
            "nothing to assess: give `messages`, or `prompt` and `response`",
        ));
    }
    let risks = risks(&request.risks, request.definition.as_deref())?;
    let (model, found) = assess(&server, messages, risks, true, &purse).await?;
    let flagged = found.iter().any(|it| it.flagged);
    Ok(Json(
        json!({"model": model, "flagged": flagged, "assessments": found}),
    ))
}

/// Texts to be moderated.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`input` is a text, a list of texts, or a list of parts with a `type`"
)]
enum Input {
    Texts(OneOrMany),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

/// A request of [`moderations`].
#[derive(Debug, Deserialize)]
pub struct ModerationRequest {
    input: Input,
}

/// OpenAI's moderation.
///
/// # Errors
/// [`ApiError`].
pub async fn moderations(
    State(server): State<Shared>,
    Extension(RequestId(id)): Extension<RequestId>,
    Extension(purse): Extension<Purse>,
    Parsed(request): Parsed<ModerationRequest>,
) -> Result<Json<Value>, ApiError> {
    let texts = match request.input {
        Input::Texts(OneOrMany::One(text)) => vec![text],
        Input::Texts(OneOrMany::Many(texts)) => texts,
        Input::Parts(parts) => {
            let text = |part: Part| part.text.filter(|_| part.kind == "text");
            let texts: Option<Vec<String>> = parts.into_iter().map(text).collect();
            vec![
                texts
                    .ok_or_else(|| ApiError::param("input", "the guard reads text only"))?
                    .join("\n"),
            ]
        }
    };
    if texts.is_empty() || texts.len() > MOST {
        return Err(ApiError::param("input", format!("give 1 to {MOST} texts")));
    }
    let names = RISKS.map(str::to_owned);
    let (mut results, mut model) = (Vec::new(), String::new());
    for text in texts {
        let message = vec![Message::new("user", text)];
        let (name, found) = assess(&server, message, risks(&names, None)?, false, &purse).await?;
        model = name;
        results.push(result(&found));
    }
    Ok(Json(
        json!({"id": format!("modr-{id}"), "model": model, "results": results}),
    ))
}

fn result(found: &[Assessment]) -> Value {
    let (mut flags, mut scores) = (Map::new(), Map::new());
    let by_name = |risk: &str| found.iter().find(|it| it.risk == risk);
    let ours = RISKS.iter().map(|risk| (*risk, *risk));
    for (name, risk) in ours.chain(CATEGORIES) {
        if let Some(one) = by_name(risk) {
            flags.insert(name.into(), json!(one.flagged));
            scores.insert(name.into(), json!(one.probability));
        }
    }
    json!({"flagged": found.iter().any(|it| it.flagged), "categories": flags, "category_scores": scores})
}
