//! Whether a model says the same here and in llama.cpp: rendered prompts, token ids and greedy tokens of 20 chats.

use std::path::Path;

use base::endpoint::Message;
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::language::LanguageError;
use super::peer::Peer;
use crate::models::decoder::{Cache, Decoder, DecoderError, Input, Logits, Request, Segment};
use crate::text::{ChatInput, Tokenizer};
use crate::weights::Gguf;

/// Prompts, one a line: English, code, Korean, emoji and others. One more is made of [`LONG`] lines.
const PROMPTS: &str = include_str!("prompts.txt");
/// Lines of the long prompt, about 550 tokens.
const LONG: usize = 40;
/// Greedy tokens of each prompt.
const TOKENS: usize = 32;
/// Where the token differs, the two may lie this far apart, in nats: both programs multiply activations of 8 bits.
const MARGIN: f32 = 0.1;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Chats that were compared.
    pub prompts: usize,
    /// Tokens of the longest prompt.
    pub longest: usize,
    /// Whose rendered text is equal.
    pub same_text: usize,
    /// Whose token ids are equal.
    pub same_ids: usize,
    /// Whose greedy tokens are equal to the last.
    pub same_tokens: usize,
    /// The first difference of each of the others.
    pub differences: Vec<Difference>,
    /// Root mean square of what rounding activations changes in the log-probability of the peer's tokens, in nats.
    pub rounding: f32,
}

/// Where two continuations part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The prompt's beginning.
    pub prompt: String,
    /// Tokens before it.
    pub at: usize,
    /// Our token.
    pub ours: String,
    /// The peer's.
    pub theirs: String,
    /// How much more likely ours is to us, in nats.
    pub margin: f32,
    /// How much more likely ours is when activations are not rounded, in nats.
    pub exact: f32,
}

impl Agreement {
    /// Whether a prompt was read otherwise, or a token differs that is not nearly as likely.
    pub fn failed(&self) -> bool {
        self.same_text < self.prompts
            || self.same_ids < self.prompts
            || !self.differences.iter().all(|it| it.margin < MARGIN)
    }
}

#[derive(Deserialize)]
struct Answer {
    prompt: Option<String>,
    ids: Option<Vec<u32>>,
    tokens: Option<Vec<u32>>,
    error: Option<String>,
}

/// Compares the model at `path` with the peer in `python`.
///
/// # Errors
/// [`LanguageError`].
pub fn agreement(
    path: &Path,
    python: &Path,
    pool: &ThreadPool,
) -> Result<Agreement, LanguageError> {
    let model = Decoder::open(path)?;
    let file = Gguf::open(path).map_err(DecoderError::from)?;
    let exact = Decoder::from_gguf_dequantised(&file)?;
    let tokenizer = Tokenizer::open(path)?;
    let mut peer = Peer::llama(python, path, pool.current_num_threads())?;
    let mut found = Agreement::default();
    let (mut squares, mut count) = (0.0, 0_usize);
    let long = (1..=LONG).map(|i| format!("Box {i} holds {} red balls. ", i * 7 % 50));
    let long = long.collect::<String>() + "Which box holds the most?";
    for prompt in PROMPTS.lines().chain([long.as_str()]) {
        let input = ChatInput::new(&[Message::user(prompt)]);
        let text = tokenizer.chat()?.render(&input)?;
        let ids = tokenizer.chat()?.encode(&tokenizer, &input)?;
        let ask = json!({"work": "agree", "message": prompt, "ids": ids, "tokens": TOKENS});
        let answer: Answer = peer.ask(&ask.to_string())?;
        let (Some(their_text), Some(their_ids), Some(their_tokens)) =
            (answer.prompt, answer.ids, answer.tokens)
        else {
            return Err(LanguageError::Work {
                name: "agree",
                cause: answer.error.unwrap_or_default(),
            });
        };
        found.prompts += 1;
        found.longest = found.longest.max(ids.len());
        found.same_text += usize::from(text == their_text);
        found.same_ids += usize::from(ids == their_ids);
        let rounded = pool.install(|| logits(&model, &ids, &their_tokens))?;
        let wide = pool.install(|| logits(&exact, &ids, &their_tokens))?;
        for ((rounded, wide), &their) in rounded.iter().zip(&wide).zip(&their_tokens) {
            squares += (log_probability(rounded, their) - log_probability(wide, their)).powi(2);
            count += 1;
        }
        let best = |at: usize| {
            let logits = rounded[at].iter().enumerate();
            logits
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map_or(0, |it| it.0)
        };
        match (0..rounded.len()).find(|&at| best(at) != their_tokens[at] as usize) {
            None => found.same_tokens += 1,
            Some(at) => {
                let (ours, theirs) = (best(at), their_tokens[at]);
                let margin = |logits: &[f32]| {
                    let other = logits.get(theirs as usize);
                    other.map_or(f32::INFINITY, |other| logits[ours] - other)
                };
                found.differences.push(Difference {
                    prompt: prompt.chars().take(40).collect(),
                    at,
                    ours: tokenizer.decode(&[ours as u32])?,
                    theirs: tokenizer.decode(&[theirs])?,
                    margin: margin(&rounded[at]),
                    exact: margin(&wide[at]),
                });
            }
        }
    }
    found.rounding = (squares / count.max(1) as f32).sqrt();
    Ok(found)
}

/// The logits before each of `tokens`, which follow `prompt`.
fn logits(model: &Decoder, prompt: &[u32], tokens: &[u32]) -> Result<Vec<Vec<f32>>, LanguageError> {
    let mut cache = Cache::new(model.config());
    let mut input = prompt.to_vec();
    let mut all = Vec::with_capacity(tokens.len());
    for &token in tokens {
        let request = Request {
            logits: Logits::Last,
            ..Request::default()
        };
        let mut batch = [Segment::new(Input::Ids(&input), &mut cache)];
        let outputs = model.forward(&mut batch, &request)?;
        all.extend(outputs.into_iter().map(|output| output.logits));
        input = vec![token];
    }
    Ok(all)
}

fn log_probability(logits: &[f32], token: u32) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|x| (x - most).exp()).sum();
    logits
        .get(token as usize)
        .map_or(f32::NEG_INFINITY, |x| x - most - sum.ln())
}
