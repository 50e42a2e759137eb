//! The choice of the next token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::logits::key;
use super::{DecodeError, argmax, softmax};
use base::rng::Rng;

/// How the next token is chosen. The steps are taken in the order of the fields; each leaves at least one token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerConfig {
    /// Logits of tokens seen before are divided by this where positive, else multiplied (Keskar et al. 2019). 1 is off.
    pub repetition_penalty: f32,
    /// Taken from the logit of a token for each time it was seen. 0 is off.
    pub frequency_penalty: f32,
    /// Taken from the logit of a token that was seen. 0 is off.
    pub presence_penalty: f32,
    /// Penalties look at this many tokens back, prompt included.
    pub penalty_window: usize,
    /// Tokens below the `top_k`-th best logit are left out; equal ones stay. 0 is off.
    pub top_k: usize,
    /// Tokens go, from the worst, while those better than them have more than this probability together, at temperature 1
    /// (Holtzman et al. 2019). 1 is off.
    pub top_p: f32,
    /// Tokens less probable than this share of the best one are left out, at temperature 1. 0 is off.
    pub min_p: f32,
    /// Logits are divided by this before the draw; 0 takes the best token.
    pub temperature: f32,
}

impl Default for SamplerConfig {
    /// Greedy.
    fn default() -> Self {
        Self {
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            penalty_window: 64,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            temperature: 0.0,
        }
    }
}

impl SamplerConfig {
    /// # Errors
    /// [`DecodeError::Setting`] for what is out of range.
    pub fn check(&self) -> Result<(), DecodeError> {
        let wrong = |name, value: f32, range| {
            Err(DecodeError::Setting {
                name,
                value: value.to_string(),
                range,
            })
        };
        let finite = "give a number from -100 to 100";
        match self {
            it if !(0.0..=100.0).contains(&it.temperature) => {
                wrong("temperature", it.temperature, "give a number from 0 to 100")
            }
            it if !(it.top_p > 0.0 && it.top_p <= 1.0) => {
                wrong("top-p", it.top_p, "give a number above 0, up to 1")
            }
            it if !(0.0..=1.0).contains(&it.min_p) => {
                wrong("min-p", it.min_p, "give a number from 0 to 1")
            }
            it if !(it.repetition_penalty > 0.0 && it.repetition_penalty <= 100.0) => wrong(
                "repetition penalty",
                it.repetition_penalty,
                "give a number above 0, up to 100",
            ),
            it if !(-100.0..=100.0).contains(&it.frequency_penalty) => {
                wrong("frequency penalty", it.frequency_penalty, finite)
            }
            it if !(-100.0..=100.0).contains(&it.presence_penalty) => {
                wrong("presence penalty", it.presence_penalty, finite)
            }
            _ => Ok(()),
        }
    }

    fn penalises(&self) -> bool {
        self.penalty_window > 0
            && (self.repetition_penalty != 1.0
                || self.frequency_penalty != 0.0
                || self.presence_penalty != 0.0)
    }
}

/// A token that may come next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The token.
    pub id: u32,
    /// Its probability among the candidates, at the sampler's temperature.
    pub probability: f32,
}

/// A sampler with its own randomness: one per sequence, so that no sequence depends on another.
#[derive(Clone, Debug)]
pub struct Sampler {
    config: SamplerConfig,
    rng: Rng,
}

impl Sampler {
    /// # Errors
    /// As [`SamplerConfig::check`].
    pub fn new(config: SamplerConfig, rng: Rng) -> Result<Self, DecodeError> {
        config.check()?;
        Ok(Self { config, rng })
    }

    /// Its settings.
    pub fn config(&self) -> &SamplerConfig {
        &self.config
    }

    /// The next token after `history` (prompt and what was generated), given its `logits` `[vocabulary]`, of which those
    /// that must not come are `-inf`. Takes one draw, at temperature 0 none.
    ///
    /// # Errors
    /// [`DecodeError::NoToken`] when no logit is above `-inf`, or one is NaN.
    pub fn next(&mut self, logits: &[f32], history: &[u32]) -> Result<u32, DecodeError> {
        if self.config.temperature == 0.0 {
            let penalised = self.penalised(logits, history);
            let best = argmax(penalised.as_deref().unwrap_or(logits));
            return best.ok_or(DecodeError::NoToken(
                "the model's logits are not finite numbers",
            ));
        }
        let candidates = self.candidates(logits, history)?;
        Ok(pick(&candidates, self.rng.uniform()))
    }

