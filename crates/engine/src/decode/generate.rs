//! The loop: logits, a choice, a piece of text.

use std::ops::ControlFlow;

use serde::Serialize;

use super::{
    Constraint, DecodeError, Sampler, StopStrings, entropy_bits, softmax, top_log_probabilities,
};
use crate::text::Tokenizer;

/// A model with the state of one sequence.
pub trait LanguageModel {
    /// Goes on with `ids`, at least one; gives the logits `[vocabulary]` of the token after them.
    ///
    /// # Errors
    /// [`DecodeError::Model`].
    fn feed(&mut self, ids: &[u32]) -> Result<Vec<f32>, DecodeError>;

    /// How many more tokens it takes.
    fn room(&self) -> usize;
}

/// What ends a text, and what is recorded of it.
#[derive(Clone, Debug, Default)]
pub struct GenerateOptions {
    /// Generated tokens at most; fewer where the context ends.
    pub max_tokens: usize,
    /// Texts that end it and are no part of it.
    pub stop: Vec<String>,
    /// Tokens that end it and are no part of it; usually [`SpecialTokens::end`](crate::text::SpecialTokens::end).
    pub end: Vec<u32>,
    /// How many log-probabilities are recorded for each token; 0 records none, nor the entropy.
    pub top: usize,
    /// What the text has to fit.
    pub constraint: Option<Constraint>,
}

/// What happened at one token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenTrace {
    /// The token.
    pub id: u32,
    /// The text that it made certain; parts of characters and of stop strings wait for the next tokens.
    pub text: String,
    /// Natural logarithm of its probability under the model, before penalties, constraint and temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_probability: Option<f32>,
    /// Entropy of the model's distribution, in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy: Option<f32>,
    /// The most probable tokens and their log-probabilities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<(u32, f32)>,
}

/// Why a text ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended it with this token.
    End(u32),
    /// This stop string came.
    StopString(String),
    /// It has as many tokens as were asked for, or as the context has room for.
    Length,
    /// It fits the constraint, and nothing may follow.
    Complete,
    /// Whoever listened asked to stop.
    Cancelled,
}

/// A generated text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generation {
    /// The tokens, without the one that ended it.
    pub ids: Vec<u32>,
    /// The text, up to a stop string.
    pub text: String,
    /// The end of the text that no listener heard: it might have become a stop string or a character.
    pub tail: String,
    /// Why it ended.
    pub reason: StopReason,
    /// Each token.
    pub trace: Vec<TokenTrace>,
}

/// Generates text after `prompt`. `listen` hears of each token as it comes and may stop.
///
/// # Errors
/// [`DecodeError::EmptyPrompt`], [`DecodeError::TooLong`], and whatever model, sampler and constraint report.
pub fn generate(
    model: &mut dyn LanguageModel,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    sampler: &mut Sampler,
    options: GenerateOptions,
    listen: &mut dyn FnMut(&TokenTrace) -> ControlFlow<()>,
) -> Result<Generation, DecodeError> {
    let room = model.room();
    if prompt.is_empty() {
        return Err(DecodeError::EmptyPrompt);
    }
    if prompt.len() >= room {
        let tokens = prompt.len();
        return Err(DecodeError::TooLong { tokens, room });
    }
    let mut constraint = options.constraint;
    let mut stops = StopStrings::new(&options.stop);
    let mut stream = tokenizer.stream();
    let mut history = prompt.to_vec();
    let mut trace: Vec<TokenTrace> = Vec::new();
    let limit = options.max_tokens.min(room - prompt.len());
    let mut reason = StopReason::Length;
    let mut text = String::new();
    let mut fed = 0;
    while trace.len() < limit {
        let mut logits = model.feed(&history[fed..])?;
        fed = history.len();
        let mut step = TokenTrace {
            id: 0,
            text: String::new(),
            log_probability: None,
            entropy: None,
            top: Vec::new(),
        };
        let probabilities = match options.top {
            0 => None,
            n => {
                step.top = top_log_probabilities(&logits, n);
                Some(softmax(&logits)?)
            }
        };
        if let Some(constraint) = &mut constraint {
            constraint.apply(&mut logits)?;
        }
        let id = sampler.next(&logits, &history)?;
        if options.end.contains(&id) {
            reason = StopReason::End(id);
            break;
        }
        if let Some(constraint) = &mut constraint {
            constraint.accept(id)?;
        }
        history.push(id);
        let (piece, stop) = stops.push(&stream.push(id)?);
        text.push_str(&piece);
        step.id = id;
        step.text = piece;
        if let Some(probabilities) = probabilities {
            step.entropy = Some(entropy_bits(&probabilities));
            step.log_probability = probabilities.get(id as usize).map(|p| p.ln());
        }
        let heard = listen(&step);
        trace.push(step);
        if let Some(stop) = stop {
            reason = StopReason::StopString(stop);
        } else if constraint.as_ref().is_some_and(Constraint::is_complete) {
            reason = StopReason::Complete;
        } else if heard.is_break() {
            reason = StopReason::Cancelled;
        } else {
            continue;
        }
        break;
    }
    let mut tail = String::new();
    if !matches!(reason, StopReason::StopString(_)) {
        let (rest, stop) = stops.push(&stream.finish());
        tail = rest;
        match stop {
            Some(stop) => reason = StopReason::StopString(stop),
            None => tail.push_str(&stops.finish()),
        }
    }
    Ok(Generation {
        ids: history.split_off(prompt.len()),
        text: text + &tail,
        tail,
        reason,
        trace,
    })
}
