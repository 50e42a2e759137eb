use std::path::PathBuf;

use base::command::Failure;
use base::files::FileError;
use engine::decode::DecodeError;
use engine::models::causal_lm::CausalLmError;
use engine::models::decoder::DecoderError;
use engine::text::TextError;
use engine::train::TrainError;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum MoxinError {
    /// Something that was given cannot be used; the line says what to do.
    #[error("{0}")]
    Input(String),
    /// A file or folder cannot be read or written.
    #[error("cannot use `{}`: {reason}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why, and the fix.
        reason: String,
    },
    /// A control token in what somebody wrote.
    #[error("a text holds `{0}`, which steers the model: take it out of the text")]
    Marker(String),
    /// Ctrl-C.
    #[error("stopped; the same command goes on from here")]
    Stopped,
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The trained model.
    #[error(transparent)]
    Model(#[from] CausalLmError),
    /// The model that generates.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// The loop that generates.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The training loop.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl MoxinError {
    /// A file or folder, and what the system says.
    pub(super) fn path(path: &std::path::Path, reason: impl std::fmt::Display) -> Self {
        Self::Path {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

impl From<MoxinError> for Failure {
    fn from(error: MoxinError) -> Self {
        match error {
            MoxinError::Stopped => Self::interrupted(error),
            MoxinError::File(error) => error.into(),
            MoxinError::Model(error) => error.into(),
            MoxinError::Train(error) => error.into(),
            error => Self::input(error),
        }
    }
}
