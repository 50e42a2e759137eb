//! Whether a model says the same here and in llama.cpp: rendered prompts, token ids and greedy tokens of 20 chats.
//!
//! llama.cpp rounds what it multiplies to 8 bits, and sums attention in f16: its greedy tokens change with its settings alone. So two
//! things are compared: products of 16 bits with llama.cpp on the same weights in f32, which must agree; and both programs as they
//! are by default, whose differences are listed.

use std::path::Path;

use base::endpoint::Message;
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::language::LanguageError;
use super::peer::Peer;
use crate::models::decoder::{Cache, Decoder, Input, InputBits, Logits, Request, Segment};
use crate::text::{ChatInput, Tokenizer};

/// Prompts, one a line: English, code, Korean, emoji and others. One more is made of [`LONG`] lines.
const PROMPTS: &str = include_str!("prompts.txt");
/// Lines of the long prompt, about 550 tokens.
const LONG: usize = 40;
/// Greedy tokens of each prompt.
const TOKENS: usize = 32;
/// Where a token differs though nothing is rounded to 8 bits, the two may lie this far apart, in nats.
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
    /// Neither side rounds activations to 8 bits.
    pub exact: Comparison,
    /// Both do, as they do by default.
    pub rounded: Comparison,
    /// Root mean square of what rounding activations changes in the log-probability of the peer's tokens, in nats.
    pub rounding: f32,
}

/// How many continuations are equal, and where the others part.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Chats whose greedy tokens are equal to the last.
    pub same_tokens: usize,
    /// The first difference of each of the others.
    pub differences: Vec<Difference>,
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
    /// How much more likely it is when activations are not rounded to 8 bits, in nats.
    pub exact: f32,
}

impl Agreement {
    /// Whether a prompt was read otherwise, or a token differs that is not nearly as likely though nothing is rounded.
    pub fn failed(&self) -> bool {
        self.same_text < self.prompts
            || self.same_ids < self.prompts
            || !self.exact.differences.iter().all(|it| it.margin < MARGIN)
    }
}

#[derive(Deserialize)]
struct Answer {
    prompt: Option<String>,
    ids: Option<Vec<u32>>,
    tokens: Option<Vec<u32>>,
    wide: Option<Vec<u32>>,
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
    let exact = Decoder::open(path)?.with_input_bits(InputBits::Sixteen);
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
        let (Some(their_text), Some(their_ids), Some(tokens), Some(wide)) =
            (answer.prompt, answer.ids, answer.tokens, answer.wide)
        else {
            return Err(LanguageError::Benchmark {
                name: "agree",
                cause: answer.error.unwrap_or_default(),
            });
        };
        found.prompts += 1;
        found.longest = found.longest.max(ids.len());
        found.same_text += usize::from(text == their_text);
        found.same_ids += usize::from(ids == their_ids);
        let run = |model: &Decoder, tokens: &[u32]| pool.install(|| logits(model, &ids, tokens));
        let [rounded, precise] = [run(&model, &tokens)?, run(&exact, &tokens)?];
        for ((rounded, precise), &their) in rounded.iter().zip(&precise).zip(&tokens) {
            squares += (log_probability(rounded, their) - log_probability(precise, their)).powi(2);
            count += 1;
        }
        let compare =
            |kept: &mut Comparison, ours: &[Vec<f32>], exact: &[Vec<f32>], theirs: &[u32]| {
                let differs = |at: &usize| best(&ours[*at]) != theirs[*at];
                let Some(at) = (0..ours.len()).find(differs) else {
                    kept.same_tokens += 1;
                    return Ok(());
                };
                let (our, their) = (best(&ours[at]), theirs[at]);
                let margin = |logits: &[f32]| {
                    let other = logits.get(their as usize);
                    other.map_or(f32::INFINITY, |other| logits[our as usize] - other)
                };
                kept.differences.push(Difference {
                    prompt: prompt.chars().take(40).collect(),
                    at,
                    ours: tokenizer.decode(&[our])?,
                    theirs: tokenizer.decode(&[their])?,
                    margin: margin(&ours[at]),
                    exact: margin(&exact[at]),
                });
                Ok::<_, LanguageError>(())
            };
        compare(&mut found.rounded, &rounded, &precise, &tokens)?;
        let precise = run(&exact, &wide)?;
        compare(&mut found.exact, &precise, &precise, &wide)?;
    }
    found.rounding = (squares / count.max(1) as f32).sqrt();
    Ok(found)
}

/// The most likely token.
fn best(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |it| it.0 as u32)
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
