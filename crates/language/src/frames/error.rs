//! What can go wrong with frames.

use base::command::Failure;
use base::files::FileError;
use base::tensor_file::WeightsError;
use engine::models::decoder::DecoderError;
use engine::text::TextError;
use engine::weights::hub::HubError;
use kernels::ShapeError;

/// Why frames cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// Something that was given cannot be used: the cause and the fix.
    #[error("{0}")]
    Input(String),
    /// The model.
    #[error(transparent)]
    Model(#[from] DecoderError),
    /// The tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// There is no such model.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A file of tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Slices that do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

impl From<FramesError> for Failure {
    fn from(error: FramesError) -> Self {
        match error {
            FramesError::Text(error) => error.into(),
            FramesError::Hub(error) => error.into(),
            FramesError::Weights(error) => error.into(),
            FramesError::File(error) => error.into(),
            FramesError::Model(DecoderError::Shape(_)) | FramesError::Shape(_) => {
                Self::failed(error)
            }
            _ => Self::input(error),
        }
    }
}
