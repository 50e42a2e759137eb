//! The ledger: which noises were used, when, for which prompt. Lines are only added, and each carries a code over all before.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base::files::FileError;
use serde::{Deserialize, Serialize};

use super::key::{hex, random_below};
use super::{Key, SystemError};

/// Most bytes of a ledger.
const MAX_BYTES: u64 = 1 << 30;

/// One generation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Index of the noise.
    pub index: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// HMAC of the prompt under the key: the prompt cannot be read from it, or guessed without the key.
    pub prompt: String,
    /// HMAC of this line's other fields and of the code before.
    pub code: String,
}

/// An open ledger, held by this process alone until it is dropped.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    key: Key,
    used: BTreeSet<u64>,
    entries: Vec<Entry>,
}

impl Ledger {
    /// Opens the ledger, or begins one, and checks every line.
    ///
    /// # Errors
    /// [`SystemError::Input`] when it cannot be read, a line is cut or was changed, left out or moved, or it belongs to
    /// another key. Lines that were cut off whole at the end cannot be seen: keep the last code elsewhere ([`Ledger::head`]).
    pub fn open(path: &Path, key: &Key) -> Result<Self, SystemError> {
        let refuse = |reason: String| unusable(path, &reason);
        let options = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(path);
        let mut file = options.map_err(|error| {
            refuse(format!(
                "it cannot be opened ({}): choose another place",
                error.kind()
            ))
        })?;
        file.lock()
            .map_err(|error| refuse(format!("it cannot be locked: {error}")))?;
        let there = file.metadata().map_err(|error| {
            refuse(format!("it cannot be read ({error}): choose another place"))
        })?;
        if !there.is_file() {
            return Err(refuse(
                "it is not a plain file: choose another place".into(),
            ));
        }
        if there.len() > MAX_BYTES {
            return Err(refuse(format!(
                "it has more than {MAX_BYTES} bytes: begin a new one"
            )));
        }
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|_| refuse("it is not text: take it from a backup".into()))?;
        let ended = text.is_empty() || text.ends_with('\n');
        let lines = text.lines().count();
        let mut ledger = Self {
            path: path.into(),
            file,
            key: key.clone(),
            used: BTreeSet::new(),
            entries: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            let entry: Entry = serde_json::from_str(line).map_err(|_| {
                refuse(match at + 1 == lines && !ended {
                    true => format!(
                        "line {lines} is cut: take the file from a backup, or delete that line and note the picture it was for"
                    ),
                    false => format!("line {} is not an entry: take the file from a backup", at + 1),
                })
            })?;
            if entry.code != ledger.code(&entry) {
                return Err(refuse(match at {
                    0 => "its first line does not belong to this key, or was changed: give the key that it was made with".into(),
                    _ => format!("line {} was changed, or lines before it are missing: take the file from a backup", at + 1),
                }));
            }
            ledger.used.insert(entry.index);
            ledger.entries.push(entry);
        }
        if !ended {
            // The last entry is whole, as its code says; only the end of its line is missing.
            let wrote = ledger.file.write_all(b"\n");
            wrote.map_err(|error| FileError::from_io(path, error))?;
        }
        Ok(ledger)
    }

    /// All entries, the oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The last code; of an empty ledger none. Who keeps it elsewhere sees when lines are missing at the end.
    pub fn head(&self) -> &str {
        self.entries.last().map_or("", |entry| &entry.code)
    }

    /// A random index that was not used yet.
    ///
    /// # Errors
    /// [`SystemError::Input`] when none is left, [`SystemError::Failed`].
    pub fn draw(&self) -> Result<u64, SystemError> {
        let left = self.key.noises() - self.used.len() as u64;
        if left == 0 {
            return Err(unusable(
                &self.path,
                "every noise of the key is used: make a new key, and keep this one to detect",
            ));
        }
        let mut at = random_below(left)?;
        for &used in &self.used {
            if used > at {
                break;
            }
            at += 1;
        }
        Ok(at)
    }

    /// Adds a line, and waits until the disk has it.
    ///
    /// # Errors
    /// [`SystemError::Input`] where the index was used before, or the line cannot be written.
    pub fn append(&mut self, index: u64, prompt: &str) -> Result<(), SystemError> {
        let path = self.path.clone();
        let refuse = |reason: String| unusable(&path, &reason);
        if self.used.contains(&index) {
            return Err(refuse(format!(
                "noise {index} was used before, and two pictures of one noise weaken the mark: leave `--index` out"
            )));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut entry = Entry {
            index,
            time: now.map_or(0, |now| now.as_secs()),
            prompt: hex(&self.key.mac(&[b"orrery-wind-v1 prompt", prompt.as_bytes()])[..16]),
            code: String::new(),
        };
        entry.code = self.code(&entry);
        let line = serde_json::to_string(&entry).map_err(|error| refuse(error.to_string()))?;
        let end = self.file.seek(SeekFrom::End(0));
        let written = end.and_then(|end| {
            let wrote = self.file.write_all(format!("{line}\n").as_bytes());
            // Not half a line.
            wrote.and_then(|()| self.file.sync_data()).inspect_err(|_| {
                let _ = self.file.set_len(end);
            })
        });
        written.map_err(|error| FileError::from_io(&path, error))?;
        self.used.insert(index);
        self.entries.push(entry);
        Ok(())
    }

    fn code(&self, entry: &Entry) -> String {
        let numbers = [entry.index, entry.time].map(u64::to_le_bytes);
        let parts: [&[u8]; 5] = [
            b"orrery-wind-v1 ledger",
            self.head().as_bytes(),
            &numbers[0],
            &numbers[1],
            entry.prompt.as_bytes(),
        ];
        hex(&self.key.mac(&parts)[..16])
    }
}

/// Why a ledger is not used.
fn unusable(path: &Path, reason: &str) -> SystemError {
    SystemError::Input(format!(
        "cannot use the ledger `{}`: {reason}",
        path.display()
    ))
}
