//! Errors of the library as the command line's.

use base::command::Failure;

use crate::omnidocbench::config::ConfigError;
use crate::omnidocbench::page::PageError;
use crate::omnidocbench::run::RunError;

impl From<PageError> for Failure {
    fn from(error: PageError) -> Self {
        Self::input(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::input(error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Journal { .. } | RunError::Prediction { .. } => Self::failed(error),
            RunError::Log(error) => error.into(),
            _ => Self::input(error),
        }
    }
}
