//! What can stop a training run.

use std::path::PathBuf;

use super::workers::WorkersError;
use crate::weights::WeightsError;
use base::files::FileError;

/// What a [`Task`](super::Task) may answer when it cannot make a batch.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// Why a run could not start, go on, or be saved.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A checkpoint could not be read, matched or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The log could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run folder or the log could not be read or written.
    #[error("cannot use `{path}`: {source}; check that the run folder is writable and has room")]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is where a run's folder should be.
    #[error("`{}` is a file, a run needs a folder: choose another `--out`", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A new run would overwrite the checkpoint of another one.
    #[error("`{path}` already holds a run; resume it, or choose another folder, or remove it")]
    Occupied {
        /// Its checkpoint.
        path: PathBuf,
    },
    /// Another process trains in the folder.
    #[error("`{}` is in use by another training run; wait for it, or choose another folder", path.display())]
    Busy {
        /// The run's folder.
        path: PathBuf,
    },
    /// The checkpoint is not one of this trainer, or not of this configuration.
    #[error("`{path}` cannot be resumed: {reason}")]
    Resume {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit, and the fix.
        reason: String,
    },
    /// The task could not make a batch.
    #[error("cannot make the batch of step {step}: {source}")]
    Batch {
        /// The step, from 0.
        step: u64,
        /// What the task says.
        source: TaskError,
    },
    /// The loss has no gradient.
    #[error(
        "the loss does not depend on a trainable parameter; make the model on `device.autodiff()` and leave something unfrozen"
    )]
    Untracked,
    /// Workers do not find each other, or one of them is lost.
    #[error(transparent)]
    Workers(#[from] WorkersError),
    /// Loss or gradients stayed infinite or undefined.
    #[error(
        "{skipped} steps in a row up to step {step} had no finite gradient; lower the learning rate or check the data"
    )]
    Diverged {
        /// The last such step, from 0.
        step: u64,
        /// How many there were.
        skipped: u64,
    },
}

impl From<TrainError> for base::command::Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Weights(error) => error.into(),
            TrainError::Workers(error @ WorkersError::Settings(_)) => Self::input(error),
            TrainError::NotAFolder { .. }
            | TrainError::Occupied { .. }
            | TrainError::Busy { .. }
            | TrainError::Resume { .. } => Self::input(error),
            TrainError::File(error) => error.into(),
            TrainError::Folder { ref source, .. } => Self::unwritable(&error, source.kind()),
            _ => Self::failed(error),
        }
    }
}
