//! Files of JSON lines, as people have them: with a byte-order mark, Windows line ends, a last line that was cut off.
//!
//! A line that cannot be read is left out and reported; the others are used.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::command::one_line;
use crate::files::{FileError, write_atomic};

/// Longest line that is read, in bytes.
const LONGEST: u64 = 64 << 20;
/// A line that is still not over after so many bytes, as of a device, is none.
const ENDLESS: u64 = 4 << 30;

/// One JSON object.
pub type Record = Map<String, Value>;

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// The system refuses.
    #[error("cannot read `{}`: {source}: check the path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Two bytes a letter.
    #[error("`{}` is UTF-16: save it as UTF-8", path.display())]
    Utf16 {
        /// The file.
        path: PathBuf,
    },
    /// Nothing in it can be used.
    #[error("`{}` holds no JSON object a line{}", path.display(), first.as_ref().map(|line| format!(": {line}")).unwrap_or_default())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// The first trouble.
        first: Option<String>,
    },
}

/// What a file held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// The objects, with their line numbers from 1.
    pub records: Vec<(usize, Record)>,
    /// One readable line for each line that was left out.
    pub troubles: Vec<String>,
}

/// Values as JSON lines.
///
/// # Errors
/// When a value cannot be JSON.
pub fn text(values: impl IntoIterator<Item = impl Serialize>) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for value in values {
        text += &serde_json::to_string(&value)?;
        text.push('\n');
    }
    Ok(text)
}

/// Writes JSON lines, whole or not at all.
///
/// # Errors
/// [`FileError`].
pub fn write(
    path: &Path,
    lines: impl IntoIterator<Item = impl Serialize>,
) -> Result<(), FileError> {
    write_atomic(path, |writer| {
        for line in lines {
            serde_json::to_writer(&mut *writer, &line)?;
            writer.write_all(b"\n")?;
        }
        Ok(())
    })
}

/// Reads a file that may be empty or partly broken, such as the log of a run that was cut off.
///
/// # Errors
/// [`JsonlError`] where the file cannot be read; not for its lines.
pub fn read_any(path: &Path) -> Result<Lines, JsonlError> {
    let mut records = Vec::new();
    let troubles = each(path, &mut |number, record| records.push((number, record)))?;
    Ok(Lines { records, troubles })
}

/// As [`read_any`], one object after the other with its line number from 1, so that what `take` does not keep is out of memory
/// again. Gives the troubles.
///
/// # Errors
/// [`JsonlError`] where the file cannot be read; not for its lines.
pub fn each(path: &Path, take: &mut dyn FnMut(usize, Record)) -> Result<Vec<String>, JsonlError> {
    let cannot = |source| JsonlError::Read {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(cannot)?);
    let mut troubles = Vec::new();
    let shown = path.display();
    for number in 1.. {
        let mut bytes = Vec::new();
        let mut limited = reader.by_ref().take(LONGEST + 1);
        if limited.read_until(b'\n', &mut bytes).map_err(cannot)? == 0 {
            break;
        }
        if bytes.len() as u64 > LONGEST {
            let at = format!("`{shown}` line {number}");
            troubles.push(format!("{at}: longer than {} MB: left out", LONGEST >> 20));
            let mut skipped = 0;
            while bytes.last() != Some(&b'\n') && !bytes.is_empty() {
                skipped += bytes.len() as u64;
                if skipped > ENDLESS {
                    return Err(cannot(io::Error::other("a line without end")));
                }
                bytes.clear();
                let mut limited = reader.by_ref().take(1 << 20);
                limited.read_until(b'\n', &mut bytes).map_err(cannot)?;
            }
            continue;
        }
        if number == 1 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
            return Err(JsonlError::Utf16 { path: path.into() });
        }
        let ended = bytes.last() == Some(&b'\n');
        let line = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        match object(line.trim_ascii(), ended) {
            Ok(Some(record)) => take(number, record),
            Ok(None) => {}
            Err(what) => troubles.push(one_line(&format!(
                "`{shown}` line {number}: {what}: left out"
            ))),
        }
    }
    Ok(troubles)
}

/// [`read_any`] for a file that must hold something.
///
/// # Errors
/// [`JsonlError`].
pub fn read(path: &Path) -> Result<Lines, JsonlError> {
    let lines = read_any(path)?;
    match lines.records.is_empty() {
        true => Err(JsonlError::Nothing {
            path: path.to_owned(),
            first: lines.troubles.into_iter().next(),
        }),
        false => Ok(lines),
    }
}

/// The object on a line, or why there is none.
fn object(line: &[u8], ended: bool) -> Result<Option<Record>, String> {
    if line.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("not UTF-8 from byte {}", error.valid_up_to()))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(record)) => Ok(Some(record)),
        Ok(_) => Err("no JSON object".to_owned()),
        Err(error) if error.is_eof() && !ended => Err("cut off".to_owned()),
        Err(error) => {
            let rest = text.get(error.column().saturating_sub(8)..).unwrap_or(text);
            let near: String = rest.chars().take(16).collect();
            match ["NaN", "Infinity"]
                .iter()
                .find(|word| near.contains(**word))
            {
                Some(word) => Err(format!("`{word}` is not a JSON number")),
                None => Err(format!("no JSON ({error})")),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Result<Lines, JsonlError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn marks_line_ends_and_blanks_do_not_matter() {
        let read = lines(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n  {\"a\":2}\n{\"a\":3}").unwrap();
        let values: Vec<_> = read
            .records
            .iter()
            .map(|(n, r)| (*n, r["a"].as_i64()))
            .collect();
        assert_eq!(values, [(1, Some(1)), (3, Some(2)), (4, Some(3))]);
        assert!(read.troubles.is_empty());
    }

    #[test]
    fn each_broken_line_is_reported_once_and_left_out() {
        let text = b"{\"a\":NaN}\n[1]\n\xff\xfa\n{\"a\":1}\n{\"s\": }\n{\"a\": \"cu";
        let read = lines(text).unwrap();
        assert_eq!(read.records.len(), 1);
        let wanted = [
            "`NaN` is no",
            "no JSON object",
            "not UTF-8",
            "no JSON (",
            "cut off",
        ];
        assert_eq!(read.troubles.len(), wanted.len());
        for (trouble, wanted) in read.troubles.iter().zip(wanted) {
            assert!(trouble.contains(wanted), "{trouble}");
        }
    }

    #[test]
    fn files_that_hold_nothing() {
        assert!(
            lines(b"")
                .unwrap_err()
                .to_string()
                .contains("holds no JSON")
        );
        assert!(matches!(
            lines(b"\xff\xfe{\0"),
            Err(JsonlError::Utf16 { .. })
        ));
        let deep = [b"{\"a\":".as_slice(), &b"[".repeat(20_000)].concat();
        assert!(lines(&deep).unwrap_err().to_string().contains("recursion"));
    }
}
