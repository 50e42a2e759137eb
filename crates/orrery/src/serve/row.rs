//! One text that is being written: its tokens, its cache, how the next token is chosen, who reads it.

use std::sync::Arc;
use std::time::Instant;

use base::rng::Rng;
use engine::decode::{
    Constraint, DecodeError, Sampler, StopStrings, entropy_bits, log_probability, softmax,
    top_log_probabilities,
};
use engine::models::decoder::Cache;
use engine::text::TextState;
use language::frames::Frame;
use language::frames::probe::GrowingProbe;
use language::harp::{HarpConfig, Sequence};
use tokio::sync::mpsc::UnboundedSender;

use super::error::ApiError;
use super::models::{Adapters, Model};

/// How the next token is found.
#[derive(Clone, Debug)]
pub enum Way {
    /// As the model says.
    Plain,
    /// With second looks where it hesitates.
    Harp(HarpConfig),
    /// Leaning towards a concept.
    Guide(Guide),
}

/// Where a text leans.
#[derive(Clone, Debug)]
pub struct Guide {
    /// The direction.
    pub frame: Arc<Frame>,
    /// Candidates for each token.
    pub k: usize,
    /// Weight of the probe beside the log-probability; none: the probe alone decides.
    pub weight: Option<f32>,
}

/// A text that is asked for.
pub struct Job {
    /// The model.
    pub model: Arc<Model>,
    /// Its adapters.
    pub adapters: Adapters,
    /// Tokens of the prompt, at least one.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampler: Sampler,
    /// Tokens at most.
    pub max_tokens: usize,
    /// Texts that end it.
    pub stop: Vec<String>,
    /// Tokens that end it.
    pub ends: Vec<u32>,
    /// Added to logits.
    pub bias: Vec<(u32, f32)>,
    /// How many log-probabilities are recorded beside that of the token itself; none: nothing is recorded.
    pub top: Option<usize>,
    /// Whether the prompt's tokens are scored too.
    pub echo: bool,
    /// How the next token is found.
    pub way: Way,
    /// What the text has to fit.
    pub constraint: Option<Constraint>,
    /// When it has to end.
    pub deadline: Instant,
    /// Number of the text in its request.
    pub index: usize,
    /// Who reads.
    pub events: UnboundedSender<(usize, Event)>,
}

/// What happens to a text.
#[derive(Clone, Debug)]
pub enum Event {
    /// The prompt's tokens, scored.
    Prompt(Vec<Token>),
    /// A token came.
    Token(Token),
    /// It ended.
    End(End),
    /// It broke off.
    Failed(ApiError),
}

/// A token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Token {
    /// The token.
    pub id: u32,
    /// The text that it made certain.
    pub text: String,
    /// Natural logarithm of its probability.
    pub log_probability: Option<f32>,
    /// Entropy of the distribution, in bits.
    pub entropy: Option<f32>,
    /// The likeliest tokens.
    pub top: Vec<(u32, f32)>,
    /// Whether the model looked twice.
    pub hesitated: bool,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// By an end token, a stop string, or because nothing may follow.
    Stop,
    /// It has as many tokens as were asked for or fit, or its time is up.
    Length,
}

/// How a text ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// What was still held back.
    pub text: String,
    /// Why.
    pub reason: Reason,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Those that were computed before.
    pub cached: usize,
    /// Tokens written.
    pub tokens: usize,
}

/// What is noted of the distribution before a token is chosen.
#[derive(Clone, Debug, Default)]
struct Observation {
    entropy: Option<f32>,
    top: Vec<(u32, f32)>,
    hesitated: bool,
}

/// A text in a slot.
pub struct Row {
    /// What was asked for.
    pub job: Job,
    /// Prompt and text.
    pub tokens: Vec<u32>,
    /// Keys and values of the first tokens.
    pub cache: Cache,
    /// Whether its prefix was looked for.
    pub begun: bool,
    /// HARP's state, once the prompt is read.
    pub sequence: Option<Sequence>,
    /// The concept's probe.
    pub probe: Option<GrowingProbe<Arc<Frame>>>,
    /// Candidates for the next token with their log-probabilities.
    pub candidates: Vec<(u32, f32)>,
    /// Logits after the last token, to be chosen from.
    pub logits: Option<Vec<f32>>,
    /// What HARP saw at them.
    pub seen: Option<(f32, bool)>,
    /// Whether it ended.
    pub done: bool,
    /// Scores of the prompt's tokens.
    pub scored: Vec<Token>,
    look: Observation,
    prompt: usize,
    cached: usize,
    limit: usize,
    text: TextState,
    stops: StopStrings,
    /// When it came, and when its last token did.
    pub times: (Instant, Option<Instant>),
    /// Seconds to be noted: to the first token, or since the last.
    pub waited: Option<f64>,
}

impl Row {
    /// A text at its beginning.
    pub fn new(job: Job, arrived: Instant) -> Self {
        let cache = Cache::new(job.model.decoder().config());
        let prompt = job.prompt.len();
        let limit = job.max_tokens.min(cache.limit().saturating_sub(prompt));
        let probe = match &job.way {
            Way::Guide(guide) => Some(GrowingProbe::new(guide.frame.clone(), &[])),
            _ => None,
        };
        Self {
            tokens: job.prompt.clone(),
            cache,
            begun: false,
            sequence: None,
            probe,
            candidates: Vec::new(),
            logits: None,
            seen: None,
            done: false,
            scored: Vec::new(),
            look: Observation::default(),
            prompt,
            cached: 0,
            limit,
            text: TextState::default(),
            stops: StopStrings::new(&job.stop),
            times: (arrived, None),
            waited: None,
            job,
        }
    }

