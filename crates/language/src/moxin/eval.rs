//! Multiple choice by log-likelihood, as the usual harness scores it, and loss on text.

use base::rng::Rng;
use engine::models::decoder::{Cache, Decoder, Input, Logits, Request, Segment};
use engine::text::Tokenizer;
use serde::Serialize;

use super::question::join;
use super::{Question, SystemError};

/// What a model chose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Log-probability of each choice, in nats.
    pub log_likelihoods: Vec<f64>,
    /// The choice with the largest one is right.
    pub acc: bool,
    /// The same after division by characters.
    pub acc_norm: bool,
}

/// Scores a model on a question after `shots`, which stand before it with blank lines between.
///
/// # Errors
/// [`SystemError`]; for questions that are longer than the model's context, too.
pub fn score(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    question: &Question,
    shots: &[&Question],
) -> Result<Score, SystemError> {
    let before: String = shots
        .iter()
        .map(|shot| format!("{}\n\n", shot.shot()))
        .collect();
    let mut log_likelihoods = Vec::with_capacity(question.count());
    let mut shared: Option<(Vec<u32>, Cache, Vec<f32>)> = None;
    for choice in 0..question.count() {
        let context = format!("{before}{}", question.context(choice));
        let joined = join(&context, question.choice(choice));
        let head = tokenizer.around().0;
        // Blanks at the end of the context belong to what is scored.
        let fixed = [head, &tokenizer.encode(context.trim_end())?].concat();
        let whole = [head, &tokenizer.encode(&joined)?].concat();
        let from = fixed.len().min(whole.len().saturating_sub(1)).max(1);
        let limit = Cache::new(decoder.config()).limit();
        if whole.len() > limit || whole.len() <= from {
            return Err(SystemError::Input(format!(
                "a question has {} tokens and the model takes from 2 to {limit}: use fewer shots",
                whole.len()
            )));
        }
        // The context goes through the model once for all choices that share it.
        let prefix = &whole[..from];
        let known = shared.take().filter(|(ids, ..)| ids == prefix);
        let (cache, logits) = match known {
            Some((_, cache, logits)) => (cache, logits),
            None => {
                let mut cache = Cache::new(decoder.config());
                let logits = run(decoder, prefix, &mut cache, Logits::Last)?;
                (cache, logits)
            }
        };
        let mut sum = log_probability(&logits, whole[from]);
        let rest = &whole[from..whole.len() - 1];
        if !rest.is_empty() {
            let all = run(decoder, rest, &mut cache.fork(), Logits::All)?;
            let rows = all.chunks(decoder.config().vocab);
            sum += rows
                .zip(&whole[from + 1..])
                .map(|(row, &id)| log_probability(row, id))
                .sum::<f64>();
        }
        log_likelihoods.push(sum);
        shared = Some((prefix.to_vec(), cache, logits));
    }
    let best = |value: &dyn Fn(usize) -> f64| {
        let all = 0..question.count();
        all.reduce(|a, b| if value(b) > value(a) { b } else { a })
    };
    let characters = |choice: usize| question.choice(choice).chars().count().max(1) as f64;
    Ok(Score {
        acc: best(&|choice| log_likelihoods[choice]) == Some(question.answer),
        acc_norm: best(&|choice| log_likelihoods[choice] / characters(choice))
            == Some(question.answer),
        log_likelihoods,
    })
}

fn run(
    decoder: &Decoder,
    ids: &[u32],
    cache: &mut Cache,
    logits: Logits,
) -> Result<Vec<f32>, SystemError> {
    let request = Request {
        logits,
        ..Request::default()
    };
    let output = decoder.forward(&mut [Segment::new(Input::Ids(ids), cache)], &request)?;
    Ok(output
        .into_iter()
        .next()
        .map(|it| it.logits)
        .unwrap_or_default())
}

fn log_probability(logits: &[f32], id: u32) -> f64 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from(logit - highest).exp())
        .sum();
    let own = logits
        .get(id as usize)
        .copied()
        .unwrap_or(f32::NEG_INFINITY);
    f64::from(own - highest) - sum.ln()
}

/// Shots for question number `at`: others of the list, drawn from `seed`.
pub fn draw_shots(
    questions: &[Question],
    at: Option<usize>,
    count: usize,
    seed: u64,
) -> Vec<&Question> {
    let mut order: Vec<usize> = (0..questions.len()).filter(|it| Some(*it) != at).collect();
    Rng::new(seed)
        .child("shots")
        .item(at.unwrap_or(0) as u64)
        .shuffle(&mut order);
    order.truncate(count);
    order.iter().map(|&it| &questions[it]).collect()
}

/// Mean loss of a text in nats a token, in windows of `context` tokens that do not overlap, and how many tokens were scored.
///
/// # Errors
/// [`SystemError`].
pub fn text_loss(
    decoder: &Decoder,
    ids: &[u32],
    context: usize,
) -> Result<(f64, usize), SystemError> {
    let (mut sum, mut count) = (0.0, 0);
    for window in ids.chunks(context.max(2)).filter(|window| window.len() > 1) {
        let mut cache = Cache::new(decoder.config());
        let inputs = &window[..window.len() - 1];
        // A few rows of logits at a time.
        let mut at = 0;
        for part in inputs.chunks(128) {
            let logits = run(decoder, part, &mut cache, Logits::All)?;
            for row in logits.chunks(decoder.config().vocab) {
                at += 1;
                sum -= log_probability(row, window[at]);
                count += 1;
            }
        }
    }
    Ok((sum / count.max(1) as f64, count))
}
