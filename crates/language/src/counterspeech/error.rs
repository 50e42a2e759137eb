//! Why counterspeech could not be made or measured.

use base::command::Failure;
use base::files::FileError;
use base::job::jsonl::JsonlError;
use base::job::log::LogError;
use engine::decode::DecodeError;
use engine::models::causal_lm::CausalLmError;
use engine::models::decoder::DecoderError;
use engine::text::TextError;
use engine::weights::hub::HubError;

use crate::guardian::GuardianError;
use crate::moxin::MoxinError;

/// Why counterspeech could not be made or measured.
#[derive(Debug, thiserror::Error)]
pub enum CounterspeechError {
    /// Records, grids, prompts, ratings or settings that cannot be used.
    #[error("{0}")]
    Data(String),
    /// Something went wrong on the way.
    #[error("{0}")]
    Failed(String),
    /// The model or an adapter.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// The model that is trained.
    #[error(transparent)]
    Model(#[from] CausalLmError),
    /// Training and its data.
    #[error(transparent)]
    Training(#[from] MoxinError),
    /// Sampling and prompts.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The tokenizer or the chat template.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model is not here.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The guard that measures toxicity.
    #[error(transparent)]
    Guard(#[from] GuardianError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of JSON lines cannot be read.
    #[error(transparent)]
    Lines(#[from] JsonlError),
    /// A journal cannot be written, or another run writes it.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl CounterspeechError {
    /// Bad input.
    pub(super) fn data(line: impl std::fmt::Display) -> Self {
        Self::Data(line.to_string())
    }
}

impl From<CounterspeechError> for Failure {
    fn from(error: CounterspeechError) -> Self {
        match error {
            CounterspeechError::Decode(error) => error.into(),
            CounterspeechError::Text(error) => error.into(),
            CounterspeechError::Hub(error) => error.into(),
            CounterspeechError::File(error) => error.into(),
            CounterspeechError::Guard(error) => error.into(),
            CounterspeechError::Model(error) => error.into(),
            CounterspeechError::Training(MoxinError::Stopped) => {
                Self::interrupted("stopped; the same command with `--resume` goes on from here")
            }
            CounterspeechError::Training(error) => error.into(),
            CounterspeechError::Decoder(DecoderError::Shape(_)) | CounterspeechError::Failed(_) => {
                Self::failed(error)
            }
            _ => Self::input(error),
        }
    }
}
