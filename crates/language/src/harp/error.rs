//! Why HARP could not run.

use base::command::Failure;
use base::files::FileError;
use engine::decode::DecodeError;
use engine::models::decoder::DecoderError;
use engine::text::TextError;
use engine::weights::hub::HubError;

/// Why HARP could not run.
#[derive(Debug, thiserror::Error)]
pub enum HarpError {
    /// A setting is out of range.
    #[error("{name} is {value}: {range}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// Recorded draws are used up.
    #[error(
        "the recorded draws end {0} values too early: record one for each coordinate of each second look"
    )]
    Draws(usize),
    /// Tasks or texts that cannot be used.
    #[error("{0}")]
    Data(String),
    /// The model.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// Sampling and prompts.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model is not here.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Ctrl-C.
    #[error("{0}")]
    Stopped(&'static str),
}

impl From<HarpError> for Failure {
    fn from(error: HarpError) -> Self {
        match error {
            HarpError::Decode(error) => error.into(),
            HarpError::Text(error) => error.into(),
            HarpError::Hub(error) => error.into(),
            HarpError::File(error) => error.into(),
            HarpError::Stopped(line) => Self::interrupted(line),
            HarpError::Decoder(DecoderError::Shape(_)) | HarpError::Draws(_) => Self::failed(error),
            _ => Self::input(error),
        }
    }
}
