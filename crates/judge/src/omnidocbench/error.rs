//! Why pages cannot be evaluated.

use std::path::PathBuf;

use base::job::log::LogError;

use super::page::PageError;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ground truth cannot be read.
    #[error(transparent)]
    Pages(#[from] PageError),
    /// A folder is not there.
    #[error("`{}` is not a directory, or cannot be entered: give the one that holds a markdown file for each page", .0.display())]
    Folder(PathBuf),
    /// The journal cannot be written, or another run writes it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The journal cannot be read.
    #[error("cannot use `{}`: {source}: choose another `--out`", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The journal is that of another run.
    #[error("`{}` was begun with other settings: leave `--resume` out, or choose another `--out`", .0.display())]
    Other(PathBuf),
    /// The journals are not of one run.
    #[error("`{path}` has other settings than the journals before it{}: give the shards of one run", differences.iter().map(|line| format!("; {line}")).collect::<String>())]
    Apart {
        /// The first journal that is of another run.
        path: String,
        /// What is different, in words.
        differences: Vec<String>,
    },
    /// It is no journal.
    #[error("`{}` is not a run log: give files that `eval --shard` wrote", .0.display())]
    NoJournal(PathBuf),
    /// A prediction, or the folder of all, cannot be read.
    #[error("cannot read `{}`: {source}: check who may read it", path.display())]
    Prediction {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}
