//! What chat and text completions have in common: how tokens are chosen, and what ends a text.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base::command::any_seed;
use base::rng::Rng;
use engine::decode::{DecodeError, GrammarKind, Sampler, SamplerConfig};
use engine::models::decoder::Cache;
use language::harp::HarpConfig;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::error::ApiError;
use super::models::{Adapters, Model, Named};
use super::row::{Event, Guide, Job, Way};
use std::sync::Arc;

/// Most texts of a request.
const MOST_TEXTS: usize = 32;
/// Most log-probabilities of a token.
const MOST_TOP: usize = 20;
/// Most stop strings, and the longest.
const STOPS: (usize, usize) = (16, 256);
/// Most second looks of a token: each may read the whole text again.
const MOST_LOOKS: usize = 4;
/// Candidates of a guided text where none are asked for, and most.
const CANDIDATES: (usize, usize) = (4, 16);

/// One text or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "give a text, or a list of texts")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// HARP, switched on or described.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`harp` is true, false, or an object of numbers `theta`, `delta`, `beta`, `steps`, `window` and of words \
                 `metric`, `noise`, `mask`"
)]
pub enum Harp {
    /// With the paper's settings, or not at all.
    Switch(bool),
    /// With these.
    Settings(HarpConfig),
}

/// Where a text leans.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuideSettings {
    towards: Named,
    #[serde(default)]
    away: Option<Named>,
    #[serde(default)]
    k: Option<usize>,
    #[serde(default)]
    weight: Option<f32>,
}

/// What an answer has to fit.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Format {
    /// Anything.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that is valid under a schema.
    JsonSchema {
        /// OpenAI's object around it.
        json_schema: SchemaField,
    },
    /// Text that matches a pattern. Ours.
    Regex {
        /// In the syntax of the `regex` crate.
        pattern: String,
    },
    /// Text of a grammar. Ours.
    Grammar {
        /// In Lark's syntax.
        grammar: String,
    },
}

/// OpenAI's object around a schema.
#[derive(Clone, Debug, Deserialize)]
pub struct SchemaField {
    schema: Value,
}

/// Fields of both kinds of requests. Null is as absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The model; absent: the first.
    pub model: Option<String>,
    /// Whether the answer comes in pieces.
    pub stream: Option<bool>,
    /// What a stream ends with.
    pub stream_options: Option<StreamOptions>,
    n: Option<usize>,
    seed: Option<i64>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<i64>,
    min_p: Option<f32>,
    frequency_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    repetition_penalty: Option<f32>,
    stop: Option<OneOrMany>,
    logit_bias: Option<BTreeMap<String, f32>>,
    ignore_eos: Option<bool>,
    context_length: Option<usize>,
    /// What the answer has to fit.
    pub response_format: Option<Format>,
    harp: Option<Harp>,
    guide: Option<GuideSettings>,
}

/// What a stream ends with.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StreamOptions {
    /// A piece with the tokens used.
    pub include_usage: bool,
}

/// A model and its adapters.
pub type Chosen = (Arc<Model>, Adapters);

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Tokens of prompt and text.
    pub context: usize,
    /// Longest time of a request.
    pub time: Duration,
}

impl Settings {
    /// Texts for each prompt.
    ///
    /// # Errors
    /// [`ApiError`] for none and for too many.
    pub fn texts(&self) -> Result<usize, ApiError> {
        match self.n.unwrap_or(1) {
            n @ 1..=MOST_TEXTS => Ok(n),
            n => Err(ApiError::param(
                "n",
                format!("{n} texts are not 1 to {MOST_TEXTS}"),
            )),
        }
    }

    /// Whether the answer comes in pieces.
    pub fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    /// Whether a stream ends with the tokens used.
    pub fn tells_usage(&self) -> bool {
        self.stream_options.is_some_and(|it| it.include_usage)
    }

    /// The seed; a new one where none is given.
    pub fn seed(&self) -> u64 {
        self.seed.map_or_else(any_seed, |seed| seed as u64)
    }

