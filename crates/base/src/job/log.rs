//! A log of JSON lines that one run at a time writes, and that survives being cut off.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::IgnoredAny;

use super::jsonl::Record;
use crate::command::{Failure, check_out};

/// Why a log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refuses.
    #[error("cannot write `{}`: {source}: choose another `--out`", path.display())]
    Write {
        /// The log.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another run writes the same log.
    #[error("another run is writing `{}`: wait for it, or choose another `--out`", path.display())]
    Busy {
        /// The log.
        path: PathBuf,
    },
    /// It is a directory, a device or a pipe.
    #[error("`{}` is a directory, a device or a pipe, in which no results can be kept: name a file", .0.display())]
    NotAFile(PathBuf),
    /// It is a file of another kind.
    #[error("`{}` is not a run log: choose another `--out`, or delete the file", .0.display())]
    NotALog(PathBuf),
}

/// Whether JSON lines can be kept at `path`: nothing is there yet, or a log, or a file with JSON lines.
///
/// # Errors
/// [`LogError`]; nothing is changed.
pub fn check(path: &Path) -> Result<(), LogError> {
    // Asked before the file is opened, which may wait for the other end of a pipe.
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(LogError::NotAFile(path.to_owned())),
        Ok(_) => {
            let log = File::open(path).and_then(|file| is_log(&file));
            match log.map_err(|source| LogError::failed(path, source))? {
                true => Ok(()),
                false => Err(LogError::NotALog(path.to_owned())),
            }
        }
        Err(_) => Ok(()),
    }
}

/// Whether the results of a job can be kept at `out`: [`check_out`] with the `inputs`, and [`check`].
///
/// # Errors
/// One line that says why not.
pub fn check_results<'a>(
    out: &Path,
    inputs: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), Failure> {
    check_out(out, inputs)?;
    Ok(check(out)?)
}

/// Whether a line among the first 64 MB is a JSON object, or the file is empty or the beginning of one.
fn is_log(file: &File) -> io::Result<bool> {
    let mut lines = BufReader::new(file.take(1 << 26)).split(b'\n');
    let Some(first) = lines.next().transpose()? else {
        return Ok(true);
    };
    let is_object = |line: &[u8]| serde_json::from_slice::<Record>(line).is_ok();
    if is_object(&first) {
        return Ok(true);
    }
    let mut more = false;
    for line in lines {
        if is_object(&line?) {
            return Ok(true);
        }
        more = true;
    }
    Ok(!more && first.starts_with(b"{"))
}

impl LogError {
    fn failed(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

/// An open log; nobody else can open it meanwhile.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens a log, or begins it. A last line that was cut off goes; a whole one without its end gets it.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        check(path)?;
        let failed = |source| LogError::failed(path, source);
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
            return Err(LogError::Busy { path: path.into() });
        }
        let last = last_line(&mut file).map_err(failed)?;
        if !last.is_empty() {
            let whole = serde_json::from_slice::<IgnoredAny>(&last).is_ok();
            let length = file.metadata().map_err(failed)?.len();
            match whole {
                true => file.write_all(b"\n"),
                false => file.set_len(length - last.len() as u64),
            }
            .map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Begins the log anew: what it held is gone.
    ///
    /// # Errors
    /// [`LogError::Write`].
    pub fn clear(&mut self) -> Result<(), LogError> {
        let done = self.file.set_len(0);
        done.map_err(|source| self.failed(source))
    }

    /// Appends one line. It is one write: what a crash leaves is at most a last line that is cut off.
    ///
    /// # Errors
    /// [`LogError::Write`].
    pub fn append(&mut self, line: &impl Serialize) -> Result<(), LogError> {
        let mut bytes =
            serde_json::to_vec(line).map_err(|error| self.failed(io::Error::from(error)))?;
        bytes.push(b'\n');
        self.append_lines(&bytes)
    }

    /// Appends whole lines, each with its line end, in one write.
    ///
    /// # Errors
    /// [`LogError::Write`].
    pub fn append_lines(&mut self, lines: &[u8]) -> Result<(), LogError> {
        self.file
            .write_all(lines)
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> LogError {
        LogError::failed(&self.path, source)
    }
}

/// What stands after the last line end.
fn last_line(file: &mut File) -> io::Result<Vec<u8>> {
    const BLOCK: u64 = 1 << 16;
    let mut from = file.metadata()?.len();
    let mut tail = Vec::new();
    while from > 0 {
        let size = BLOCK.min(from);
        from -= size;
        file.seek(SeekFrom::Start(from))?;
        let mut block = vec![0; size as usize];
        file.read_exact(&mut block)?;
        if let Some(end) = block.iter().rposition(|&byte| byte == b'\n') {
            tail.splice(0..0, block.drain(end + 1..));
            break;
        }
        tail.splice(0..0, block);
    }
    Ok(tail)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_kind_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        // Without a line end, a log's last line would be taken for one that was cut off.
        for text in ["notes", "one\ntwo", "{\n  \"a\": 1\n}", "[1, 2]\n", "\n"] {
            std::fs::write(&path, text).unwrap();
            for refused in [check(&path), Log::open(&path).map(drop)] {
                assert!(matches!(refused, Err(LogError::NotALog(_))), "{text:?}");
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        // An empty file, a record that was cut off, records after a damaged line.
        for text in ["", "{\"a\": ", "{\"a\": 1}", "garbage\n{\"a\": 1}\n"] {
            std::fs::write(&path, text).unwrap();
            let mut log = Log::open(&path).unwrap();
            log.append(&Record::new()).unwrap();
            let kept = std::fs::read_to_string(&path).unwrap();
            assert!(kept.ends_with("{}\n"), "{kept:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn directories_devices_and_pipes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [folder.path(), Path::new("/dev/null"), &pipe] {
            for refused in [check(path), Log::open(path).map(drop)] {
                assert!(matches!(refused, Err(LogError::NotAFile(_))), "{path:?}");
            }
            let line = check_results(path, []).unwrap_err();
            assert_eq!((line.code(), line.to_string().lines().count()), (2, 1));
        }
    }

    #[test]
    fn what_is_read_is_no_place_for_results() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        assert!(check_results(&path, []).is_ok());
        assert!(check_results(&path, [&path]).is_err());
        assert!(check_results(&folder.path().join("new"), [&path]).is_ok());
    }
}
