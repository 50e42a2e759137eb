//! Why a system could not do its work.

use std::path::Path;

use base::command::{Failure, Stopped};
#[cfg(feature = "endpoint")]
use base::endpoint::ChatError;
use base::files::FileError;
use base::job::journal::JournalError;
use base::job::jsonl::JsonlError;
use base::job::log::LogError;
use base::media::MediaError;
use base::tensor_file::WeightsError;

#[cfg(feature = "language")]
use crate::decode::DecodeError;
#[cfg(feature = "language")]
use crate::models::causal_lm::CausalLmError;
#[cfg(feature = "language")]
use crate::models::decoder::DecoderError;
#[cfg(feature = "stable-diffusion")]
use crate::models::stable_diffusion::DiffusionError;
#[cfg(feature = "text")]
use crate::text::TextError;
use crate::train::TrainError;
#[cfg(feature = "hub")]
use crate::weights::hub::HubError;

/// Why a system could not do its work: one line with cause and fix.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// Something that was given cannot be used.
    #[error("{0}")]
    Input(String),
    /// Something went wrong on the way.
    #[error("{0}")]
    Failed(String),
    /// Stopped by the user.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of JSON lines cannot be read.
    #[error(transparent)]
    Lines(#[from] JsonlError),
    /// A log cannot be written, or another run writes it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The journal of answers cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A picture cannot be read or written.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A file of tensors cannot be read, used or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A model that was asked does not answer.
    #[cfg(feature = "endpoint")]
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The tokenizer or the chat template.
    #[cfg(feature = "text")]
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model is not here.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The language model.
    #[cfg(feature = "language")]
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// Sampling and prompts.
    #[cfg(feature = "language")]
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The language model that is trained.
    #[cfg(feature = "language")]
    #[error(transparent)]
    CausalLm(#[from] CausalLmError),
    /// The diffusion model.
    #[cfg(feature = "stable-diffusion")]
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Slices that do not fit together.
    #[error(transparent)]
    Shape(#[from] kernels::ShapeError),
}

impl SystemError {
    /// Bad input.
    pub fn input(line: impl std::fmt::Display) -> Self {
        Self::Input(line.to_string())
    }

    /// A file or folder that cannot be read or written, and why.
    pub fn path(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Input(format!("cannot use `{}`: {reason}", path.display()))
    }
}

impl From<SystemError> for Failure {
    fn from(error: SystemError) -> Self {
        match error {
            SystemError::Input(_) => Self::input(error),
            SystemError::Failed(_) | SystemError::Shape(_) => Self::failed(error),
            SystemError::Stopped(error) => error.into(),
            #[cfg(feature = "endpoint")]
            SystemError::Chat(ChatError::Stopped) => Stopped::resumable().into(),
            #[cfg(feature = "endpoint")]
            SystemError::Chat(_) => Self::failed(error),
            #[cfg(feature = "language")]
            SystemError::Decoder(DecoderError::Shape(_)) => Self::failed(error),
            #[cfg(feature = "language")]
            SystemError::Decoder(_) => Self::input(error),
            SystemError::File(error) => error.into(),
            SystemError::Lines(error) => error.into(),
            SystemError::Log(error) => error.into(),
            SystemError::Journal(error) => error.into(),
            SystemError::Media(error) => error.into(),
            SystemError::Weights(error) => error.into(),
            #[cfg(feature = "text")]
            SystemError::Text(error) => error.into(),
            #[cfg(feature = "hub")]
            SystemError::Hub(error) => error.into(),
            #[cfg(feature = "language")]
            SystemError::Decode(error) => error.into(),
            #[cfg(feature = "language")]
            SystemError::CausalLm(error) => error.into(),
            #[cfg(feature = "stable-diffusion")]
            SystemError::Diffusion(error) => error.into(),
            SystemError::Train(error) => error.into(),
        }
    }
}
