//! What can go wrong with a decoder.

use std::path::PathBuf;

use kernels::ShapeError;

use crate::weights::WeightsError;

/// Why a decoder cannot be read or run.
#[derive(Debug, thiserror::Error)]
pub enum DecoderError {
    /// A family that is not known.
    #[error(
        "models of the family `{0}` are not supported; supported are llama, mistral, phi3, gemma2, gemma3, qwen2, granite, granitemoe, internlm2 and cohere"
    )]
    Family(String),
    /// A config that is not one.
    #[error(
        "the model's config cannot be used: {0}; take the `config.json` or GGUF file that belongs to the model"
    )]
    Config(String),
    /// No model where one was looked for.
    #[error(
        "`{path}` holds no model: {reason}; name a .gguf file, or a directory with `config.json` and safetensors files"
    )]
    Place {
        /// Where.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Nothing to read.
    #[error("sequence {sequence} of the batch is empty: give at least one token")]
    Empty {
        /// Its number in the batch.
        sequence: usize,
    },
    /// A token that is not in the vocabulary.
    #[error(
        "token {token} is not in the vocabulary of {vocab}: use the tokenizer that belongs to the model"
    )]
    Token {
        /// The token.
        token: u32,
        /// Tokens of the vocabulary.
        vocab: usize,
    },
    /// More tokens than the context holds.
    #[error(
        "{found} tokens do not fit the context of {limit}: shorten the input or start a new sequence"
    )]
    Context {
        /// Tokens with those of the cache.
        found: usize,
        /// Positions of the cache.
        limit: usize,
    },
    /// A cache, an adapter or a hook that was made for another model, or for none.
    #[error("{0}")]
    Foreign(String),
    /// Slices that do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}
