//! A log of JSON lines that one run at a time writes, and that survives being cut off.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::IgnoredAny;

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
        let failed = |source| LogError::Write {
            path: path.to_owned(),
            source,
        };
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

    /// Begins a log anew: what the file held is gone.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn begin(path: &Path) -> Result<Self, LogError> {
        let log = Self::open(path)?;
        log.file.set_len(0).map_err(|source| log.failed(source))?;
        Ok(log)
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
        LogError::Write {
            path: self.path.clone(),
            source,
        }
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
