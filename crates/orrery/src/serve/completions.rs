//! `/v1/completions`: texts that are gone on with.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::Shared;
use super::answer::{Texts, Usage, Writer, finite, spelled, stream, whole};
use super::body::Parsed;
use super::error::ApiError;
use super::gate::{Purse, RequestId};
use super::models::Model;
use super::row::{Event, Reason, Token};
use super::settings::{OneOrMany, Plan, Settings};

/// Tokens where none are asked for, as at OpenAI.
const USUAL: usize = 16;

/// Texts or their tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`prompt` is a text, a list of texts, a list of tokens, or a list of such lists"
)]
enum Prompts {
    Texts(OneOrMany),
    Tokens(Vec<u32>),
    Many(Vec<Vec<u32>>),
}

/// A request.
#[derive(Clone, Debug, Deserialize)]
pub struct CompletionRequest {
    prompt: Prompts,
    #[serde(flatten)]
    settings: Settings,
    #[serde(default)]
    logprobs: Option<usize>,
    #[serde(default)]
    echo: Option<bool>,
    #[serde(default)]
    suffix: Option<String>,
    #[serde(default)]
    best_of: Option<usize>,
}

impl CompletionRequest {
    fn check(&self) -> Result<(), ApiError> {
        if self.suffix.as_ref().is_some_and(|it| !it.is_empty()) {
            return Err(ApiError::param(
                "suffix",
                "texts are gone on with, not filled in: leave `suffix` out",
            ));
        }
        if self
            .best_of
            .is_some_and(|best| Ok(best) != self.settings.texts())
        {
            return Err(ApiError::param(
                "best_of",
                "`best_of` is as large as `n`: leave it out",
            ));
        }
        if self.echo == Some(true) && self.settings.streams() {
            return Err(ApiError::param(
                "echo",
                "`echo` does not stream: leave one of the two out",
            ));
        }
        Ok(())
    }

    fn prompts(&self, model: &Model) -> Result<Vec<Vec<u32>>, ApiError> {
        let tokenizer = model.tokenizer();
        let encode = |text: &String| -> Result<Vec<u32>, ApiError> {
            let ids = model.encode(text, "prompt")?;
            // Without a begin token an empty text still needs something to go on from.
            Ok(match (ids.is_empty(), tokenizer.special().eos) {
                (true, Some(eos)) => vec![eos],
                _ => ids,
            })
        };
        let vocab = model.decoder().config().vocab;
        let check = |ids: &Vec<u32>| match ids.iter().all(|id| (*id as usize) < vocab) {
            true => Ok(ids.clone()),
            false => Err(ApiError::param(
                "prompt",
                format!("a token is not below {vocab}"),
            )),
        };
        match &self.prompt {
            Prompts::Texts(OneOrMany::One(text)) => Ok(vec![encode(text)?]),
            Prompts::Texts(OneOrMany::Many(texts)) => texts.iter().map(encode).collect(),
            Prompts::Tokens(ids) => Ok(vec![check(ids)?]),
            Prompts::Many(lists) => lists.iter().map(check).collect(),
        }
    }
}

/// Goes on with texts.
///
/// # Errors
/// [`ApiError`].
pub async fn completions(
    State(server): State<Shared>,
    Extension(RequestId(id)): Extension<RequestId>,
    Extension(purse): Extension<Purse>,
    Parsed(request): Parsed<CompletionRequest>,
) -> Result<Response, ApiError> {
    request.check()?;
    let settings = &request.settings;
    let chosen = server.models.get(settings.model.as_deref()).await?;
    let model = chosen.0.clone();
    let name = settings.model.clone().unwrap_or_else(|| model.id.clone());
    let (seed, bounds) = (settings.seed(), server.bounds);
    let each = settings.texts()?;
    let (streams, usage) = (settings.streams(), settings.tells_usage());
    let (events, receiver) = unbounded_channel();
    if server.log_prompts {
        base::command::eprint_line(&format!("{id} prompt {:?}", request.prompt));
    }
    let work = move || -> Result<_, ApiError> {
        let prompts = request.prompts(&model)?;
        let jobs = request.settings.jobs(Plan {
            chosen: &chosen,
            prompts,
            seed,
            bounds,
            top: request.logprobs,
            echo: request.echo == Some(true),
            grammar: request.settings.grammar(),
            usual: USUAL,
            events,
        })?;
        Ok((jobs, request.logprobs.is_some(), model))
    };
    let made = tokio::task::spawn_blocking(work)
        .await
        .map_err(ApiError::failed)?;
    let (jobs, logs, model) = made?;
    let count = jobs.len();
    server.batch.submit(jobs)?;
    let texts = Texts {
        events: receiver,
        count,
        each,
        purse,
    };
    let writer = TextWriter {
        model,
        id,
        name,
        created: super::now(),
        seed,
        logs,
        usage,
        choices: (0..count).map(|_| ChoiceText::default()).collect(),
    };
    match streams {
        true => Ok(stream(texts, writer)),
        false => whole(texts, writer).await,
    }
}

