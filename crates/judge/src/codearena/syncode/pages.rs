//! Pages to begin with: JSON lines `{url, text}`, or a folder of HTML, text and markdown files.

use std::path::Path;

use serde_json::json;

use super::super::jsonl::JsonlError;
use super::stage::{Input, read_input};

/// Largest page that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Reads pages.
///
/// # Errors
/// [`JsonlError`] where nothing can be read.
pub fn read(path: &Path) -> Result<Input, JsonlError> {
    if !path.is_dir() {
        return read_input(path);
    }
    let cannot = |source| JsonlError::Read {
        path: path.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(path).map_err(cannot)?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let (mut records, mut troubles) = (Vec::new(), Vec::new());
    for file in files {
        let ending = file
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        if !["html", "htm", "txt", "md"].contains(&ending) {
            continue;
        }
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match std::fs::metadata(&file) {
            Ok(about) if about.len() <= LARGEST => {}
            _ => {
                troubles.push(format!(
                    "`{name}`: larger than {} MB, or not readable: left out",
                    LARGEST >> 20
                ));
                continue;
            }
        }
        match std::fs::read(&file) {
            Ok(bytes) => {
                let page = json!({"url": name, "text": String::from_utf8_lossy(&bytes)});
                records.extend(page.as_object().cloned());
            }
            Err(cause) => troubles.push(format!("`{name}`: {cause}: left out")),
        }
    }
    Ok(Input { records, troubles })
}
