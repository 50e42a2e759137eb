//! Files that are either whole or not there.
//!
//! Everything Orrery writes goes to a temporary file in the same folder and is renamed when it is complete,
//! so neither an error, nor a full disk, nor a panic leaves half a file or harms the one that was there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

mod bounded;
mod error;
mod folder;
pub mod idx;
mod leftovers;
mod unfinished;

use crate::command::{Failure, Hold};
use folder::folder_of;

/// Permissions of what anybody may read whom the user's mask lets, and of what only its owner may.
const OPEN: u32 = 0o666;
const SECRET: u32 = 0o600;

pub use bounded::{read, read_to_string};
pub use error::FileError;
pub use folder::make_folder;
pub use leftovers::{short_folder, sweep};
pub use unfinished::abandon;

/// A path as text for machines to read, which JSON needs: what of it is no UTF-8 is shown as `\u{fffd}`. Never give a path
/// itself to `json!`, which panics there.
pub fn shown(path: impl AsRef<Path>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}

/// [`shown`] for fields of what is printed: `#[serde(serialize_with = "base::files::as_shown")]`.
///
/// # Errors
/// Those of the serializer.
pub fn as_shown<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// The settings of a run as JSON that a later run reads.
///
/// # Errors
/// [`Failure::Input`] for a path in them that is no UTF-8: shown otherwise it would name another file.
pub fn settings(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|cause| {
        Failure::input(format!(
            "the settings of this run cannot be noted: {cause}: use paths that are UTF-8"
        ))
    })
}

/// Writes `path` through `fill`, all or nothing: the file appears under its name only when `fill` returned `Ok`
/// and every byte reached the disk; otherwise whatever was there before is untouched and nothing is left behind.
///
/// A link is followed and its target replaced. Devices and pipes (`/dev/null`, `/dev/stdout`) are written directly.
///
/// # Errors
/// [`FileError`], with the place and the fix; errors of `fill` keep their [`io::ErrorKind`].
pub fn write_atomic(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    replace(path.as_ref(), fill, true)
}

/// [`write_atomic`] for what can be made again in seconds: neither waits for the disk, which takes tens of milliseconds
/// where others have just written, nor asks it to begin. Should the machine, not the program, fail soon after, the file may
/// be lost, the one before it too.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_swiftly(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    replace(path.as_ref(), fill, false)
}

/// Fills a temporary file, if it shall be `safe` waits until the disk has it, and puts it in the place of `path`.
fn replace(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    safe: bool,
) -> Result<(), FileError> {
    let failed = |source| FileError::from_io(path, source);
    let target = match fs::metadata(path) {
        Ok(there) if there.is_dir() => return Err(FileError::IsFolder { path: path.into() }),
        Ok(there) if !there.is_file() => return write_through(path, fill).map_err(failed),
        Ok(there) if there.permissions().readonly() => {
            return Err(FileError::ReadOnly { path: path.into() });
        }
        Ok(_) => fs::canonicalize(path).map_err(failed)?,
        Err(_) => path.to_owned(),
    };
    let folder = folder_of(&target, path)?;
    let mut temporary = temporary_in(&folder, OPEN).map_err(failed)?;
    // Filling may read what never comes: a request to stop does not wait for it, and removes the file.
    let _open = unfinished::Open::new(temporary.path());
    {
        let mut writer = BufWriter::new(temporary.as_file_mut());
        fill(&mut writer)
            .and_then(|()| writer.flush())
            .map_err(failed)?;
    }
    // What is full is soon in its place: a request to stop waits.
    let _hold = Hold::new();
    if safe {
        temporary.as_file().sync_data().map_err(failed)?;
    } else if exchange(temporary.path(), &target).is_ok() {
        // What was there before goes with the temporary name.
        return Ok(());
    }
    temporary
        .persist(&target)
        .map(drop)
        .map_err(|unmoved| failed(unmoved.error))
}

/// Writes `bytes` to a file that is not there yet, all or nothing; false where something of that name is there, also if it
/// came a moment ago. What is there is not touched.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_new(path: impl AsRef<Path>, bytes: &[u8]) -> Result<bool, FileError> {
    create(path.as_ref(), bytes, OPEN)
}

