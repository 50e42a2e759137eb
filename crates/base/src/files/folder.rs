//! Folders that hold what is written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{FileError, bare};

/// Makes a folder for results, with those above it; one that is there stays as it is.
///
/// # Errors
/// [`FileError`].
pub fn make_folder(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder).map_err(|cause| {
        let path = folder.to_owned();
        match folder.ancestors().find(|above| above.is_file()) {
            Some(file) => FileError::NotAFolder {
                path,
                folder: file.to_owned(),
            },
            None => FileError::from_io(&path, bare(cause)),
        }
    })
}

/// The folder that holds `target`, after a look whether it is one.
pub(super) fn folder_of(target: &Path, path: &Path) -> Result<PathBuf, FileError> {
    let no_name = || FileError::NoName { path: path.into() };
    target.file_name().ok_or_else(no_name)?;
    let folder = match target.parent() {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        Some(folder) => folder.to_owned(),
        None => return Err(no_name()),
    };
    let path = path.to_owned();
    match fs::metadata(&folder) {
        Ok(there) if there.is_dir() => Ok(folder),
        Ok(_) => Err(FileError::NotAFolder { path, folder }),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err(FileError::NoFolder { path, folder })
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => {
            Err(FileError::NotAFolder { path, folder })
        }
        Err(cause) => Err(FileError::from_io(&path, cause)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::command::Failure;
    use crate::files::write_bytes;

    #[test]
    fn a_folder_is_made_with_those_above_it_and_a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        make_folder(&deep).unwrap();
        make_folder(&deep).unwrap();
        write_bytes(deep.join("c"), b"x").unwrap();
        for path in ["c", "c/d/e"] {
            let told = make_folder(&deep.join(path)).unwrap_err();
            assert!(
                matches!(&told, FileError::NotAFolder { folder, .. } if *folder == deep.join("c"))
            );
        }
    }

    /// What another place mends is bad input, whichever verb writes; a full disk is a failure.
    #[test]
    fn codes_follow_from_what_the_system_answers() {
        let code = |kind: io::ErrorKind| {
            let error = FileError::from_io(Path::new("a"), kind.into());
            let line = error.to_string();
            assert!(line.contains("choose another"), "{line}");
            Failure::from(error).code()
        };
        assert_eq!(code(io::ErrorKind::PermissionDenied), 2);
        assert_eq!(code(io::ErrorKind::ReadOnlyFilesystem), 2);
        assert_eq!(code(io::ErrorKind::InvalidFilename), 2);
        assert_eq!(code(io::ErrorKind::StorageFull), 1);
        assert_eq!(code(io::ErrorKind::Other), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn where_no_file_can_be_made_another_folder_is_asked_for() {
        let told = write_bytes("/proc/a.png", b"x").unwrap_err();
        assert!(matches!(told, FileError::Denied { .. }), "{told}");
    }
}
