//! Why no text could be generated.

use crate::text::TextError;
use base::command::{Failure, one_line};

/// Why no text could be generated.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A setting is out of range.
    #[error("{name} is {value}: {range}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// There is no prompt.
    #[error("the prompt is empty: give some text, or a model with a begin token")]
    EmptyPrompt,
    /// The prompt fills the model's context.
    #[error(
        "the prompt has {tokens} tokens and the model takes {room}: shorten it, or use a model with a longer context"
    )]
    TooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that the model takes.
        room: usize,
    },
    /// No token has a finite logit.
    #[error("no token can follow: {0}")]
    NoToken(&'static str),
    /// A JSON schema, pattern or grammar cannot be used.
    #[error("the {kind} cannot be used: {reason}")]
    Grammar {
        /// What was given.
        kind: &'static str,
        /// Why not.
        reason: String,
    },
    /// Tokens and text do not fit.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model failed.
    #[error("{0}")]
    Model(Box<dyn std::error::Error + Send + Sync>),
}

impl DecodeError {
    /// What a model reports.
    pub fn model(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Model(Box::new(error))
    }

    pub(super) fn grammar(kind: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Grammar {
            kind,
            reason: one_line(&reason.to_string()),
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Model(_) | DecodeError::NoToken(_) => Self::failed(error),
            _ => Self::input(error),
        }
    }
}
