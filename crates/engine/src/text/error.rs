//! Why a tokenizer or a chat template cannot be used.

use std::path::PathBuf;

use base::command::{Failure, one_line};

use crate::weights::WeightsError;

/// Why text could not be turned into tokens, or tokens into text.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}; check that the file exists and is readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A GGUF file is broken.
    #[error(transparent)]
    Weights(WeightsError),
    /// There is no tokenizer where one was looked for.
    #[error("`{}` has no `tokenizer.json`, `tokenizer.model` or GGUF file: copy the tokenizer that belongs to the weights into it", path.display())]
    NoTokenizer {
        /// The folder or file.
        path: PathBuf,
    },
    /// The file is not a usable tokenizer.
    #[error("the tokenizer of `{origin}` cannot be used: {reason}")]
    Malformed {
        /// The file.
        origin: String,
        /// What is wrong with it, and the fix.
        reason: String,
    },
    /// The text cannot be encoded.
    #[error("the text cannot be turned into tokens: {reason}")]
    Encode {
        /// What is wrong.
        reason: String,
    },
    /// A token id that the vocabulary does not have.
    #[error("there is no token {id}: the vocabulary has {size}")]
    UnknownId {
        /// The id.
        id: u32,
        /// Tokens of the vocabulary.
        size: usize,
    },
    /// Tokenizer and weights do not belong together.
    #[error(
        "the tokenizer of `{origin}` has {tokens} tokens and the weights have {rows} rows: use the tokenizer that came with the weights"
    )]
    WrongVocabulary {
        /// The tokenizer's file.
        origin: String,
        /// Tokens of the vocabulary.
        tokens: usize,
        /// Rows of the embedding table.
        rows: usize,
    },
    /// The model has no chat template.
    #[error(
        "`{origin}` has no chat template: give plain text without `--chat`, or a template file"
    )]
    NoTemplate {
        /// The tokenizer's file.
        origin: String,
    },
    /// The template is malformed, refuses the messages, or never ends.
    #[error("the chat template cannot be rendered: {reason}")]
    Template {
        /// What is wrong.
        reason: String,
    },
}

impl TextError {
    pub(super) fn malformed(origin: &str, reason: impl std::fmt::Display) -> Self {
        Self::Malformed {
            origin: origin.to_owned(),
            reason: one_line(&reason.to_string()),
        }
    }

    pub(super) fn encode(reason: impl std::fmt::Display) -> Self {
        Self::Encode {
            reason: one_line(&reason.to_string()),
        }
    }

    pub(super) fn template(reason: impl std::fmt::Display) -> Self {
        Self::Template {
            reason: one_line(&reason.to_string()),
        }
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        Self::input(error)
    }
}
