//! Beam search, the baseline that HARP is compared with; over the ordinary model.

use engine::decode::BeamConfig;
use serde::{Deserialize, Serialize};

/// Which beam search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum BeamCompat {
    /// The usual one: scores are mean log-probabilities.
    #[default]
    None,
    /// The official code's: scores begin at 1, length penalty 1.2 with minimum length 5, 5 continuations a beam, and the
    /// first token ends nothing.
    Harp,
}

/// A search with `beams` beams for at most `max_tokens` tokens, ended by any of `end`.
pub fn beam_config(
    compat: BeamCompat,
    beams: usize,
    max_tokens: usize,
    end: Vec<u32>,
) -> BeamConfig {
    match compat {
        BeamCompat::None => BeamConfig::new(beams, max_tokens, end),
        BeamCompat::Harp => BeamConfig {
            beams,
            ..BeamConfig::harp(max_tokens, end)
        },
    }
}
