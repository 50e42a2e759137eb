//! Why a risk cannot be assessed.

use base::command::Failure;
use base::tensor_file::WeightsError;
use engine::models::decoder::DecoderError;
use engine::text::TextError;
use engine::train::TrainError;

/// Why a risk cannot be assessed. One line with cause and fix.
#[derive(Debug, thiserror::Error)]
pub enum GuardianError {
    /// A built-in risk was given another definition (rule of the 3.2 template).
    #[error(
        "invalid config: built-in risk_name's definition cannot be overridden: give `{0}` another name, or leave its definition out"
    )]
    Overridden(String),
    /// An unknown risk has no definition (rule of the 3.2 template).
    #[error(
        "invalid config: user-provided risk_name requires a risk_definition: `{name}` is not built in{hint}"
    )]
    Undefined {
        /// The name that was given.
        name: String,
        /// What else may have been meant.
        hint: String,
    },
    /// The messages do not fit the risk.
    #[error("{0}")]
    Messages(String),
    /// A data file, definition file or wording file cannot be used.
    #[error("{0}")]
    Data(String),
    /// The classifier does not cover what was asked.
    #[error("{0}")]
    Unsupported(String),
    /// Tokenizer or template.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The language model.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// The classifier's file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The classifier's training.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl From<GuardianError> for Failure {
    fn from(error: GuardianError) -> Self {
        match error {
            GuardianError::Text(error) => error.into(),
            GuardianError::Weights(error) => error.into(),
            GuardianError::Train(error) => error.into(),
            other => Self::input(other),
        }
    }
}
