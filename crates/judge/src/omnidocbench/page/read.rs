//! The pages of a file, one by one.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Page, PageError};

/// Bytes that are read together: some dozen pages.
const PIECE: usize = 1 << 18;

/// The pages of a ground-truth file, one by one, of which a piece is in memory, or as much as the longest page.
///
/// The file is a JSON list of pages; a byte order mark before it is passed over. Whatever of a page has another type than
/// it should counts as absent.
pub struct Pages {
    path: PathBuf,
    file: File,
    /// The piece that was read last, and whether the file ends with it.
    text: Vec<u8>,
    last: bool,
    /// Where the next page is looked for in it.
    at: usize,
    /// Whether a page was read; whether all were.
    begun: bool,
    ended: bool,
}

/// What the text says about the next page.
enum Next {
    Page(Page, usize),
    End,
    /// It ends too early to say.
    More,
    Broken,
}

impl Pages {
    /// Opens a file.
    ///
    /// # Errors
    /// [`PageError::Open`].
    pub fn open(path: &Path) -> Result<Self, PageError> {
        let mut pages = Self {
            path: path.to_owned(),
            file: File::open(path).map_err(|source| open(path, source))?,
            text: Vec::new(),
            last: false,
            at: 0,
            begun: false,
            ended: false,
        };
        pages.read_on()?;
        if let Some(mark) = pages.text.first_chunk_mut()
            && mark == b"\xEF\xBB\xBF"
        {
            *mark = *b"   ";
        }
        Ok(pages)
    }

    /// Reads another piece, or as much again as is left of this one.
    fn read_on(&mut self) -> Result<(), PageError> {
        self.text.drain(..self.at);
        self.at = 0;
        let wanted = self.text.len().max(PIECE);
        self.text.reserve_exact(wanted);
        let file = (&mut self.file).take(wanted as u64);
        let read = { file }.read_to_end(&mut self.text);
        self.last = read.map_err(|source| open(&self.path, source))? < wanted;
        Ok(())
    }

    /// The first byte at or after `at` that is no blank, and where it stands.
    fn mark(&self, at: usize) -> Option<(usize, u8)> {
        let rest = self.text.get(at..)?;
        let blanks = rest.iter().take_while(|byte| b" \t\r\n".contains(byte));
        let at = at + blanks.count();
        Some((at, *self.text.get(at)?))
    }

    /// What follows the mark at `at` that ends the list.
    fn end(&self, at: usize) -> Next {
        match (self.mark(at + 1), self.last) {
            (Some(_), _) => Next::Broken,
            (None, true) => Next::End,
            (None, false) => Next::More,
        }
    }

    fn look(&self) -> Next {
        let early = if self.last { Next::Broken } else { Next::More };
        let begin = match self.mark(self.at) {
            Some((mark, b'[')) if !self.begun => match self.mark(mark + 1) {
                Some((end, b']')) => return self.end(end),
                Some((page, _)) => page,
                None => return early,
            },
            Some((mark, b',')) if self.begun => mark + 1,
            Some((mark, b']')) if self.begun => return self.end(mark),
            Some(_) => return Next::Broken,
            None => return early,
        };
        let rest = self.text.get(begin..).unwrap_or_default();
        let mut json = serde_json::Deserializer::from_slice(rest).into_iter::<Page>();
        let page = json.next();
        let end = begin + json.byte_offset();
        match page {
            // Of a number there might be more.
            Some(Ok(_)) if end == self.text.len() && !self.last => Next::More,
            Some(Ok(page)) => Next::Page(page, end),
            // An error near the end may be one of a text cut short, whatever its name.
            _ => early,
        }
    }

    /// What is wrong, with its place in the whole file.
    fn error(&self) -> PageError {
        let text = match base::files::read(&self.path) {
            Ok(text) => text,
            Err(source) => return open(&self.path, source),
        };
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
        let whole = serde_json::from_slice::<Vec<Page>>(text);
        let other = || serde::de::Error::custom("the list of pages is broken");
        PageError::Json {
            path: self.path.clone(),
            source: whole.err().unwrap_or_else(other),
        }
    }
}

fn open(path: &Path, source: std::io::Error) -> PageError {
    PageError::Open {
        path: path.to_owned(),
        source,
    }
}

impl Iterator for Pages {
    type Item = Result<Page, PageError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let problem = match self.look() {
                Next::Page(page, end) => {
                    (self.begun, self.at) = (true, end);
                    return Some(Ok(page));
                }
                Next::More => match self.read_on() {
                    Ok(()) => continue,
                    Err(error) => Some(error),
                },
                Next::Broken => Some(self.error()),
                Next::End => None,
            };
            self.ended = true;
            return problem.map(Err);
        }
        None
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
