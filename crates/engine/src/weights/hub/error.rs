//! Why a model could not be fetched or found.

use std::path::PathBuf;

use base::command::{Failure, one_line};
use base::files::FileError;

/// Why a model could not be fetched or found.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// What was given is not a model.
    #[error("{0}")]
    Name(String),
    /// The model is not here yet.
    #[error("`{name}` is not in `{}`: fetch it with `orrery pull {command}`", cache.display())]
    NotHere {
        /// What was asked for.
        name: String,
        /// What to pull.
        command: String,
        /// The cache that was searched.
        cache: PathBuf,
    },
    /// Nothing may be fetched.
    #[error("`{name}` cannot be fetched: HF_HUB_OFFLINE is set; unset it, or copy the files into `{}`", cache.display())]
    Offline {
        /// What was asked for.
        name: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The hub refuses.
    #[error("`{url}` answers with status {status}: {fix}")]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What to do.
        fix: &'static str,
    },
    /// No answer, or one that breaks off, after all tries.
    #[error(
        "no whole answer from `{url}` after {tries} tries ({cause}): try again later, what came so far is kept"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// How often it was asked.
        tries: u32,
        /// What happened last.
        cause: String,
    },
    /// What came is not what was announced.
    #[error(
        "`{file}` came with a wrong {what} and was thrown away (expected {expected}, found {found}): try again, or ask whoever runs the server"
    )]
    Wrong {
        /// The file.
        file: String,
        /// Length or checksum.
        what: &'static str,
        /// As announced or pinned.
        expected: String,
        /// As found.
        found: String,
    },
    /// The server says something that cannot be understood or must not be followed.
    #[error("the answer of `{url}` cannot be used: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing to fetch.
    #[error("`{name}` has no file for {wanted}; it has: {listed}")]
    NoFile {
        /// The repository.
        name: String,
        /// What was asked for.
        wanted: String,
        /// Some of its files.
        listed: String,
    },
    /// Another process fetches the same file.
    #[error("`{}` is being fetched by another process: wait for it", path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// The cache cannot be written or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The cache cannot be written or read.
    #[error("cannot use `{}`: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Ctrl-C.
    #[error("stopped; what came so far is kept, and the same command goes on")]
    Stopped,
}

impl HubError {
    pub(super) fn answer(url: &str, reason: impl std::fmt::Display) -> Self {
        Self::Answer {
            url: url.to_owned(),
            reason: one_line(&reason.to_string()),
        }
    }

    pub(super) fn cache(path: &std::path::Path) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Cache {
            path: path.clone(),
            source,
        }
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Stopped => Self::interrupted(error),
            HubError::File(error) => error.into(),
            HubError::Name(_)
            | HubError::NotHere { .. }
            | HubError::Offline { .. }
            | HubError::NoFile { .. } => Self::input(error),
            HubError::Refused { status, .. } if status != 429 => Self::input(error),
            _ => Self::failed(error),
        }
    }
}
