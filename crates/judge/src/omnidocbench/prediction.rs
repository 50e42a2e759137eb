//! Predicted pages as files.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;

/// Bytes that most pages have fewer than.
const USUAL: usize = 1 << 14;

/// A file's text as the official tool reads it: line ends become `\n`; a byte order mark goes. The second value tells
/// whether bytes had to be replaced because they are no UTF-8.
///
/// # Errors
/// When the file cannot be read.
pub fn read_text(path: &Path) -> std::io::Result<(String, bool)> {
    // Without a question for the size: most pages fit, and two calls of the system are enough.
    let mut bytes = Vec::with_capacity(USUAL);
    let file = std::fs::File::open(path)?;
    file.take(u64::MAX).read_to_end(&mut bytes)?;
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    let (mut text, broken) = match String::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
    };
    if text.contains('\r') {
        text = text.replace("\r\n", "\n").replace('\r', "\n");
    }
    Ok((text, broken))
}

/// A folder of predictions, whose files are listed once.
pub struct Predictions {
    folder: PathBuf,
    files: FxHashSet<OsString>,
}

impl Predictions {
    /// Lists a folder.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let mut files = FxHashSet::default();
        for file in std::fs::read_dir(folder)? {
            let file = file?;
            // Links are followed.
            let kind = file.file_type()?;
            if kind.is_file() || kind.is_symlink() && file.path().is_file() {
                files.insert(file.file_name());
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            files,
        })
    }

    /// The prediction for a page's picture: the first that is there of `NAME.md`, `NAME` without `.pdf` and with `.mmd` or
    /// `.md`, and the picture's whole name with `.md`; NAME is the picture's without its last four characters.
    pub fn of(&self, image: &str) -> Option<PathBuf> {
        let listed = |file: &&String| self.files.contains(OsStr::new(file.as_str()));
        let names = names(image);
        names.iter().find(listed).map(|file| self.folder.join(file))
    }
}

/// Names that a prediction may have, in the order in which they are tried.
fn names(image: &str) -> [String; 4] {
    let end = image.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    let name = image.get(..end).unwrap_or("");
    let bare = name.replace(".pdf", "");
    [
        format!("{name}.md"),
        format!("{bare}.mmd"),
        format!("{bare}.md"),
        format!("{image}.md"),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_official_names_of_predictions_are_tried_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let found = |image: &str| {
            let path = Predictions::open(folder.path()).unwrap().of(image)?;
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