/// A text and its tokens.
#[derive(Default)]
struct ChoiceText {
    text: String,
    tokens: Vec<Token>,
    reason: Option<Reason>,
    /// Characters before the tokens that come.
    offset: usize,
}

/// Writes text completions.
struct TextWriter {
    model: Arc<Model>,
    id: String,
    name: String,
    created: u64,
    seed: u64,
    logs: bool,
    usage: bool,
    choices: Vec<ChoiceText>,
}

impl TextWriter {
    fn frame(&self, choices: Value) -> Value {
        json!({
            "id": format!("cmpl-{}", self.id), "object": "text_completion", "created": self.created,
            "model": self.name, "system_fingerprint": super::FINGERPRINT, "choices": choices,
        })
    }

    /// Log-probabilities as text completions write them; `offset` counts characters.
    fn logs(&self, tokens: &[Token], offset: &mut usize) -> Option<Value> {
        if !self.logs {
            return None;
        }
        let tokenizer = self.model.tokenizer();
        let (mut words, mut logs, mut top, mut offsets) = (vec![], vec![], vec![], vec![]);
        for token in tokens {
            let (word, _) = spelled(tokenizer, token.id);
            offsets.push(*offset);
            *offset += word.chars().count();
            words.push(word);
            logs.push(token.log_probability.map(finite));
            let likeliest = token
                .top
                .iter()
                .map(|&(id, log)| (spelled(tokenizer, id).0, json!(finite(log))));
            let likeliest: Map<String, Value> = likeliest.collect();
            top.push(if token.log_probability.is_some() {
                Value::Object(likeliest)
            } else {
                Value::Null
            });
        }
        Some(
            json!({"tokens": words, "token_logprobs": logs, "top_logprobs": top, "text_offset": offsets}),
        )
    }

    fn piece(
        &self,
        index: usize,
        text: &str,
        logs: Option<Value>,
        reason: Option<Reason>,
    ) -> Value {
        let choice = json!({"index": index, "text": text, "logprobs": logs, "finish_reason": reason.map(finish)});
        self.frame(json!([choice]))
    }
}

fn finish(reason: Reason) -> &'static str {
    match reason {
        Reason::Length => "length",
        Reason::Stop => "stop",
    }
}

impl Writer for TextWriter {
    fn pieces(&mut self, index: usize, event: &Event) -> Vec<Value> {
        match event {
            Event::Token(token) if !token.text.is_empty() || self.logs => {
                let mut offset = self.choices[index].offset;
                let logs = self.logs(std::slice::from_ref(token), &mut offset);
                self.choices[index].offset = offset;
                vec![self.piece(index, &token.text, logs, None)]
            }
            Event::End(end) => vec![self.piece(index, &end.text, None, Some(end.reason))],
            _ => Vec::new(),
        }
    }

    fn usage(&self, usage: &Usage) -> Option<Value> {
        self.usage.then(|| {
            let mut last = self.frame(json!([]));
            last["usage"] = usage.json();
            last
        })
    }

    fn take(&mut self, index: usize, event: Event) {
        let tokenizer = self.model.tokenizer();
        let choice = &mut self.choices[index];
        match event {
            Event::Prompt(tokens) => {
                let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
                let bytes: Vec<u8> = ids
                    .iter()
                    .flat_map(|&id| spelled(tokenizer, id).1)
                    .collect();
                choice.text.push_str(&String::from_utf8_lossy(&bytes));
                choice.tokens.extend(tokens);
            }
            Event::Token(token) => {
                choice.text.push_str(&token.text);
                if self.logs {
                    choice.tokens.push(token);
                }
            }
            Event::End(end) => {
                choice.text.push_str(&end.text);
                choice.reason = Some(end.reason);
            }
            Event::Failed(_) => {}
        }
    }

    fn whole(&mut self, usage: &Usage) -> Value {
        let choices = self.choices.iter().enumerate().map(|(index, choice)| {
            let logs = self.logs(&choice.tokens, &mut 0);
            json!({"index": index, "text": choice.text, "logprobs": logs, "finish_reason": choice.reason.map(finish)})
        });
        let mut answer = self.frame(choices.collect());
        answer["usage"] = usage.json();
        answer["seed"] = json!(self.seed);
        answer
    }
}
