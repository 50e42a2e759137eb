use std::path::{Path, PathBuf};

use base::command::Failure;

use crate::text::TextError;
use crate::weights::WeightsError;

/// Why a model could not be opened, or gave no picture.
#[derive(Debug, thiserror::Error)]
pub enum DiffusionError {
    /// A file of the model cannot be read.
    #[error("cannot read `{path}`: {source}; is the folder complete?")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The model is not one, or its parts do not belong together.
    #[error("`{path}`: {reason}")]
    Model {
        /// The model, or the part that does not fit.
        path: PathBuf,
        /// What is wrong, and the fix.
        reason: String,
    },
    /// Weights are missing or do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tokenizer, or a prompt that it cannot write.
    #[error(transparent)]
    Text(#[from] TextError),
    /// What was asked for cannot be made.
    #[error("{0}")]
    Request(String),
    /// Values that are not numbers.
    #[error("{0}")]
    NotFinite(String),
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
}

impl DiffusionError {
    pub(super) fn model(path: &Path, reason: impl Into<String>) -> Self {
        Self::Model {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn request(line: impl Into<String>) -> Self {
        Self::Request(line.into())
    }
}

impl From<DiffusionError> for Failure {
    fn from(error: DiffusionError) -> Self {
        match error {
            DiffusionError::Weights(error) => error.into(),
            DiffusionError::Text(error) => error.into(),
            DiffusionError::Stopped => Self::interrupted(error),
            DiffusionError::NotFinite(_) => Self::failed(error),
            _ => Self::input(error),
        }
    }
}
