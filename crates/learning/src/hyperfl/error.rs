//! What can go wrong, in one line each.

use base::command::Failure;
use base::files::FileError;
use base::tensor_file::WeightsError;

/// Errors of the system.
#[derive(Debug, thiserror::Error)]
pub enum HyperflError {
    /// Something given cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// Something went wrong on the way.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C.
    #[error("{0}")]
    Stopped(&'static str),
    /// Sizes that a kernel refuses.
    #[error(transparent)]
    Shape(#[from] kernels::ShapeError),
    /// Sizes that are not those of a convolution.
    #[error(transparent)]
    Conv(#[from] kernels::ConvError),
    /// A file of tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Any other file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Shorthand.
pub type Result<T, E = HyperflError> = std::result::Result<T, E>;

impl HyperflError {
    /// Bad input.
    pub fn invalid(line: impl std::fmt::Display) -> Self {
        Self::Invalid(line.to_string())
    }

    /// A failure on the way.
    pub fn failed(line: impl std::fmt::Display) -> Self {
        Self::Failed(line.to_string())
    }
}

impl From<HyperflError> for Failure {
    fn from(error: HyperflError) -> Self {
        match error {
            HyperflError::Invalid(line) => Self::input(line),
            HyperflError::Stopped(line) => Self::interrupted(line),
            HyperflError::Weights(error) => error.into(),
            HyperflError::File(error) => error.into(),
            other => Self::failed(other),
        }
    }
}
