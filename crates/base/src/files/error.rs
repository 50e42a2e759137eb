//! Why a file cannot be written, with the fix.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path has no file name, such as `..` or an empty one.
    #[error("`{}` names no file: give a path that ends in a file name", path.display())]
    NoName {
        /// The path as given.
        path: PathBuf,
    },
    /// The folder that should hold the file is not there.
    #[error("cannot write `{}`: the folder `{}` is not there: create it with `mkdir -p {}`", path.display(), folder.display(), folder.display())]
    NoFolder {
        /// The path as given.
        path: PathBuf,
        /// The folder that is missing.
        folder: PathBuf,
    },
    /// What should be the folder is a file.
    #[error("cannot write `{}`: `{}` is a file, not a folder: choose another place", path.display(), folder.display())]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
        /// The file that stands in the way.
        folder: PathBuf,
    },
    /// The path is a folder.
    #[error("cannot write `{}`: it is a folder: name a file inside it", path.display())]
    IsFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// A file is there already and is marked read-only.
    #[error("cannot write `{}`: it is there already and read-only: choose another name, or allow it with `chmod u+w`", path.display())]
    ReadOnly {
        /// The path as given.
        path: PathBuf,
    },
    /// The folder does not let this user write.
    #[error("cannot write `{}`: no permission to write there: choose another folder", path.display())]
    Denied {
        /// The path as given.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No room left on the disk, or the user's quota is used up.
    #[error("cannot write `{}`: the disk is full: free some space or choose another disk", path.display())]
    DiskFull {
        /// The path as given.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Anything else, also what the writer itself reported.
    #[error("cannot write `{}`: {source}: try again, or choose another place", path.display())]
    Io {
        /// The path as given.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl FileError {
    /// The kind of input/output error underneath.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NoName { .. } => io::ErrorKind::InvalidInput,
            Self::NoFolder { .. } => io::ErrorKind::NotFound,
            Self::NotAFolder { .. } => io::ErrorKind::NotADirectory,
            Self::IsFolder { .. } => io::ErrorKind::IsADirectory,
            Self::ReadOnly { .. } => io::ErrorKind::PermissionDenied,
            Self::Denied { source, .. }
            | Self::DiskFull { source, .. }
            | Self::Io { source, .. } => source.kind(),
        }
    }

    /// Sorts what the system answered while `path` was written.
    pub fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { path, source }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            _ => Self::Io { path, source },
        }
    }
}
