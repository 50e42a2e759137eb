//! Typed errors as one line with the right exit code.

use std::fmt::Display;

use base::command::Failure;

use crate::codearena::config::ConfigError;
use crate::codearena::judging::JudgingError;
use crate::codearena::parts::ShardError;
use crate::codearena::rating::RatingError;
use crate::codearena::sandbox::SandboxError;
use crate::codearena::syncode::StageError;

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::input(error)
    }
}

impl From<RatingError> for Failure {
    fn from(error: RatingError) -> Self {
        Self::input(error)
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        Self::failed(error)
    }
}

impl From<JudgingError> for Failure {
    fn from(error: JudgingError) -> Self {
        match error {
            JudgingError::Log(error) => error.into(),
            JudgingError::Write(error) => error.into(),
        }
    }
}

impl From<ShardError> for Failure {
    fn from(error: ShardError) -> Self {
        match error {
            ShardError::Write(error) => error.into(),
            _ => Self::input(error),
        }
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Read(error) => error.into(),
            StageError::Journal(error) => error.into(),
            StageError::File(error) => error.into(),
            StageError::Stopped { .. } => Self::interrupted(error),
            StageError::Settings(line) => Self::input(line),
            StageError::Model { .. } | StageError::Sandbox(_) => Self::failed(error),
        }
    }
}

/// What to say of work that is not complete.
pub(super) fn incomplete(
    stopped: bool,
    missing: usize,
    all: usize,
    what: &str,
    error: Option<&impl Display>,
) -> Failure {
    let rest =
        format!("{missing} of {all} {what} are missing; the same command goes on from there");
    match (stopped, error) {
        (true, _) => Failure::interrupted(format!("stopped: {rest}")),
        (false, Some(error)) => Failure::failed(format!("{error}; {rest}")),
        (false, None) => Failure::failed(rest),
    }
}
