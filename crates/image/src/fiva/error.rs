//! Why FiVA could not run.

use base::command::Failure;
use base::endpoint::ChatError;
use base::job::journal::JournalError;
use base::media::MediaError;
use base::tensor_file::WeightsError;
use engine::models::stable_diffusion::DiffusionError;
use engine::text::TextError;
use engine::train::TrainError;

/// Why FiVA could not run.
#[derive(Debug, thiserror::Error)]
pub enum FivaError {
    /// A file of weights cannot be read, used or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A picture cannot be read.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The vocabulary, or a tag that it cannot write.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The base model cannot be opened, or draws nothing.
    #[error(transparent)]
    Base(#[from] DiffusionError),
    /// A model that was asked does not answer.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The journal of answers cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Inputs that do not go together, with the fix.
    #[error("{0}")]
    Input(String),
}

impl FivaError {
    pub(super) fn input(line: impl Into<String>) -> Self {
        Self::Input(line.into())
    }
}

impl From<FivaError> for Failure {
    fn from(error: FivaError) -> Self {
        match error {
            FivaError::Weights(error) => error.into(),
            FivaError::Media(error) => error.into(),
            FivaError::Text(error) => error.into(),
            FivaError::Base(error) => error.into(),
            FivaError::Journal(error) => error.into(),
            FivaError::Train(error) => error.into(),
            FivaError::Chat(ChatError::Stopped) => {
                Self::interrupted("stopped; the same command goes on from here")
            }
            FivaError::Chat(_) => Self::failed(error),
            FivaError::Input(_) => Self::input(error),
        }
    }
}
