//! A step from one file of JSON lines to another that can be stopped at any time and goes on where it stood.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use base::endpoint::ChatError;
use base::files::{FileError, write_bytes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::fingerprint;
use super::super::sandbox::SandboxError;
use base::job::journal::{Journal, JournalError, Lasting};
use base::job::jsonl::{self, JsonlError, Record};
use base::job::log;

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It goes on, perhaps changed.
    Keep(Record),
    /// It is dropped, for a reason in a few words.
    Drop(String),
}

impl Fate {
    /// As a line of the journal.
    fn into_line(self) -> Record {
        let (key, value) = match self {
            Self::Keep(record) => ("kept", Value::Object(record)),
            Self::Drop(reason) => ("dropped", Value::String(reason)),
        };
        Record::from_iter([(key.to_owned(), value)])
    }

    fn of_line(line: &Record) -> Option<Self> {
        match (line.get("kept"), line.get("dropped")) {
            (Some(Value::Object(record)), _) => Some(Self::Keep(record.clone())),
            (_, Some(Value::String(reason))) => Some(Self::Drop(reason.clone())),
            _ => None,
        }
    }
}

/// What a step did; written beside its output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The step.
    pub stage: String,
    /// Records of the input.
    pub read: usize,
    /// Records of the output.
    pub kept: usize,
    /// Dropped records by reason.
    pub dropped: BTreeMap<String, usize>,
    /// Lines of the input that could not be read.
    pub unreadable: usize,
    /// What input and settings were, to know finished work again.
    pub of: String,
}

/// Why a step did not end.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The input cannot be read.
    #[error(transparent)]
    Read(#[from] JsonlError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The output cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The language model fails.
    #[error("{model}; {done} of {all} records are done and stay: the same command goes on")]
    Model {
        /// How.
        model: ChatError,
        /// Records done.
        done: usize,
        /// All records.
        all: usize,
    },
    /// Answers cannot be run here.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Ctrl-C.
    #[error("stopped after {done} of {all} records: the same command goes on from there")]
    Stopped {
        /// Records done.
        done: usize,
        /// All records.
        all: usize,
    },
    /// The settings make no sense.
    #[error("{0}")]
    Settings(String),
}

/// Why a record could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The language model fails.
    #[error(transparent)]
    Model(#[from] ChatError),
    /// The answer cannot be run.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Lasting for WorkError {
    fn is_lasting(&self) -> bool {
        matches!(self, Self::Model(error) if error.is_lasting())
    }
}

/// A step to run.
pub struct Step<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where records come from.
    pub input: &'a Path,
    /// Where they go; the log and the statistics stand beside it.
    pub output: &'a Path,
    /// Everything the result depends on besides the record.
    pub settings: String,
    /// Records at a time.
    pub workers: usize,
    /// Becomes true when no further record shall begin.
    pub stop: &'a AtomicBool,
}

/// What was read for a step.
pub struct Input {
    /// The records.
    pub records: Vec<Record>,
    /// One line for each line that was left out.
    pub troubles: Vec<String>,
}