    /// Tokens that the model has not seen yet.
    pub fn unread(&self) -> usize {
        match &self.sequence {
            Some(sequence) => self.tokens.len() - sequence.ids().len(),
            None => self.tokens.len() - self.cache.len(),
        }
    }

    /// Tokens of the prompt.
    pub fn prompt(&self) -> &[u32] {
        &self.tokens[..self.prompt]
    }

    /// Whether its prompt is still being read.
    pub fn reads(&self) -> bool {
        self.sequence.is_none() && self.candidates.is_empty() && self.unread() > 1
    }

    /// Begins from a prefix that was computed.
    pub fn begin(&mut self) {
        self.begun = true;
        // What a guide needs of the prompt and scores are in no cache.
        if self.job.echo || matches!(self.job.way, Way::Guide(_)) {
            return;
        }
        let mut prefixes = self
            .job
            .model
            .prefixes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = prefixes.find(&self.tokens, &self.job.adapters) {
            self.cached = found.len();
            self.cache = found;
        }
    }

    /// Keeps what was computed for others.
    pub fn keep(&self) {
        let tokens = &self.tokens[..self.cache.len().min(self.tokens.len())];
        let mut prefixes = self
            .job
            .model
            .prefixes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        prefixes.insert(tokens, &self.job.adapters, &self.cache);
    }

    /// Chooses from the logits, where there are some.
    pub fn choose(&mut self) {
        if let Some(mut logits) = self.logits.take()
            && let Err(error) = self.try_choose(&mut logits)
        {
            self.fail(error.into());
        }
    }

    fn try_choose(&mut self, logits: &mut [f32]) -> Result<(), DecodeError> {
        let (harp, hesitated) = match self.seen.take() {
            Some((entropy, hesitated)) => (Some(entropy), hesitated),
            None => (None, false),
        };
        self.look = Observation {
            entropy: harp,
            top: Vec::new(),
            hesitated,
        };
        let changes = !self.job.bias.is_empty() || self.job.constraint.is_some();
        let mut plain = None;
        if let Some(top) = self.job.top {
            self.look.top = top_log_probabilities(logits, top);
            if harp.is_none() {
                self.look.entropy = Some(entropy_bits(&softmax(logits)?));
            }
            plain = changes.then(|| logits.to_vec());
        }
        for &(id, bias) in &self.job.bias {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit += bias;
            }
        }
        if let Some(constraint) = &mut self.job.constraint {
            constraint.apply(logits)?;
        }
        if let Way::Guide(guide) = &self.job.way {
            let likeliest = top_log_probabilities(logits, guide.k);
            let likeliest = likeliest.into_iter().filter(|it| it.1 > f32::NEG_INFINITY);
            self.candidates = likeliest.collect();
            if self.candidates.is_empty() {
                return Err(DecodeError::NoToken("the constraint leaves none"));
            }
            return Ok(());
        }
        let id = self.job.sampler.next(logits, &self.tokens)?;
        let log = self
            .job
            .top
            .map(|_| log_probability(plain.as_deref().unwrap_or(logits), id));
        self.accept(id, log)
    }

    /// Goes on with token `id`.
    ///
    /// # Errors
    /// [`DecodeError`] where a constraint does not take it.
    pub fn accept(&mut self, id: u32, log_probability: Option<f32>) -> Result<(), DecodeError> {
        let now = Instant::now();
        let last = self.times.1.replace(now).unwrap_or(self.times.0);
        self.waited = Some(now.duration_since(last).as_secs_f64());
        if self.job.ends.contains(&id) {
            self.finish(Reason::Stop, true);
            return Ok(());
        }
        if let Some(constraint) = &mut self.job.constraint {
            constraint.accept(id)?;
        }
        self.tokens.push(id);
        let piece = self.text.push(self.job.model.tokenizer(), id)?;
        let (text, stop) = self.stops.push(&piece);
        let look = std::mem::take(&mut self.look);
        self.send(Event::Token(Token {
            id,
            text,
            log_probability,
            entropy: look.entropy,
            top: look.top,
            hesitated: look.hesitated,
        }));
        let complete = self
            .job
            .constraint
            .as_ref()
            .is_some_and(Constraint::is_complete);
        if stop.is_some() {
            self.finish(Reason::Stop, false);
        } else if complete {
            self.finish(Reason::Stop, true);
        } else if self.written() >= self.limit {
            self.finish(Reason::Length, true);
        }
        Ok(())
    }

    /// Tokens written.
    pub fn written(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    /// Whether nothing may be written at all.
    pub fn is_full(&self) -> bool {
        self.limit == 0
    }

    /// Ends the text; `tail`: what was held back belongs to it.
    pub fn finish(&mut self, reason: Reason, tail: bool) {
        let mut text = String::new();
        let mut reason = reason;
        if tail {
            let (rest, stop) = self.stops.push(&self.text.finish());
            text = rest;
            match stop {
                Some(_) => reason = Reason::Stop,
                None => text.push_str(&self.stops.finish()),
            }
        }
        self.send(Event::End(End {
            text,
            reason,
            prompt: self.prompt,
            cached: self.cached,
            tokens: self.written(),
        }));
        self.done = true;
    }

    /// Breaks the text off.
    pub fn fail(&mut self, error: ApiError) {
        self.send(Event::Failed(error));
        self.done = true;
    }

    /// Tells the reader; one that left is noticed before the next step.
    pub fn send(&self, event: Event) {
        let _ = self.job.events.send((self.job.index, event));
    }

    /// Tokens of the prompt that were computed before.
    pub fn cached(&self) -> usize {
        self.cached
    }

    /// A draw of masks that depends on the seed alone.
    pub fn masks(config: &HarpConfig) -> Box<dyn language::harp::Uniforms> {
        Box::new(Rng::new(config.seed).child("reframe"))
    }
}
