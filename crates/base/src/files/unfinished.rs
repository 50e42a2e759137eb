//! Files that are being written, for the process that ends before they are whole.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Temporary files that will get their names when they are whole.
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn open() -> MutexGuard<'static, Vec<PathBuf>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as it lives, [`abandon`] removes a file.
pub(super) struct Open(PathBuf);

impl Open {
    pub(super) fn new(path: &Path) -> Self {
        open().push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = open();
        if let Some(at) = open.iter().position(|path| *path == self.0) {
            open.swap_remove(at);
        }
    }
}

/// Removes all files that are being written: for a process that ends at once, whose unwinding would have removed them.
pub fn abandon() {
    for path in open().iter() {
        let _ = std::fs::remove_file(path);
    }
}