impl Step<'_> {
    /// Runs `work` on every record that no earlier run has done. Results keep the input's order, whatever the workers.
    /// `at` is called with the number of records done and of all.
    ///
    /// # Errors
    /// [`StageError`]; what is done stays done.
    pub fn run(
        &self,
        input: Input,
        work: impl Fn(&Record) -> Result<Fate, WorkError> + Sync,
        at: &mut dyn FnMut(usize, usize),
    ) -> Result<Stats, StageError> {
        let hashes = self.hashes(&input);
        let of = self.all(&hashes);
        self.check_output()?;
        if let Some(stats) = self.finished(&of) {
            at(stats.read, stats.read);
            return Ok(stats);
        }
        let part = self.output.with_added_extension("part");
        let mut journal = Journal::open(&part, |line| Fate::of_line(line).is_some())?;
        let one = |index: usize| match input.records.get(index) {
            Some(record) => work(record).map(Fate::into_line),
            None => Ok(Record::new()),
        };
        let progress = journal.work(&hashes, self.workers, self.stop, one, at)?;
        let all = input.records.len();
        let done = all - progress.missing;
        match progress.error {
            Some(WorkError::Model(model)) if model != ChatError::Stopped => {
                return Err(StageError::Model { model, done, all });
            }
            Some(WorkError::Sandbox(error)) => return Err(error.into()),
            _ if done < all => return Err(StageError::Stopped { done, all }),
            _ => {}
        }
        let fates = hashes
            .iter()
            .filter_map(|hash| Fate::of_line(journal.get(hash)?))
            .collect();
        let stats = self.write(fates, input.troubles.len(), of)?;
        // The output holds everything now.
        let _ = std::fs::remove_file(part);
        Ok(stats)
    }

    /// Runs a step that must see all records together: `decide` gives the fate of each.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn run_together(
        &self,
        input: &Input,
        decide: impl FnOnce(&[Record]) -> Result<Vec<Fate>, StageError>,
    ) -> Result<Stats, StageError> {
        let of = self.all(&self.hashes(input));
        self.check_output()?;
        if let Some(stats) = self.finished(&of) {
            return Ok(stats);
        }
        let fates = decide(&input.records)?;
        if self.stop.load(Ordering::Relaxed) {
            let all = input.records.len();
            return Err(StageError::Stopped { done: 0, all });
        }
        self.write(fates, input.troubles.len(), of)
    }

    fn check_output(&self) -> Result<(), StageError> {
        Ok(log::check(self.output).map_err(JournalError::from)?)
    }

    fn hashes(&self, input: &Input) -> Vec<String> {
        let records = input.records.iter();
        records.map(|record| self.hash(record)).collect()
    }

    /// What tells this work from any other: step, settings and input.
    fn all(&self, hashes: &[String]) -> String {
        let mut parts = vec![self.name, self.settings.as_str()];
        parts.extend(hashes.iter().map(String::as_str));
        format!("{:016x}", fingerprint(&parts))
    }

    /// Writes output and statistics of a step whose records are all done.
    fn write(&self, fates: Vec<Fate>, unreadable: usize, of: String) -> Result<Stats, StageError> {
        let mut stats = Stats {
            stage: self.name.to_owned(),
            read: fates.len(),
            unreadable,
            of,
            ..Stats::default()
        };
        let mut kept = Vec::new();
        for fate in fates {
            match fate {
                Fate::Keep(record) => kept.push(record),
                Fate::Drop(reason) => *stats.dropped.entry(reason).or_default() += 1,
            }
        }
        stats.kept = kept.len();
        jsonl::write(self.output, &kept)?;
        let text = serde_json::to_vec_pretty(&stats).unwrap_or_default();
        write_bytes(self.output.with_added_extension("stats.json"), &text)?;
        Ok(stats)
    }

    /// The statistics of an earlier run over the same input with the same settings, where its output is still there.
    fn finished(&self, of: &str) -> Option<Stats> {
        let text = std::fs::read(self.output.with_added_extension("stats.json")).ok()?;
        let stats: Stats = serde_json::from_slice(&text).ok()?;
        (stats.of == of && self.output.is_file()).then_some(stats)
    }

    /// The hash of a record under this step's settings.
    fn hash(&self, record: &Record) -> String {
        let text = Value::Object(record.clone()).to_string();
        format!("{:016x}", fingerprint(&[self.name, &self.settings, &text]))
    }
}

/// Reads the input of a step.
///
/// # Errors
/// [`JsonlError`]; an empty file is none, for a step before may have dropped everything.
pub fn read_input(path: &Path) -> Result<Input, JsonlError> {
    let lines = jsonl::read_any(path)?;
    Ok(Input {
        records: lines
            .records
            .into_iter()
            .map(|(_, record)| record)
            .collect(),
        troubles: lines.troubles,
    })
}

/// The text of a field; empty where there is none.
pub fn text<'a>(record: &'a Record, field: &str) -> &'a str {
    record
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
