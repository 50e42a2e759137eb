//! Learned rewards: what every frame of a video is worth.

use super::encoder::Vision;
use super::learn::Scored;
use super::{Embeddings, LearningError, Match, Result, Transport};

/// How several preferred demonstrations count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Experts {
    /// The one with the greatest video reward.
    #[default]
    Best,
    /// The mean of all.
    Mean,
}

/// A learned reward.
#[derive(Clone, Debug)]
pub enum Reward {
    /// Optimal transport to preferred demonstrations: RAPL, and the baselines that differ in the encoder.
    Transport {
        /// The encoder.
        vision: Vision,
        /// The demonstrations as it sees them.
        experts: Vec<Embeddings>,
        /// How frames are matched.
        transport: Transport,
        /// How several count.
        pick: Experts,
    },
    /// A score of every frame: RLHF, goal classifier.
    Scores {
        /// How frames are prepared.
        vision: Vision,
        /// Encoder and head.
        scored: Box<Scored>,
    },
    /// Minus the distance to the mean of the demonstrations' last frames (XIRL).
    Distance {
        /// The encoder.
        vision: Vision,
        /// That mean.
        goal: Vec<f64>,
        /// What distances are multiplied by.
        scale: f64,
    },
}

impl Reward {
    /// Transport to prepared demonstrations.
    ///
    /// # Errors
    /// No demonstration; as [`Vision::embed`].
    pub fn transport(
        vision: Vision,
        experts: &[&[f32]],
        transport: Transport,
        pick: Experts,
    ) -> Result<Self> {
        if experts.is_empty() {
            return Err(LearningError::invalid(
                "no preferred demonstration: give at least one",
            ));
        }
        let experts = experts
            .iter()
            .map(|video| vision.embed(video))
            .collect::<Result<_>>()?;
        Ok(Self::Transport {
            vision,
            experts,
            transport,
            pick,
        })
    }

    /// Distance to the goal of prepared demonstrations; the mean distance of their first frames becomes 1.
    ///
    /// # Errors
    /// As [`Reward::transport`].
    pub fn distance(vision: Vision, experts: &[&[f32]]) -> Result<Self> {
        let seen: Vec<Embeddings> = experts
            .iter()
            .map(|video| vision.embed(video))
            .collect::<Result<_>>()?;
        let Some(first) = seen.first() else {
            return Err(LearningError::invalid(
                "no preferred demonstration: give at least one",
            ));
        };
        let mut goal = vec![0.0; first.width()];
        for video in &seen {
            let last = video.row(video.frames() - 1);
            goal.iter_mut()
                .zip(last)
                .for_each(|(g, x)| *g += x / seen.len() as f64);
        }
        let far = seen
            .iter()
            .map(|video| distance(video.row(0), &goal))
            .sum::<f64>()
            / seen.len() as f64;
        Ok(Self::Distance {
            vision,
            goal,
            scale: 1.0 / far.max(1e-9),
        })
    }

    /// How frames are prepared.
    pub fn vision(&self) -> &Vision {
        match self {
            Self::Transport { vision, .. }
            | Self::Scores { vision, .. }
            | Self::Distance { vision, .. } => vision,
        }
    }

    /// The reward of every prepared frame.
    ///
    /// # Errors
    /// As [`Vision::embed`].
    pub fn frames(&self, pixels: &[f32]) -> Result<Vec<f64>> {
        match self {
            Self::Transport {
                vision,
                experts,
                transport,
                pick,
            } => {
                let seen = vision.embed(pixels)?;
                let matches = experts
                    .iter()
                    .map(|expert| transport.solve(&seen, expert))
                    .collect::<Result<Vec<Match>>>()?;
                Ok(combine(&matches, *pick))
            }
            Self::Scores { vision, scored } => {
                Ok(scored.scores(pixels, &vision.config, &vision.device))
            }
            Self::Distance {
                vision,
                goal,
                scale,
            } => {
                let seen = vision.embed(pixels)?;
                Ok(seen
                    .rows()
                    .map(|row| -scale * distance(row, goal))
                    .collect())
            }
        }
    }

    /// The reward of a whole prepared video.
    ///
    /// # Errors
    /// As [`Reward::frames`].
    pub fn video(&self, pixels: &[f32]) -> Result<f64> {
        Ok(self.frames(pixels)?.iter().sum())
    }
}

fn combine(matches: &[Match], pick: Experts) -> Vec<f64> {
    match pick {
        Experts::Best => matches
            .iter()
            .min_by(|a, b| a.cost().total_cmp(&b.cost()))
            .map_or_else(Vec::new, Match::rewards),
        Experts::Mean => {
            let mut sum: Vec<f64> = Vec::new();
            for found in matches {
                let rewards = found.rewards();
                sum.resize(rewards.len(), 0.0);
                sum.iter_mut()
                    .zip(rewards)
                    .for_each(|(s, r)| *s += r / matches.len() as f64);
            }
            sum
        }
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    super::embeddings::distance_squared(a, b).sqrt()
}
