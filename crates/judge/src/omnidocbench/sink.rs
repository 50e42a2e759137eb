//! Where the pages of a run go as they are done: into its journal, and at the end into its outcome.

use super::error::RunError;
use super::evaluate::PageResult;
use super::journal::Journal;

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub struct RunOutcome {
    /// Its pages, in the order of the ground truth.
    pub pages: Vec<PageResult>,
    /// Pages in the file.
    pub in_file: usize,
    /// Anything odd, a line each.
    pub warnings: Vec<String>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// What came of a page of the source.
#[derive(Default)]
pub(super) struct Done {
    /// `None` where it has no annotation to be compared with.
    pub page: Option<PageResult>,
    /// Anything odd, a line each.
    pub warnings: Vec<String>,
}

/// Where the pages go that are done, in the order in which they are.
pub(super) struct Sink<'a> {
    outcome: RunOutcome,
    /// Warnings, with the page that they are about.
    warnings: Vec<(usize, Vec<String>)>,
    log: Option<Journal>,
    /// What ended the run, with its page.
    problem: Option<(usize, RunError)>,
    each: &'a mut (dyn FnMut(usize) -> bool + Send),
}

impl<'a> Sink<'a> {
    pub fn new(
        outcome: RunOutcome,
        log: Option<Journal>,
        each: &'a mut (dyn FnMut(usize) -> bool + Send),
    ) -> Self {
        Self {
            outcome,
            warnings: Vec::new(),
            log,
            problem: None,
            each,
        }
    }

    /// Takes what came of page `at`, and says whether to go on.
    pub fn take(&mut self, at: usize, result: Result<Done, RunError>) -> bool {
        let kept = result.and_then(|done| {
            self.warnings.push((at, done.warnings));
            self.outcome.pages.extend(done.page);
            self.keep(false)
        });
        if let Err(error) = kept
            && self.problem.as_ref().is_none_or(|(first, _)| at < *first)
        {
            // All pages before the first that fails were begun before it, so that it is the same in every run.
            self.problem = Some((at, error));
        }
        self.outcome.stopped |= !(self.each)(self.outcome.pages.len());
        self.problem.is_none() && !self.outcome.stopped
    }

    fn keep(&mut self, now: bool) -> Result<(), RunError> {
        let log = self.log.as_mut();
        log.map_or(Ok(()), |log| log.keep(&self.outcome.pages, now))
    }

    /// All pages in order. A run that ends before its time leaves all of them in its journal; the result of a shard is its
    /// journal.
    pub fn finish(mut self, shard: bool) -> Result<RunOutcome, RunError> {
        let cut_short = self.outcome.stopped || self.problem.is_some();
        let mut kept = match shard || cut_short {
            true => self.keep(true),
            false => Ok(()),
        };
        if let (true, false, Some(log)) = (shard, cut_short, &mut self.log) {
            kept = kept.and_then(|()| log.end());
        }
        if let Some((_, error)) = self.problem {
            return Err(error);
        }
        kept?;
        self.outcome.pages.sort_by_key(|page| page.index);
        self.warnings.sort_by_key(|(at, _)| *at);
        let warnings = self.warnings.into_iter().flat_map(|(_, lines)| lines);
        self.outcome.warnings.extend(warnings);
        Ok(self.outcome)
    }
}