    fn sampler(&self) -> Result<SamplerConfig, ApiError> {
        let config = SamplerConfig {
            temperature: self.temperature.unwrap_or(1.0),
            top_p: self.top_p.unwrap_or(1.0),
            top_k: usize::try_from(self.top_k.unwrap_or(0)).unwrap_or(0),
            min_p: self.min_p.unwrap_or(0.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            ..SamplerConfig::default()
        };
        config.check()?;
        Ok(config)
    }

    fn stops(&self) -> Result<Vec<String>, ApiError> {
        let stops = match &self.stop {
            None => return Ok(Vec::new()),
            Some(OneOrMany::One(stop)) => vec![stop.clone()],
            Some(OneOrMany::Many(stops)) => stops.clone(),
        };
        match stops.len() <= STOPS.0 && stops.iter().all(|stop| stop.len() <= STOPS.1) {
            true => Ok(stops),
            false => Err(ApiError::param(
                "stop",
                format!(
                    "give at most {} stop strings of at most {} bytes",
                    STOPS.0, STOPS.1
                ),
            )),
        }
    }

    fn bias(&self, vocab: usize) -> Result<Vec<(u32, f32)>, ApiError> {
        let wrong = || {
            ApiError::param(
                "logit_bias",
                "give tokens of the model with numbers from -100 to 100",
            )
        };
        let given = self.logit_bias.iter().flatten();
        given
            .map(|(id, bias)| {
                let id: u32 = id.parse().map_err(|_| wrong())?;
                let fits = (id as usize) < vocab && (-100.0..=100.0).contains(bias);
                fits.then_some((id, *bias)).ok_or_else(wrong)
            })
            .collect()
    }

    fn way(&self, (model, adapters): &Chosen, seed: u64) -> Result<Way, ApiError> {
        let harp = match &self.harp {
            None | Some(Harp::Switch(false)) => None,
            Some(Harp::Switch(true)) => Some(HarpConfig::default()),
            Some(Harp::Settings(settings)) => Some(settings.clone()),
        };
        match (harp, &self.guide) {
            (None, None) => Ok(Way::Plain),
            (Some(_), Some(_)) => Err(ApiError::param(
                "guide",
                "`harp` and `guide` do not go together: leave one out",
            )),
            (Some(_), None) if !adapters.is_empty() => Err(ApiError::param(
                "harp",
                "`harp` runs without adapters: name the model below",
            )),
            (Some(mut config), None) => {
                config.seed = seed;
                if config.steps > MOST_LOOKS {
                    return Err(ApiError::param(
                        "harp",
                        format!("give `steps` from 1 to {MOST_LOOKS}: others wait for each look"),
                    ));
                }
                config
                    .check()
                    .map_err(|error| ApiError::param("harp", error))?;
                Ok(Way::Harp(config))
            }
            (None, Some(guide)) => {
                let k = guide.k.unwrap_or(CANDIDATES.0);
                if !(1..=CANDIDATES.1).contains(&k) {
                    return Err(ApiError::param(
                        "guide",
                        format!("{k} candidates are not 1 to {}", CANDIDATES.1),
                    ));
                }
                if guide
                    .weight
                    .is_some_and(|weight| !(0.0..=1e6).contains(&weight))
                {
                    return Err(ApiError::param(
                        "guide",
                        "the weight is a number from 0 to a million",
                    ));
                }
                guide.towards.check()?;
                guide.away.as_ref().map_or(Ok(()), Named::check)?;
                Ok(Way::Guide(Guide {
                    frame: model.guide(&guide.towards, guide.away.as_ref())?,
                    k,
                    weight: guide.weight,
                }))
            }
        }
    }

    /// What the answer has to fit.
    pub fn grammar(&self) -> Option<GrammarKind> {
        match self.response_format.clone()? {
            Format::Text => None,
            Format::JsonObject => Some(GrammarKind::JsonSchema(json!({"type": "object"}))),
            Format::JsonSchema { json_schema } => Some(GrammarKind::JsonSchema(json_schema.schema)),
            Format::Regex { pattern } => Some(GrammarKind::Regex(pattern)),
            Format::Grammar { grammar } => Some(GrammarKind::Lark(grammar)),
        }
    }

    /// Texts for `prompts`, in their order. Compiles grammars and makes guides, which takes time.
    ///
    /// # Errors
    /// [`ApiError`] for values out of range and prompts that are empty or too long.
    pub fn jobs(&self, plan: Plan<'_>) -> Result<Vec<Job>, ApiError> {
        let Plan {
            chosen,
            prompts,
            seed,
            bounds,
            top,
            events,
            ..
        } = plan;
        let (model, adapters) = chosen;
        let texts = self.texts()?;
        if prompts.is_empty() || prompts.len() * texts > 4 * MOST_TEXTS {
            return Err(ApiError::input(format!(
                "{} texts are not 1 to {}: ask for fewer",
                prompts.len() * texts,
                4 * MOST_TEXTS
            )));
        }
        if top.is_some_and(|top| top > MOST_TOP) {
            return Err(ApiError::param(
                "top_logprobs",
                format!("give at most {MOST_TOP}"),
            ));
        }
        let limit = Cache::new(model.decoder().config())
            .limit()
            .min(bounds.context);
        let room = match self.context_length {
            Some(length) if length == 0 || length > limit => {
                return Err(ApiError::param(
                    "context_length",
                    format!("give 1 to {limit} tokens"),
                ));
            }
            length => length.unwrap_or(limit),
        };
        let (sampler, stop, way) = (self.sampler()?, self.stops()?, self.way(chosen, seed)?);
        let bias = self.bias(model.decoder().config().vocab)?;
        let constraint = plan
            .grammar
            .as_ref()
            .map(|kind| model.constraint(kind))
            .transpose()?;
        let special = model.tokenizer().special();
        let ends: Vec<u32> = match self.ignore_eos {
            Some(true) => Vec::new(),
            _ => special.end.iter().copied().chain(special.eos).collect(),
        };
        let asked = self.max_completion_tokens.or(self.max_tokens);
        let deadline = Instant::now() + bounds.time;
        let mut jobs = Vec::new();
        for prompt in prompts {
            let tokens = prompt.len();
            if tokens == 0 {
                return Err(DecodeError::EmptyPrompt.into());
            }
            if tokens > room || (tokens == room && asked != Some(0)) {
                return Err(DecodeError::TooLong { tokens, room }.into());
            }
            for choice in 0..texts {
                let rng = Rng::new(seed).child("sampler");
                jobs.push(Job {
                    model: model.clone(),
                    adapters: adapters.clone(),
                    prompt: prompt.clone(),
                    sampler: Sampler::new(sampler.clone(), rng.item(choice as u64))?,
                    max_tokens: asked.unwrap_or(plan.usual).min(room - tokens),
                    stop: stop.clone(),
                    ends: ends.clone(),
                    bias: bias.clone(),
                    top,
                    echo: plan.echo,
                    way: way.clone(),
                    constraint: constraint.clone(),
                    deadline,
                    index: jobs.len(),
                    events: events.clone(),
                });
            }
        }
        Ok(jobs)
    }
}

/// What texts are made for.
pub struct Plan<'a> {
    /// The model.
    pub chosen: &'a Chosen,
    /// Tokens of each prompt.
    pub prompts: Vec<Vec<u32>>,
    /// The seed.
    pub seed: u64,
    /// The server's bounds.
    pub bounds: Bounds,
    /// Log-probabilities.
    pub top: Option<usize>,
    /// Whether prompts are scored.
    pub echo: bool,
    /// What texts have to fit.
    pub grammar: Option<GrammarKind>,
    /// Tokens where none are asked for.
    pub usual: usize,
    /// Who reads.
    pub events: UnboundedSender<(usize, Event)>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(value: Value) -> Settings {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn null_is_as_absent_and_ranges_are_checked() {
        let plain = settings(json!({"temperature": null, "stop": null, "n": null, "unknown": 1}));
        assert_eq!(plain.texts().unwrap(), 1);
        assert_eq!(plain.sampler().unwrap().temperature, 1.0);
        assert!(settings(json!({"n": 0})).texts().is_err());
        assert!(settings(json!({"top_p": 2})).sampler().is_err());
        assert!(settings(json!({"logit_bias": {"x": 1}})).bias(9).is_err());
        assert_eq!(
            settings(json!({"logit_bias": {"3": -100}}))
                .bias(9)
                .unwrap(),
            [(3, -100.0)]
        );
        assert_eq!(settings(json!({"stop": "a"})).stops().unwrap(), ["a"]);
        assert!(settings(json!({"stop": vec!["a"; 17]})).stops().is_err());
    }

    #[test]
    fn formats_are_read() {
        let format = |value: Value| settings(json!({"response_format": value})).grammar();
        assert_eq!(format(json!({"type": "text"})), None);
        let schema = format(
            json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "null"}}}),
        );
        assert_eq!(
            schema,
            Some(GrammarKind::JsonSchema(json!({"type": "null"})))
        );
        assert_eq!(
            format(json!({"type": "regex", "pattern": "a+"})),
            Some(GrammarKind::Regex("a+".into()))
        );
    }
}
