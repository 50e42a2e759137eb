//! Files: bounded reading, lines of JSON that were broken off, journals that go on, fingerprints.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use base::job::jsonl::{self, read_any};
use base::job::log::Log;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::SystemError;

/// Largest text file that is read, in bytes.
const LARGEST: u64 = 256 << 20;
/// Bytes at both ends of a large file that its fingerprint looks at.
const ENDS: u64 = 1 << 20;

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes.as_ref()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a text file.
pub(super) fn read_text(path: &Path) -> Result<String, SystemError> {
    let place = path.display();
    let unread = |error: std::io::Error| {
        SystemError::Input(format!(
            "cannot read `{place}`: {error}: name a file that is there"
        ))
    };
    let file = std::fs::metadata(path).map_err(unread)?;
    if file.len() > LARGEST {
        return Err(SystemError::Input(format!(
            "`{place}` has {} MB and {} are read: split it",
            file.len() >> 20,
            LARGEST >> 20
        )));
    }
    let bytes = base::files::read(path).map_err(unread)?;
    String::from_utf8(bytes).map_err(|error| {
        SystemError::Input(format!(
            "`{place}` is not UTF-8 from byte {} on: save it as UTF-8",
            error.utf8_error().valid_up_to()
        ))
    })
}

/// The objects of a JSON-lines file, and a line about each that is no such object.
pub(super) fn read_lines<T: DeserializeOwned>(
    path: &Path,
    what: &str,
) -> Result<(Vec<T>, Vec<String>), SystemError> {
    let lines = read_any(path)?;
    let (mut rows, mut wrong) = (Vec::new(), lines.troubles);
    for (number, object) in lines.records {
        match serde_json::from_value(Value::Object(object)) {
            Ok(row) => rows.push(row),
            Err(error) => wrong.push(format!(
                "`{}` line {number}: no {what} ({error}): left out",
                path.display()
            )),
        }
    }
    Ok((rows, wrong))
}

/// A JSON-lines file that grows row by row and that one run at a time writes; a line that was broken off is taken out when it
/// is opened again.
#[derive(Debug)]
pub(super) struct Journal<T> {
    path: PathBuf,
    log: Log,
    /// What was there, and what is pushed.
    pub(super) rows: Vec<T>,
    /// Lines that were taken out.
    pub(super) broken: usize,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    pub(super) fn open(path: &Path) -> Result<Self, SystemError> {
        let mut log = Log::open(path)?;
        let (rows, wrong) = read_lines(path, "row")?;
        if !wrong.is_empty() {
            drop(log);
            jsonl::write(path, &rows)?;
            log = Log::open(path)?;
        }
        Ok(Self {
            path: path.to_owned(),
            log,
            rows,
            broken: wrong.len(),
        })
    }

    /// Appends a row; `sure` waits until the disk has it.
    pub(super) fn push(&mut self, row: T, sure: bool) -> Result<(), SystemError> {
        let _hold = base::command::Hold::new();
        self.log.append(&row)?;
        if sure {
            let file = File::open(&self.path).and_then(|file| file.sync_data());
            file.map_err(|error| failed(&self.path, &error))?;
        }
        self.rows.push(row);
        Ok(())
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> SystemError {
    SystemError::Failed(format!("cannot write `{}`: {error}", path.display()))
}

/// The SHA-256 of a file; of one above 2 MB that of its length and its first and last MB. Of a folder: of its files, in the
/// order of their names. It tells models apart and is not collision-resistant.
pub(super) fn fingerprint(path: &Path) -> Result<String, SystemError> {
    let unread = |error: std::io::Error| {
        SystemError::Input(format!("cannot read `{}`: {error}", path.display()))
    };
    let mut hash = Sha256::new();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(unread)?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            hash.update(fingerprint(file)?);
        }
        return Ok(hex(&hash.finalize()));
    }
    let mut file = File::open(path).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len();
    let mut bytes = Vec::new();
    if length > 2 * ENDS {
        hash.update(length.to_le_bytes());
        file.by_ref()
            .take(ENDS)
            .read_to_end(&mut bytes)
            .map_err(unread)?;
        file.seek(SeekFrom::End(-(ENDS as i64))).map_err(unread)?;
    }
    file.read_to_end(&mut bytes).map_err(unread)?;
    hash.update(&bytes);
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize, Serialize)]
    struct Piece {
        n: u32,
    }

    #[test]
    fn a_journal_goes_on_after_a_broken_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        // A whole row without its line break, then one that was broken off.
        std::fs::write(&path, "{\"n\":1}\n{\"n\":2}").unwrap();
        let mut journal: Journal<Piece> = Journal::open(&path).unwrap();
        assert_eq!((journal.rows.len(), journal.broken), (2, 0));
        journal.push(Piece { n: 3 }, true).unwrap();
        assert!(Journal::<Piece>::open(&path).is_err(), "one run at a time");
        drop(journal);
        let whole = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        // What was broken off at the end goes unsaid; damage is counted.
        for (end, broken) in [("{\"n", 0), ("{\"n\n", 1)] {
            std::fs::write(&path, format!("{whole}{end}")).unwrap();
            let journal: Journal<Piece> = Journal::open(&path).unwrap();
            assert_eq!((journal.rows.len(), journal.broken), (3, broken));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        }
    }

    #[test]
    fn fingerprints_tell_files_and_folders_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint(&path).unwrap(), of_abc);
        let before = fingerprint(folder.path()).unwrap();
        std::fs::write(&path, vec![0; 3 << 20]).unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), before);
    }
}
