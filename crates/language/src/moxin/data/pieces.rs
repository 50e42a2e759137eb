//! Pieces of a corpus: whole files, or parts of large ones. Each becomes one file of the output, whatever machine makes it.

use std::path::{Path, PathBuf};

use crate::moxin::SystemError;

/// A file of JSON lines, or the lines of it that begin in a range of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub input: PathBuf,
    /// What the output is called, without an ending: number, file, part.
    pub name: String,
    /// First byte, and the first that is no more of it; the end of the file for none.
    pub range: (u64, Option<u64>),
    /// Bytes of the whole file.
    pub size: u64,
    /// Which of the sources that were given it is from.
    pub source: usize,
}

/// Whether a file is compressed.
pub fn is_gz(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ext| ext.eq_ignore_ascii_case("gz"))
}

/// The files at `path`: itself, or those of the folder, and below it, whose names `wanted` takes, in order.
///
/// # Errors
/// [`SystemError::Input`] where there is nothing, or nothing of the kind.
pub fn files(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, SystemError> {
    let cannot = |path: &Path, error: std::io::Error| {
        SystemError::path(
            path,
            format!("{error}; name files or folders that are there"),
        )
    };
    let found = std::fs::metadata(path).map_err(|error| cannot(path, error))?;
    if !found.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| cannot(&folder, error))? {
            let entry = entry.map_err(|error| cannot(&folder, error))?;
            // Links are not followed: they may lead in circles.
            let kind = entry.file_type().map_err(|error| cannot(&folder, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match kind.is_dir() {
                true if !name.starts_with('.') && name != "work" => folders.push(entry.path()),
                false if kind.is_file() && !name.starts_with('.') && wanted(&name) => {
                    all.push(entry.path())
                }
                _ => {}
            }
        }
    }
    all.sort();
    match all.is_empty() {
        true => Err(SystemError::path(
            path,
            "the folder holds no file of the kind; look what is in it",
        )),
        false => Ok(all),
    }
}

/// Whether a name is one of a file of JSON lines.
pub fn is_jsonl(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    (name.ends_with(".jsonl") || name.ends_with(".ndjson")) && !name.starts_with("duplicates")
}

/// Cuts the JSON lines of all sources into pieces of about `size` bytes; compressed files stay whole.
///
/// # Errors
/// As [`files`].
pub fn pieces(sources: &[PathBuf], size: u64) -> Result<Vec<Piece>, SystemError> {
    let mut all = Vec::new();
    let mut number = 0;
    for (source, path) in sources.iter().enumerate() {
        for input in files(path, &is_jsonl)? {
            let failed = |error| SystemError::path(&input, error);
            let bytes = std::fs::metadata(&input).map_err(failed)?.len();
            let stem: String = input
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default()
                .split('.')
                .next()
                .unwrap_or_default()
                .chars()
                .map(|c| {
                    if c.is_alphanumeric() || c == '-' {
                        c
                    } else {
                        '_'
                    }
                })
                .take(60)
                .collect();
            let parts = match is_gz(&input) || bytes <= size {
                true => 1,
                false => bytes.div_ceil(size.max(1)),
            };
            for part in 0..parts {
                let name = match parts {
                    1 => format!("{number:05}-{stem}"),
                    _ => format!("{number:05}-{stem}-{part:04}"),
                };
                let end = (part + 1 < parts).then_some((part + 1) * size);
                all.push(Piece {
                    input: input.clone(),
                    name,
                    range: (part * size, end),
                    size: bytes,
                    source,
                });
            }
            number += 1;
        }
    }
    Ok(all)
}
