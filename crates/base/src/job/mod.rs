//! Long jobs made of many pieces: JSON lines in and out, several pieces at a time, a journal that resumes, shards.

pub mod journal;
pub mod jsonl;
pub mod log;
mod shard;
pub mod workers;

pub use shard::Shard;

use crate::command::Failure;
use journal::JournalError;
use jsonl::JsonlError;
use log::LogError;

impl From<JsonlError> for Failure {
    fn from(error: JsonlError) -> Self {
        Self::input(error)
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        match &error {
            LogError::Write { source, .. } => Self::unwritable(&error, source.kind()),
            _ => Self::input(error),
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Read(error) => error.into(),
            JournalError::Write(error) => error.into(),
        }
    }
}
