//! What can go wrong, in one line each.

use base::command::Failure;
use base::files::FileError;
use base::job::jsonl::JsonlError;
use base::media::MediaError;
use base::tensor_file::WeightsError;

/// Errors of the system.
#[derive(Debug, thiserror::Error)]
pub enum RaplError {
    /// Something given cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// Something went wrong on the way.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C.
    #[error("{0}")]
    Stopped(&'static str),
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
pub type Result<T, E = RaplError> = std::result::Result<T, E>;

impl RaplError {
    /// Bad input.
    pub fn invalid(line: impl std::fmt::Display) -> Self {
        Self::Invalid(line.to_string())
    }

    /// A failure on the way.
    pub fn failed(line: impl std::fmt::Display) -> Self {
        Self::Failed(line.to_string())
    }
}

impl From<RaplError> for Failure {
    fn from(error: RaplError) -> Self {
        match error {
            RaplError::Invalid(line) => Self::input(line),
            RaplError::Stopped(line) => Self::interrupted(line),
            RaplError::Weights(error) => error.into(),
            RaplError::Media(error) => error.into(),
            RaplError::File(error) => error.into(),
            RaplError::Lines(error) => Self::input(error),
            RaplError::Failed(line) => Self::failed(line),
        }
    }
}
