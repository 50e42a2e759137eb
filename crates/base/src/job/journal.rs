//! Work that is written down piece by piece: what is done stays done, whatever ends the run, and is not done again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::jsonl::{self, JsonlError, Record};
use super::log::{Log, LogError};
use super::workers;
#[cfg(feature = "endpoint")]
use crate::endpoint::ChatError;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] JsonlError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] LogError),
}

/// Errors after which no other piece will fare better.
pub trait Lasting {
    /// Whether every other piece will fail alike.
    fn is_lasting(&self) -> bool;
}

#[cfg(feature = "endpoint")]
impl Lasting for ChatError {
    fn is_lasting(&self) -> bool {
        Self::is_lasting(self)
    }
}

/// Results by the hash of what they depend on, each a line of a file. One run at a time holds it.
#[derive(Debug)]
pub struct Journal {
    log: Log,
    known: HashMap<String, Record>,
}

/// How far the work came.
#[derive(Clone, Debug, Default)]
pub struct Progress<E> {
    /// Pieces done by earlier runs.
    pub resumed: usize,
    /// Pieces done now.
    pub made: usize,
    /// Pieces that are not done.
    pub missing: usize,
    /// The first error.
    pub error: Option<E>,
}

impl Journal {
    /// Opens a journal, or begins it. Lines that cannot be read, or are no `result`, are as if they were not there.
    ///
    /// # Errors
    /// [`JournalError`], also where another run holds it.
    pub fn open(path: &Path, result: impl Fn(&Record) -> bool) -> Result<Self, JournalError> {
        let log = Log::open(path)?;
        let mut known = HashMap::new();
        for (_, record) in jsonl::read_any(path)?.records {
            let hash = record.get("hash").and_then(Value::as_str);
            if let Some(hash) = hash.filter(|_| result(&record)) {
                known.insert(hash.to_owned(), record);
            }
        }
        Ok(Self { log, known })
    }

    /// The result of a piece.
    pub fn get(&self, hash: &str) -> Option<&Record> {
        self.known.get(hash)
    }

