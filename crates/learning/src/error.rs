//! What can go wrong, in one line each.

use base::command::{Failure, Stopped};
use base::files::FileError;
use base::job::jsonl::JsonlError;
use base::media::MediaError;
use base::tensor_file::WeightsError;

/// Errors of this crate's systems.
#[derive(Debug, thiserror::Error)]
pub enum LearningError {
    /// Something given cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// Something went wrong on the way.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Sizes that a kernel refuses.
    #[error(transparent)]
    Shape(#[from] kernels::ShapeError),
    /// Sizes that are not those of a convolution.
    #[error(transparent)]
    Conv(#[from] kernels::ConvError),
    /// A file of tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A picture or clip.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A file of JSON lines.
    #[error(transparent)]
    Lines(#[from] JsonlError),
    /// Any other file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Shorthand.
pub type Result<T, E = LearningError> = std::result::Result<T, E>;

impl LearningError {
    /// Bad input.
    pub fn invalid(line: impl std::fmt::Display) -> Self {
        Self::Invalid(line.to_string())
    }

    /// A failure on the way.
    pub fn failed(line: impl std::fmt::Display) -> Self {
        Self::Failed(line.to_string())
    }
}

impl From<LearningError> for Failure {
    fn from(error: LearningError) -> Self {
        match error {
            LearningError::Invalid(line) => Self::input(line),
            LearningError::Stopped(error) => error.into(),
            LearningError::Weights(error) => error.into(),
            LearningError::Media(error) => error.into(),
            LearningError::File(error) => error.into(),
            LearningError::Lines(error) => Self::input(error),
            other => Self::failed(other),
        }
    }
}
