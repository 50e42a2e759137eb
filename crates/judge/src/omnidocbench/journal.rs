//! The journal of a run.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use base::job::log::{Log, LogError};
use serde_json::{Value, json};

use super::error::RunError;
use super::evaluate::PageResult;

/// How much work a run may lose when it is killed.
const AT_RISK: Duration = Duration::from_secs(5);

/// Bytes that are written together.
const PIECE: usize = 1 << 20;

/// The field of the last line, which says that the run was done, and how many pages there are.
const END: &str = "done";

/// A log of page results, one a line, after a line that says of what run, and before one that says that it is done.
pub(super) struct Journal {
    log: Log,
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
        let mut log = Log::open(path)?;
        match begin(path)? {
            (None, mut lines) => match lines.next() {
                None => log.append(header)?,
                Some(_) => return Err(LogError::NotALog(path.to_owned()).into()),
            },
            (Some(_), _) if !resume => {
                log.clear()?;
                log.append(header)?;
            }
            (Some(found), _) if found != *header => {
                return Err(RunError::Other(path.to_owned()));
            }
            (Some(_), lines) => pages.extend(lines.filter_map(|line| PageResult::read(&line))),
        }
        Ok(Self {
            log,
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
        let mut lines = Vec::new();
        for page in fresh {
            page.write_line(&mut lines);
            if lines.len() >= PIECE {
                self.log.append_lines(&lines)?;
                lines.clear();
            }
        }
        (self.held, self.since) = (pages.len(), Instant::now());
        Ok(self.log.append_lines(&lines)?)
    }

    /// Says that the run is done.
    pub fn end(&mut self) -> Result<(), RunError> {
        Ok(self.log.append(&json!({END: self.held}))?)
    }
}

/// A journal as it is read.
pub(super) struct Contents {
    /// What run it is of.
    pub header: Value,
    /// Its pages; a damaged one is left out.
    pub pages: Vec<PageResult>,
    /// Whether its run was done, and nothing is damaged.
    pub whole: bool,
}

/// The settings of a journal's run, and its other lines. Where it is no journal there are no settings, and its first line is
/// among the lines.
fn begin(path: &Path) -> Result<(Option<Value>, impl Iterator<Item = String>), RunError> {
    let failed = |source| RunError::Journal {
        path: path.to_owned(),
        source,
    };
    let mut lines = BufReader::new(File::open(path).map_err(failed)?).lines();
    let mut first = lines.next().transpose().map_err(failed)?;
    let header = first.as_deref().and_then(|line| {
        let header: Value = serde_json::from_str(line).ok()?;
        header.get("orrery").is_some().then_some(header)
    });
    if header.is_some() {
        first = None;
    }
    Ok((header, first.into_iter().chain(lines.map_while(Result::ok))))
}

/// Reads a journal.
pub(super) fn read(path: &Path) -> Result<Contents, RunError> {
    let (Some(header), lines) = begin(path)? else {
        return Err(RunError::NoJournal(path.to_owned()));
    };
    let (mut pages, mut promised) = (Vec::new(), None);
    for line in lines {
        match PageResult::read(&line) {
            Some(page) => pages.push(page),
            None => promised = end_of(&line).or(promised),
        }
    }
    Ok(Contents {
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
