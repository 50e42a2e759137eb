//! The journal of a run.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::evaluate::PageResult;
use super::run::RunError;

/// How much work a run may lose when it is killed.
const AT_RISK: Duration = Duration::from_secs(5);

/// The field of the last line, which says that the run was done, and how many pages there are.
const END: &str = "done";

/// A file of page results, one a line, after a line that says of what run, and before one that says that it is done.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// How many pages it holds, and since when.
    held: usize,
    since: Instant,
}

impl Journal {
    /// Begins a journal, or goes on with it: pages that it holds are added to `pages`.
    pub fn open(
        path: &Path,
        header: &Value,
        resume: bool,
        pages: &mut Vec<PageResult>,
    ) -> Result<Self, RunError> {
        let failed = |source| RunError::Journal {
            path: path.to_owned(),
            source,
        };
        if resume && path.exists() {
            let mut found = read(path)?;
            if found.header != *header {
                return Err(RunError::Other(path.to_owned()));
            }
            pages.append(&mut found.pages);
        }
        // What was read is written again, so that half a line at the end goes.
        let mut text = format!("{header}\n").into_bytes();
        for page in pages.iter() {
            text.extend(page.line());
        }
        std::fs::write(path, text).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            held: pages.len(),
            since: Instant::now(),
        })
    }

    /// Adds those of all `pages` that it does not hold; unless `now`, not oftener than every [`AT_RISK`].
    pub fn keep(&mut self, pages: &[PageResult], now: bool) -> Result<(), RunError> {
        if !now && self.since.elapsed() < AT_RISK {
            return Ok(());
        }
        let fresh = pages.get(self.held..).unwrap_or_default();
        // In this thread alone: who writes holds the lock of all results, and a thread that waits for others' help may take up a page.
        let lines: Vec<Vec<u8>> = fresh.iter().map(PageResult::line).collect();
        (self.held, self.since) = (pages.len(), Instant::now());
        self.write(&lines.concat())
    }

    /// Says that the run is done.
    pub fn end(&mut self) -> Result<(), RunError> {
        let line = format!("{}\n", json!({END: self.held}));
        self.write(line.as_bytes())
    }

    fn write(&mut self, text: &[u8]) -> Result<(), RunError> {
        self.file
            .write_all(text)
            .map_err(|source| RunError::Journal {
                path: self.path.clone(),
                source,
            })
    }
}

/// A journal as it is read.
pub(super) struct Held {
    /// What run it is of.
    pub header: Value,
    /// Its pages; a damaged one is left out.
    pub pages: Vec<PageResult>,
    /// Whether its run was done, and nothing is damaged.
    pub whole: bool,
}

/// Reads a journal.
pub(super) fn read(path: &Path) -> Result<Held, RunError> {
    let failed = |source| RunError::Journal {
        path: path.to_owned(),
        source,
    };
    let mut lines = BufReader::new(File::open(path).map_err(failed)?).lines();
    let first = lines
        .next()
        .transpose()
        .map_err(failed)?
        .unwrap_or_default();
    let header: Value = serde_json::from_str(&first).unwrap_or_default();
    if header.get("orrery").is_none() {
        return Err(RunError::NoJournal(path.to_owned()));
    }
    let (mut pages, mut promised) = (Vec::new(), None);
    for line in lines.map_while(Result::ok) {
        match PageResult::read(&line) {
            Some(page) => pages.push(page),
            None => promised = end_of(&line).or(promised),
        }
    }
    Ok(Held {
        header,
        whole: promised == Some(pages.len() as u64),
        pages,
    })
}

/// The number of pages that the last line of a journal names.
fn end_of(line: &str) -> Option<u64> {
    let line: Value = serde_json::from_str(line).ok()?;
    line.get(END)?.as_u64()
}