    /// Does the pieces that are not done, several at a time, and writes each down the moment it is. Pieces with one hash are
    /// one piece of work. `work` is given a piece's number; an error leaves the piece undone, and the others go on unless it is a
    /// lasting one. `at` is called with the number of pieces done and of all.
    ///
    /// # Errors
    /// [`JournalError`]; what was done stays done.
    pub fn work<E: Send + Lasting>(
        &mut self,
        hashes: &[String],
        workers: usize,
        stop: &AtomicBool,
        work: impl Fn(usize) -> Result<Record, E> + Sync,
        at: &mut dyn FnMut(usize, usize),
    ) -> Result<Progress<E>, JournalError> {
        let all = hashes.len();
        let mut jobs: Vec<usize> = Vec::new();
        let mut waiting: HashMap<&str, usize> = HashMap::new();
        for (index, hash) in hashes.iter().enumerate() {
            if self.known.contains_key(hash) {
                continue;
            }
            match waiting.entry(hash) {
                Entry::Occupied(mut times) => *times.get_mut() += 1,
                Entry::Vacant(place) => {
                    place.insert(1);
                    jobs.push(index);
                }
            }
        }
        let mut progress = Progress {
            resumed: all - waiting.values().sum::<usize>(),
            made: 0,
            missing: 0,
            error: None,
        };
        at(progress.resumed, all);
        let lasting = AtomicBool::new(false);
        workers::run(
            jobs.len(),
            workers,
            stop,
            |job| {
                let index = jobs.get(job).copied();
                let index = index.filter(|_| !lasting.load(Ordering::SeqCst))?;
                let result = work(index);
                if result.as_ref().is_err_and(Lasting::is_lasting) {
                    lasting.store(true, Ordering::SeqCst);
                }
                Some((index, result))
            },
            |_, result| {
                match result {
                    Some((index, Ok(mut record))) => {
                        let hash = hashes.get(index).cloned().unwrap_or_default();
                        record.insert("hash".into(), Value::String(hash.clone()));
                        self.log.append(&record)?;
                        progress.made += waiting.get(hash.as_str()).copied().unwrap_or(0);
                        self.known.insert(hash, record);
                        at(progress.resumed + progress.made, all);
                    }
                    Some((_, Err(error))) if error.is_lasting() => {
                        progress.error = Some(error);
                    }
                    Some((_, Err(error))) => {
                        progress.error.get_or_insert(error);
                    }
                    None => {}
                }
                Ok::<(), JournalError>(())
            },
        )?;
        progress.missing = all - progress.resumed - progress.made;
        Ok(progress)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    impl Lasting for &str {
        fn is_lasting(&self) -> bool {
            *self == "lasting"
        }
    }

    impl Lasting for () {
        fn is_lasting(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_lasting_error_ends_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let hashes: Vec<String> = (0..50).map(|at| at.to_string()).collect();
        let mut journal = Journal::open(&folder.path().join("journal"), is_value).unwrap();
        let tried = std::sync::atomic::AtomicUsize::new(0);
        let fail = |_| {
            tried.fetch_add(1, Ordering::Relaxed);
            Err::<Record, _>("lasting")
        };
        let never = AtomicBool::new(false);
        let progress = journal.work(&hashes, 1, &never, fail, &mut |_, _| {});
        let progress = progress.unwrap();
        assert_eq!((progress.missing, progress.error), (50, Some("lasting")));
        assert_eq!(tried.load(Ordering::Relaxed), 1);
    }

    fn record(value: usize) -> Record {
        json!({"value": value}).as_object().unwrap().clone()
    }

    fn is_value(record: &Record) -> bool {
        record.contains_key("value")
    }

    #[test]
    fn nothing_is_done_twice_and_errors_leave_the_rest_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let hashes = ["a", "b", "a", "c"].map(str::to_owned);
        let never = AtomicBool::new(false);
        let mut seen = Vec::new();
        let mut journal = Journal::open(&path, is_value).unwrap();
        assert!(matches!(
            Journal::open(&path, is_value),
            Err(JournalError::Write(LogError::Busy { .. }))
        ));
        let fails_at_1 = |index: usize| match index {
            1 => Err("broken"),
            _ => Ok(record(index)),
        };
        let progress = journal
            .work(&hashes, 3, &never, fails_at_1, &mut |done, all| {
                seen.push((done, all))
            })
            .unwrap();
        assert_eq!(
            (
                progress.resumed,
                progress.made,
                progress.missing,
                progress.error
            ),
            (0, 3, 1, Some("broken"))
        );
        assert!(seen.first() == Some(&(0, 4)) && seen.last() == Some(&(3, 4)));
        drop(journal);
        // The line that a crash cut off is done again; the others are not.
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        let cut = format!("{{\"hash\": \"c\"}}\n{}", &text[..text.len() - 3]);
        std::fs::write(&path, cut).unwrap();
        let mut journal = Journal::open(&path, is_value).unwrap();
        let done = AtomicBool::new(false);
        let progress = journal
            .work(
                &hashes,
                1,
                &done,
                |index| Ok::<_, ()>(record(index)),
                &mut |_, _| {},
            )
            .unwrap();
        assert_eq!(progress.missing, 0);
        assert!(progress.resumed >= 1 && progress.resumed + progress.made == 4);
        assert_eq!(journal.get("c").unwrap()["value"], 3);
        drop(journal);
        let stopped = AtomicBool::new(true);
        let mut journal = Journal::open(&path, is_value).unwrap();
        let more = ["a", "d"].map(str::to_owned);
        let progress = journal
            .work(
                &more,
                1,
                &stopped,
                |index| Ok::<_, ()>(record(index)),
                &mut |_, _| {},
            )
            .unwrap();
        assert_eq!(
            (progress.resumed, progress.made, progress.missing),
            (1, 0, 1)
        );
        assert!(stopped.load(Ordering::Relaxed));
    }
}