/// [`write_new`] for a secret: only its owner can read the file.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_new_secret(path: impl AsRef<Path>, bytes: &[u8]) -> Result<bool, FileError> {
    create(path.as_ref(), bytes, SECRET)
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, FileError> {
    let failed = |source| FileError::from_io(path, source);
    let folder = folder_of(path, path)?;
    let _hold = Hold::new();
    let mut temporary = temporary_in(&folder, mode).map_err(failed)?;
    temporary.write_all(bytes).map_err(failed)?;
    temporary.as_file().sync_data().map_err(failed)?;
    match temporary.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(unmoved) => Err(failed(unmoved.error)),
    }
}

/// [`write_atomic`] for bytes that are already there.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FileError> {
    let _hold = Hold::new();
    write_atomic(path, |writer| writer.write_all(bytes))
}

/// Two files change names. A file system may begin to write a file at once that is moved onto another (ext4 does), but not
/// then.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A temporary file in a folder that is there, with these permissions as far as the user's mask allows them.
#[cfg_attr(not(unix), allow(unused_variables))]
fn temporary_in(folder: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".orrery-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    builder
        .tempfile_in(folder)
        .map_err(|cause| match cause.kind() {
            // Some file systems, such as /proc, say of what cannot be made in them that it is not there.
            io::ErrorKind::NotFound => io::ErrorKind::PermissionDenied.into(),
            _ => bare(cause),
        })
}

/// The system's error without the path of the temporary file, which means nothing to the reader.
fn bare(cause: io::Error) -> io::Error {
    match cause.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::from(cause.kind()),
    }
}

/// Devices and pipes cannot be replaced, only written to.
fn write_through(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(File::options().write(true).open(path)?);
    fill(&mut writer)?;
    writer.flush()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_writer_that_fails_half_way_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_bytes(&path, b"old").unwrap();
        let error = write_atomic(&path, |writer| {
            writer.write_all(&[7; 100_000])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let error = error.unwrap_err();
        assert!(matches!(error, FileError::DiskFull { .. }));
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn swift_writing_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for text in ["first", "second"] {
            write_swiftly(&path, |writer| writer.write_all(text.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(names(folder.path()), ["a.txt"]);
        }
    }

    #[test]
    fn of_many_who_want_a_new_name_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let got = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8u8)
                .map(|i| {
                    let path = &path;
                    (i, scope.spawn(move || write_new(path, &[i; 1000]).unwrap()))
                })
                .collect();
            let got = writers
                .into_iter()
                .filter_map(|(i, writer)| writer.join().unwrap().then_some(i));
            got.collect::<Vec<u8>>()
        });
        assert_eq!(got.len(), 1);
        assert_eq!(fs::read(&path).unwrap(), [got[0]; 1000]);
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_panic_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let run = std::panic::catch_unwind(|| {
            write_atomic(&path, |writer| {
                writer.write_all(b"half")?;
                panic!("on purpose");
            })
        });
        assert!(run.is_err());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn each_wrong_place_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write_bytes(&file, b"x").unwrap();
        let write = |path: &Path| write_bytes(path, b"y").unwrap_err();
        assert!(matches!(write(folder.path()), FileError::IsFolder { .. }));
        assert!(matches!(
            write(&file.join("below")),
            FileError::NotAFolder { .. }
        ));
        assert!(matches!(write(Path::new("")), FileError::NoName { .. }));
        let missing = write(&folder.path().join("not/there.png"));
        assert!(matches!(missing, FileError::NoFolder { .. }));
        let line = missing.to_string();
        assert!(line.contains("mkdir -p") && !line.contains('\n'), "{line}");
        let mut rights = fs::metadata(&file).unwrap().permissions();
        rights.set_readonly(true);
        fs::set_permissions(&file, rights).unwrap();
        assert!(matches!(write(&file), FileError::ReadOnly { .. }));
        assert_eq!(fs::read(&file).unwrap(), b"x");
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_links_and_devices_stay_devices() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write_bytes(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_bytes(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        write_bytes("/dev/null", b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
