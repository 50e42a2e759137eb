//! The pages of a file, one by one.

use std::path::{Path, PathBuf};

use super::{Page, PageError};

/// The pages of a ground-truth file, one by one.
///
/// The file is a JSON list of pages; a byte order mark before it is passed over. Whatever of a page has another type than
/// it should counts as absent.
pub struct Pages {
    path: PathBuf,
    text: Vec<u8>,
    /// Where the next page is looked for; `None` after the last one.
    at: Option<usize>,
}

impl Pages {
    /// Opens a file.
    ///
    /// # Errors
    /// [`PageError::Open`].
    pub fn open(path: &Path) -> Result<Self, PageError> {
        let open = |source| PageError::Open {
            path: path.to_owned(),
            source,
        };
        let mut text = std::fs::read(path).map_err(open)?;
        if let Some(mark) = text.first_chunk_mut()
            && mark == b"\xEF\xBB\xBF"
        {
            *mark = *b"   ";
        }
        Ok(Self {
            path: path.to_owned(),
            text,
            at: Some(0),
        })
    }

    /// The first byte at or after `at` that is no blank, and where it stands.
    fn mark(&self, at: usize) -> Option<(usize, u8)> {
        let rest = self.text.get(at..)?;
        let blanks = rest.iter().take_while(|byte| b" \t\r\n".contains(byte));
        let at = at + blanks.count();
        Some((at, *self.text.get(at)?))
    }

    /// The place of the next page; `None` where the list ends in good order.
    fn place(&self, at: usize) -> Option<Option<usize>> {
        let (mark, byte) = self.mark(at)?;
        let ends = |at| self.mark(at).is_none();
        match (at, byte) {
            (0, b'[') => match self.mark(mark + 1)? {
                (end, b']') => ends(end + 1).then_some(None),
                (page, _) => Some(Some(page)),
            },
            (1.., b',') => Some(Some(mark + 1)),
            (1.., b']') => ends(mark + 1).then_some(None),
            _ => None,
        }
    }

    /// What is wrong, with its place in the whole file.
    fn error(&self) -> PageError {
        let whole = serde_json::from_slice::<Vec<Page>>(&self.text);
        let other = || serde::de::Error::custom("the list of pages is broken");
        PageError::Json {
            path: self.path.clone(),
            source: whole.err().unwrap_or_else(other),
        }
    }
}

impl Iterator for Pages {
    type Item = Result<Page, PageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at.take()?;
        let begin = match self.place(at) {
            Some(Some(begin)) => begin,
            Some(None) => return None,
            None => return Some(Err(self.error())),
        };
        let rest = self.text.get(begin..).unwrap_or_default();
        let mut json = serde_json::Deserializer::from_slice(rest).into_iter::<Page>();
        let Some(Ok(page)) = json.next() else {
            return Some(Err(self.error()));
        };
        self.at = Some(begin + json.byte_offset());
        Some(Ok(page))
    }
}

/// Gives each page of a ground-truth file to `each`, which may end the reading with `false`.
///
/// # Errors
/// [`PageError`] when the file cannot be opened, or as soon as it turns out to be no list of objects; pages before that
/// place were given away already.
pub fn read_pages(path: &Path, mut each: impl FnMut(Page) -> bool) -> Result<(), PageError> {
    for page in Pages::open(path)? {
        if !each(page?) {
            break;
        }
    }
    Ok(())
}
