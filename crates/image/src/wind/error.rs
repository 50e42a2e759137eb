//! What can go wrong, each with its fix.

use std::path::PathBuf;

use base::command::Failure;
use base::files::FileError;
use base::media::MediaError;
use base::tensor_file::WeightsError;

/// Why a watermark could not be made or looked for.
#[derive(Debug, thiserror::Error)]
pub enum WindError {
    /// A key file that cannot be used. Never carries what the file holds.
    #[error("cannot use the key `{}`: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Cause and fix.
        reason: String,
    },
    /// A ledger that does not agree with itself or with the key.
    #[error("cannot use the ledger `{}`: {reason}", path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// Cause and fix.
        reason: String,
    },
    /// Something that was asked for is out of range.
    #[error("{0}")]
    InvalidRequest(String),
    /// The operating system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Entropy(String),
    /// A picture cannot be read or written.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A tensor file cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Ctrl-C.
    #[error("stopped; nothing was written")]
    Stopped,
    /// The diffusion model failed.
    #[error("{0}")]
    Model(String),
}

impl WindError {
    pub(super) fn invalid(line: impl Into<String>) -> Self {
        Self::InvalidRequest(line.into())
    }
}

impl From<WindError> for Failure {
    fn from(error: WindError) -> Self {
        match error {
            WindError::Media(error) => error.into(),
            WindError::File(error) => error.into(),
            WindError::Weights(error) => error.into(),
            WindError::Stopped => Self::interrupted(error),
            WindError::Entropy(_) | WindError::Model(_) => Self::failed(error),
            _ => Self::input(error),
        }
    }
}