    /// The tokens that may come next, and how probable they are.
    ///
    /// # Errors
    /// As [`Sampler::next`].
    pub fn candidates(
        &self,
        logits: &[f32],
        history: &[u32],
    ) -> Result<Vec<Candidate>, DecodeError> {
        let config = &self.config;
        let penalised = self.penalised(logits, history);
        let logits = penalised.as_deref().unwrap_or(logits);
        let mut kept = top_k(logits, config.top_k);
        if kept.is_empty() || logits.iter().any(|logit| logit.is_nan()) {
            return Err(DecodeError::NoToken(
                "the model's logits are not finite numbers",
            ));
        }
        if config.top_p < 1.0 || config.min_p > 0.0 {
            let values: Vec<f32> = kept.iter().map(|&id| logits[id as usize]).collect();
            let probabilities = softmax(&values)?;
            let mut pairs: Vec<(u32, f32)> = kept.into_iter().zip(probabilities).collect();
            if config.top_p < 1.0 {
                pairs = top_p(pairs, config.top_p);
            }
            let best = pairs.iter().fold(0.0, |best: f32, it| best.max(it.1));
            pairs.retain(|it| it.1 >= config.min_p * best);
            kept = pairs.into_iter().map(|it| it.0).collect();
        }
        // Temperature 0 is the limit: all weight on the best.
        if config.temperature == 0.0 {
            let best = argmax(logits).unwrap_or_default();
            return Ok(vec![Candidate {
                id: best,
                probability: 1.0,
            }]);
        }
        let best = kept
            .iter()
            .map(|&id| logits[id as usize])
            .fold(f32::NEG_INFINITY, f32::max);
        let cooled = kept
            .iter()
            .map(|&id| (logits[id as usize] - best) / config.temperature);
        let probabilities = softmax(&cooled.collect::<Vec<f32>>())?;
        let candidates = kept.into_iter().zip(probabilities);
        Ok(candidates
            .map(|(id, probability)| Candidate { id, probability })
            .collect())
    }

    /// Logits after penalties; `None` where there are none.
    fn penalised(&self, logits: &[f32], history: &[u32]) -> Option<Vec<f32>> {
        let config = &self.config;
        if !config.penalises() || history.is_empty() {
            return None;
        }
        let recent = &history[history.len().saturating_sub(config.penalty_window)..];
        let mut counts: BTreeMap<u32, f32> = BTreeMap::new();
        recent
            .iter()
            .for_each(|&id| *counts.entry(id).or_default() += 1.0);
        let mut logits = logits.to_vec();
        for (id, count) in counts {
            if let Some(logit) = logits.get_mut(id as usize) {
                match *logit > 0.0 {
                    true => *logit /= config.repetition_penalty,
                    false => *logit *= config.repetition_penalty,
                }
                *logit -= config.frequency_penalty * count + config.presence_penalty;
            }
        }
        Some(logits)
    }
}

/// Ids of the logits above `-inf` that are not below the `k`-th best, in ascending order; all of them for 0.
fn top_k(logits: &[f32], k: usize) -> Vec<u32> {
    let mut least = f32::NEG_INFINITY;
    if k > 0 && k < logits.len() {
        let mut values: Vec<f32> = logits.iter().map(|&logit| key(logit)).collect();
        least = *values
            .select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a))
            .1;
    }
    let ids = logits.iter().zip(0u32..);
    let ids = ids.filter(|&(&logit, _)| logit >= least && logit > f32::NEG_INFINITY);
    ids.map(|(_, id)| id).collect()
}

/// The best of `pairs` (token and probability), up to the first whose betters have more than `p` together.
fn top_p(mut pairs: Vec<(u32, f32)>, p: f32) -> Vec<(u32, f32)> {
    let better = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    // Most often a few hundred tokens hold the mass: the rest need not be sorted.
    let mut sorted = 256;
    loop {
        if sorted < pairs.len() {
            pairs.select_nth_unstable_by(sorted - 1, better);
        }
        let end = sorted.min(pairs.len());
        pairs[..end].sort_unstable_by(better);
        // Summed in f64 and compared in f32, as PyTorch does: ties at the edge fall as there.
        let mut before = 0.0f64;
        let keep = pairs[..end].iter().position(|it| {
            let past = before as f32 > p;
            before += f64::from(it.1);
            past
        });
        match keep {
            Some(keep) => {
                pairs.truncate(keep);
                return pairs;
            }
            None if end == pairs.len() => return pairs,
            None => sorted *= 8,
        }
    }
}

/// The candidate at `uniform` in `[0, 1)` of the summed probabilities.
fn pick(candidates: &[Candidate], uniform: f32) -> u32 {
    let mut left = f64::from(uniform);
    for candidate in candidates {
        left -= f64::from(candidate.probability);
        if left < 0.0 {
            return candidate.id;
        }
    }
    let possible = candidates.iter().rev().find(|it| it.probability > 0.0);
    possible.map_or(0, |it| it.id)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "sampler_tests.rs"]
mod tests;
