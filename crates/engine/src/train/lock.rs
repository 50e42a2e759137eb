//! One run in a folder at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::{CHECKPOINT, TrainError};

/// The file's name in a run folder. It stays there; what counts is who holds it open.
const LOCK: &str = "lock";

/// A run folder that no other process trains in, until this is dropped or the process ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Makes and takes the folder of a new run.
    ///
    /// # Errors
    /// [`TrainError::NotAFolder`]; [`TrainError::Occupied`] where there is a run already; as [`Self::take`].
    pub fn create(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.to_owned();
        if folder.exists() && !folder.is_dir() {
            return Err(TrainError::NotAFolder { path });
        }
        if let Err(source) = std::fs::create_dir_all(folder) {
            return Err(TrainError::Folder { path, source });
        }
        let lock = Self::take(folder)?;
        let path = folder.join(CHECKPOINT);
        match path.exists() {
            true => Err(TrainError::Occupied { path }),
            false => Ok(lock),
        }
    }

    /// Takes the folder, which must be there.
    ///
    /// # Errors
    /// [`TrainError::Busy`] where another run has it; [`TrainError::Folder`] where nothing can be written there.
    pub fn take(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(LOCK);
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        let file = options.open(&path).map_err(|source| TrainError::Folder {
            path: path.clone(),
            source,
        })?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(TrainError::Busy {
                path: folder.into(),
            }),
            // A file system without locks: the run goes on as it would have without them.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { _file: file }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_runs_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunLock::take(folder.path()).unwrap();
        let second = RunLock::take(folder.path());
        assert!(matches!(second, Err(TrainError::Busy { .. })));
        drop(first);
        assert!(RunLock::take(folder.path()).is_ok());
    }
}
