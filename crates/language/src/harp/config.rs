//! Settings of HARP.

use serde::{Deserialize, Serialize};

use super::SystemError;

/// Measure of hesitation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The entropy of the next-token distribution, in bits, is above `theta`.
    #[default]
    Entropy,
    /// The second-best probability divided by the best is above `theta`, from 0 to 1.
    Top2Ratio,
    /// At every token.
    Always,
    /// At none: the ordinary model.
    Never,
}

/// What is done to the embeddings of a second look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Each coordinate is zero with probability `delta`; the others are not rescaled.
    #[default]
    Dropout,
    /// `e + α / √(tokens · width) · U(−1, 1)` with this `α` (NEFTune, arXiv 2310.05914).
    Uniform(f32),
}

/// How long a dropout mask lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskLife {
    /// A new mask for the whole prefix at each hesitation, as in the paper.
    #[default]
    Fresh,
    /// One mask a sequence, which grows with it. Second looks then run on a cache of their own and cost a token each.
    Persistent,
}

/// Settings of HARP; the default is the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HarpConfig {
    /// The model hesitates above this: 1 bit, the entropy of two equally likely tokens.
    pub theta: f32,
    /// Share of embedding coordinates that are set to zero: 0.2.
    pub delta: f32,
    /// Weight of the ordinary logits; the reframed ones have the rest: 0.5.
    pub beta: f32,
    /// Second looks at each hesitation, whose logits are averaged: 1.
    pub steps: usize,
    /// Measure of hesitation.
    pub metric: Metric,
    /// What is done to the embeddings.
    pub noise: Noise,
    /// Only this many of the last positions are reframed; keys and values of the earlier ones are the ordinary ones. Not in
    /// the paper.
    pub window: Option<usize>,
    /// How long a mask lives. Not in the paper.
    pub mask: MaskLife,
    /// Seed of masks and sampler.
    pub seed: u64,
}

impl Default for HarpConfig {
    /// The official code's: θ 1 bit, δ 0.2, β 0.5, one reframing.
    fn default() -> Self {
        Self {
            theta: 1.0,
            delta: 0.2,
            beta: 0.5,
            steps: 1,
            metric: Metric::Entropy,
            noise: Noise::Dropout,
            window: None,
            mask: MaskLife::Fresh,
            seed: 0,
        }
    }
}

impl HarpConfig {
    /// The ordinary model, which never looks twice.
    pub fn vanilla() -> Self {
        Self {
            metric: Metric::Never,
            ..Self::default()
        }
    }

    /// # Errors
    /// [`SystemError::Input`] for what is out of range or does not go together.
    pub fn check(&self) -> Result<(), SystemError> {
        let wrong = |name: &str, value: String, range: &str| {
            Err(SystemError::Input(format!("{name} is {value}: {range}")))
        };
        let share = |value: f32| (0.0..=1.0).contains(&value);
        match self {
            it if !(0.0..=1000.0).contains(&it.theta) => wrong(
                "theta",
                it.theta.to_string(),
                "give a number of bits from 0 to 1000",
            ),
            it if it.metric == Metric::Top2Ratio && it.theta >= 1.0 => wrong(
                "theta",
                it.theta.to_string(),
                "the second-best token is never above 1 times the best one: with the metric `top2` give a theta from 0, below 1",
            ),
            it if !share(it.delta) => {
                wrong("delta", it.delta.to_string(), "give a share from 0 to 1")
            }
            it if !share(it.beta) => {
                wrong("beta", it.beta.to_string(), "give a weight from 0 to 1")
            }
            it if !(1..=64).contains(&it.steps) => {
                wrong("steps", it.steps.to_string(), "give 1 to 64")
            }
            it if it.window == Some(0) => {
                wrong("reframe-window", "0".into(), "give at least 1 position")
            }
            Self {
                noise: Noise::Uniform(alpha),
                ..
            } if !(0.0..=1e4).contains(alpha) => {
                wrong("noise", alpha.to_string(), "give an alpha from 0 to 10000")
            }
            Self {
                mask: MaskLife::Persistent,
                window: Some(n),
                ..
            } => wrong(
                "window",
                n.to_string(),
                "a mask that persists covers the whole text: leave one of the two out",
            ),
            Self {
                mask: MaskLife::Persistent,
                noise: Noise::Uniform(alpha),
                ..
            } => wrong(
                "noise",
                format!("uniform:{alpha}"),
                "it depends on the length of the text: with a mask that persists use dropout",
            ),
            _ => Ok(()),
        }
    }
}
