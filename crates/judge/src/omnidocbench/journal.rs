//! The journal of a run.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::evaluate::PageResult;
use super::run::RunError;

/// How much work a run may lose when it is killed.
const AT_RISK: Duration = Duration::from_secs(5);

/// A file of page results, one a line, after a line that says of what run.
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
            let (found, mut read) = lines(path)?;
            if found != *header {
                return Err(RunError::Other(path.to_owned()));
            }
            pages.append(&mut read);
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
        let written = self.file.write_all(&lines.concat());
        written.map_err(|source| RunError::Journal {
            path: self.path.clone(),
            source,
        })
    }
}

/// The header and the pages of a journal; a damaged page is left out.
pub(super) fn lines(path: &Path) -> Result<(Value, Vec<PageResult>), RunError> {
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
    let pages = lines
        .map_while(Result::ok)
        .filter_map(|line| PageResult::read(&line));
    Ok((header, pages.collect()))
}
