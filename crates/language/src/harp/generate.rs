//! The loop: a step of all sequences that go on, a choice for each, a piece of text.

use std::ops::ControlFlow;

use base::rng::Rng;
use engine::decode::{DecodeError, Sampler, SamplerConfig, StopReason, StopStrings, argmax};
use engine::models::decoder::Decoder;
use engine::text::{TextStream, Tokenizer};
use serde::Serialize;

use super::{HarpConfig, HarpStep, Sequence, SystemError, Uniforms, harp_step};

/// How text is generated.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateConfig {
    /// When and how the model looks twice.
    pub harp: HarpConfig,
    /// The choice of the next token; greedy by default.
    pub sampler: SamplerConfig,
    /// Generated tokens at most: 120, the official code's; fewer where the context ends.
    pub max_tokens: usize,
    /// Texts that end it and are no part of it.
    pub stop: Vec<String>,
    /// Tokens that end it and are no part of it.
    pub end: Vec<u32>,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        Self {
            harp: HarpConfig::default(),
            sampler: SamplerConfig::default(),
            max_tokens: 120,
            stop: Vec::new(),
            end: Vec::new(),
        }
    }
}

/// What happened at one token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenStep {
    /// The token.
    pub id: u32,
    /// The text that it made certain.
    pub text: String,
    /// Entropy of the ordinary next-token distribution, in bits.
    pub entropy: f32,
    /// Whether the model looked twice.
    pub hesitated: bool,
    /// The best token of the ordinary logits.
    pub vanilla: u32,
    /// Its text.
    pub vanilla_text: String,
    /// The best token of the logits that were gone on with.
    pub best: u32,
}

impl TokenStep {
    /// Whether the second look changed the best token.
    pub fn changed(&self) -> bool {
        self.vanilla != self.best
    }
}

/// A generated text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generation {
    /// The tokens, without the one that ended it.
    pub ids: Vec<u32>,
    /// The text, up to a stop string.
    pub text: String,
    /// Why it ended.
    pub reason: StopReason,
    /// Steps that were taken: tokens, and the one that ended the text.
    pub steps: usize,
    /// Steps with a second look.
    pub hesitations: usize,
    /// Each token.
    pub trace: Vec<TokenStep>,
}

impl Generation {
    /// Share of the steps at which the model hesitated; 0 where there was none.
    pub fn hesitation_rate(&self) -> f64 {
        self.hesitations as f64 / self.steps.max(1) as f64
    }

    /// Forward passes a token: `1 + hesitation rate · looks`.
    pub fn passes_per_token(&self, config: &HarpConfig) -> f64 {
        1.0 + self.hesitation_rate() * config.steps as f64
    }
}

/// A text that is being generated.
struct Row<'a> {
    sequence: Sequence,
    sampler: Sampler,
    stream: Option<TextStream<'a>>,
    stops: StopStrings,
    /// Tokens that the model has not seen yet.
    new: Vec<u32>,
    limit: usize,
    done: bool,
    made: Generation,
}

/// Generates text after each of `prompts`, together. `listen` hears of each token as it comes, with the number of its prompt,
/// and may stop that text. Without a tokenizer texts stay empty and stop strings have no effect.
///
/// Every text depends on its own prompt and the seed alone: it is the same in any batch.
///
/// # Errors
/// [`SystemError`]: settings out of range, prompts that are empty or longer than the context, and what the model reports.
pub fn generate(
    decoder: &Decoder,
    tokenizer: Option<&Tokenizer>,
    prompts: &[Vec<u32>],
    config: &GenerateConfig,
    listen: &mut dyn FnMut(usize, &TokenStep) -> ControlFlow<()>,
) -> Result<Vec<Generation>, SystemError> {
    let draws = |_| -> Box<dyn Uniforms> { Box::new(Rng::new(config.harp.seed).child("reframe")) };
    let draws = (0..prompts.len()).map(draws).collect();
    generate_from(decoder, tokenizer, prompts, draws, config, listen)
}

