//! Predicted pages as files.

use std::io::Read;
use std::path::{Path, PathBuf};

/// A file's text as the official tool reads it: line ends become `\n`; a byte order mark goes. The second value tells
/// whether bytes had to be replaced because they are no UTF-8.
///
/// # Errors
/// When the file cannot be read.
pub fn read_text(path: &Path) -> std::io::Result<(String, bool)> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.read_to_end(&mut bytes)?;
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    let (mut text, broken) = match String::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => (
            String::from_utf8_lossy(error.as_bytes()).into_owned(),
            true,
        ),
    };
    if text.contains('\r') {
        text = text.replace("\r\n", "\n").replace('\r', "\n");
    }
    Ok((text, broken))
}

/// The prediction for a page's picture in `folder`: the first that is there of `NAME.md`, `NAME` without `.pdf` and with
/// `.mmd` or `.md`, and the picture's whole name with `.md`; NAME is the picture's without its last four characters.
pub fn prediction(folder: &Path, image: &str) -> Option<PathBuf> {
    let end = image.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    let name = image.get(..end).unwrap_or("");
    let bare = name.replace(".pdf", "");
    [
        format!("{name}.md"),
        format!("{bare}.mmd"),
        format!("{bare}.md"),
        format!("{image}.md"),
    ]
    .into_iter()
    .map(|file| folder.join(file))
    .find(|path| path.is_file())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_official_names_of_predictions_are_tried_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let found = |image: &str| {
            let path = prediction(folder.path(), image)?;
            Some(path.file_name()?.to_string_lossy().into_owned())
        };
        assert_eq!(found("a.pdf_1.jpg"), None);
        for name in ["a.pdf_1.jpg.md", "a_1.md", "a_1.mmd", "a.pdf_1.md"] {
            std::fs::write(folder.path().join(name), "").unwrap();
            assert_eq!(found("a.pdf_1.jpg").as_deref(), Some(name));
        }
        assert_eq!(found("é"), None);
    }
}
