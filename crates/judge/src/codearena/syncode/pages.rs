//! Pages to begin with: JSON lines `{url, text}`, or a folder of HTML, text and markdown files in whatever encoding they are.

use std::path::Path;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use serde_json::json;

use super::stage::{Input, read_input};
use base::job::jsonl::JsonlError;

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
                let page = json!({"url": name, "text": decode(&bytes)});
                records.extend(page.as_object().cloned());
            }
            Err(cause) => troubles.push(format!("`{name}`: {cause}: left out")),
        }
    }
    Ok(Input { records, troubles })
}

/// The text of a page. As in a browser a byte-order mark decides, then what the page says of itself; a page that says nothing
/// is UTF-8 where it can be, else Windows-1252.
fn decode(bytes: &[u8]) -> String {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if std::str::from_utf8(bytes).is_ok() => UTF_8,
        None => declared(bytes).unwrap_or(WINDOWS_1252),
    };
    encoding.decode(bytes).0.into_owned()
}

/// The encoding that the first kilobyte names, as in `<meta charset="iso-8859-2">`.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..1024).unwrap_or(bytes).to_ascii_lowercase();
    let head = String::from_utf8_lossy(&head);
    let (_, rest) = head.split_once("charset=")?;
    let label = rest.trim_start_matches(['"', '\'', ' ']);
    let end = label.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c)));
    Encoding::for_label(label.get(..end.unwrap_or(label.len()))?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn pages_come_in_many_encodings() {
        assert_eq!(
            decode("caf\u{e9} \u{2603}".as_bytes()),
            "caf\u{e9} \u{2603}"
        );
        assert_eq!(decode(b"\xef\xbb\xbfcaf\xc3\xa9"), "caf\u{e9}");
        assert_eq!(decode(b"\xff\xfec\0a\0f\0\xe9\0"), "caf\u{e9}");
        assert_eq!(decode(b"caf\xe9 \x93x\x94"), "caf\u{e9} \u{201c}x\u{201d}");
        let cyrillic = b"<meta http-equiv=x content='text/html; charset=KOI8-R'>\xc4\xc1";
        assert!(decode(cyrillic).ends_with("\u{434}\u{430}"));
        assert!(decode(b"<meta charset=nonsense>\xe9").ends_with('\u{e9}'));
    }
}
