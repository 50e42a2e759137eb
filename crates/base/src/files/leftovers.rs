//! Folders for short work that vanish with the run, or with a later one where the run was killed.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// Leaves what may still be in use.
const AGE: Duration = Duration::from_secs(3600);

/// A folder of its own in the system's temporary folder, named `PREFIX` and random letters.
///
/// # Errors
/// When it cannot be made.
pub fn short_folder(prefix: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).tempdir()
}

/// Removes the folders `PREFIX…` of the system's temporary folder that nothing has touched for an hour: runs that were killed
/// left them. What cannot be removed stays.
pub fn sweep(prefix: &str) {
    sweep_in(&std::env::temp_dir(), prefix, AGE);
}

fn sweep_in(folder: &Path, prefix: &str, age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(prefix);
        // Of the entry itself: a link is not a directory.
        let old = entry.metadata().is_ok_and(|about| {
            let changed = about.modified().unwrap_or(SystemTime::now());
            about.is_dir() && changed.elapsed().is_ok_and(|since| since >= age)
        });
        if ours && old {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_old_folders_of_that_name_go() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for name in ["ours-a", "ours-b", "theirs"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        fs::write(at.join("ours-a/file"), "x").unwrap();
        fs::write(at.join("ours-file"), "x").unwrap();
        sweep_in(at, "ours-", AGE);
        assert_eq!(fs::read_dir(at).unwrap().count(), 4);
        sweep_in(at, "ours-", Duration::ZERO);
        let names = fs::read_dir(at)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["ours-file", "theirs"]);
    }
}