/// [`generate`] with a source of draws for each prompt.
///
/// # Errors
/// As [`generate`].
pub fn generate_from(
    decoder: &Decoder,
    tokenizer: Option<&Tokenizer>,
    prompts: &[Vec<u32>],
    draws: Vec<Box<dyn Uniforms>>,
    config: &GenerateConfig,
    listen: &mut dyn FnMut(usize, &TokenStep) -> ControlFlow<()>,
) -> Result<Vec<Generation>, SystemError> {
    config.harp.check()?;
    let rows = prompts.iter().zip(draws);
    let rows = rows.map(|(prompt, draws)| {
        let sequence = Sequence::new(decoder, draws);
        let (tokens, room) = (prompt.len(), sequence.room());
        if prompt.is_empty() {
            return Err(DecodeError::EmptyPrompt.into());
        }
        if tokens >= room {
            return Err(DecodeError::TooLong { tokens, room }.into());
        }
        Ok(Row {
            sampler: Sampler::new(
                config.sampler.clone(),
                Rng::new(config.harp.seed).child("sampler"),
            )?,
            sequence,
            stream: tokenizer.map(Tokenizer::stream),
            stops: StopStrings::new(&config.stop),
            new: prompt.clone(),
            limit: config.max_tokens.min(room - tokens),
            done: false,
            made: Generation {
                ids: Vec::new(),
                text: String::new(),
                reason: StopReason::Length,
                steps: 0,
                hesitations: 0,
                trace: Vec::new(),
            },
        })
    });
    let mut rows = rows.collect::<Result<Vec<Row<'_>>, SystemError>>()?;
    loop {
        let live: Vec<usize> = (0..rows.len()).filter(|&at| rows[at].goes_on()).collect();
        if live.is_empty() {
            break;
        }
        let batch = rows.iter_mut().filter(|row| row.goes_on());
        let mut batch: Vec<_> = batch
            .map(|row| (&mut row.sequence, row.new.as_slice()))
            .collect();
        let steps = harp_step(decoder, &mut batch, &config.harp)?;
        for (at, step) in live.into_iter().zip(steps) {
            rows[at].take(step, config, tokenizer, &mut |step| listen(at, step))?;
        }
    }
    Ok(rows.into_iter().map(Row::finish).collect())
}

impl Row<'_> {
    fn goes_on(&self) -> bool {
        !self.done && self.made.ids.len() < self.limit
    }

    /// Chooses a token.
    fn take(
        &mut self,
        step: HarpStep,
        config: &GenerateConfig,
        tokenizer: Option<&Tokenizer>,
        listen: &mut dyn FnMut(&TokenStep) -> ControlFlow<()>,
    ) -> Result<(), SystemError> {
        self.made.steps += 1;
        self.made.hesitations += usize::from(step.hesitates);
        let id = self.sampler.next(&step.logits, self.sequence.ids())?;
        if config.end.contains(&id) {
            self.made.reason = StopReason::End(id);
            self.done = true;
            return Ok(());
        }
        self.new = vec![id];
        self.made.ids.push(id);
        let piece = self
            .stream
            .as_mut()
            .map(|stream| stream.push(id))
            .transpose()?;
        let (text, stop) = self.stops.push(&piece.unwrap_or_default());
        self.made.text.push_str(&text);
        let step = TokenStep {
            id,
            text,
            entropy: step.entropy,
            hesitated: step.hesitates,
            vanilla: step.vanilla,
            vanilla_text: word(tokenizer, step.vanilla),
            best: argmax(&step.logits).unwrap_or(id),
        };
        let heard = listen(&step);
        self.made.trace.push(step);
        if let Some(stop) = stop {
            self.made.reason = StopReason::StopString(stop);
            self.done = true;
        } else if heard.is_break() {
            self.made.reason = StopReason::Cancelled;
            self.done = true;
        }
        Ok(())
    }

    /// The text with what was still held back.
    fn finish(mut self) -> Generation {
        if !matches!(self.made.reason, StopReason::StopString(_)) {
            let rest = self.stream.as_mut().map(TextStream::finish);
            let (mut tail, stop) = self.stops.push(&rest.unwrap_or_default());
            match stop {
                Some(stop) => self.made.reason = StopReason::StopString(stop),
                None => tail.push_str(&self.stops.finish()),
            }
            self.made.text.push_str(&tail);
            if let Some(last) = self.made.trace.last_mut() {
                last.text.push_str(&tail);
            }
        }
        self.made
    }
}

/// How a token is written.
fn word(tokenizer: Option<&Tokenizer>, id: u32) -> String {
    let bytes = tokenizer.and_then(|it| it.bytes_of(id)).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
