//! Why LoRA.rar could not run.

use base::command::Failure;
use base::endpoint::ChatError;
use base::media::MediaError;
use base::tensor_file::WeightsError;
use engine::train::TrainError;

/// Why LoRA.rar could not run.
#[derive(Debug, thiserror::Error)]
pub enum LoraRarError {
    /// A file cannot be read, used or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A picture cannot be read.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The judge does not answer.
    #[error(transparent)]
    Judge(#[from] ChatError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Inputs that do not go together, with the fix.
    #[error("{0}")]
    Input(String),
    /// Stopped by the user.
    #[error("stopped; nothing was written")]
    Stopped,
}

impl From<LoraRarError> for Failure {
    fn from(error: LoraRarError) -> Self {
        match error {
            LoraRarError::Weights(error) => error.into(),
            LoraRarError::Media(error) => error.into(),
            LoraRarError::Train(error) => error.into(),
            LoraRarError::Judge(_) => Self::failed(error),
            LoraRarError::Input(_) => Self::input(error),
            LoraRarError::Stopped => Self::interrupted(error),
        }
    }
}
