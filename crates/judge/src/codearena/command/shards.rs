//! Jobs that several machines share: `--shard`, and where results go.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base::command::Failure;
use base::job::Shard;
use base::job::jsonl::{self, Record};
use base::job::log::check_results;
use clap::Args;

use crate::codearena::item::Item;
use crate::codearena::parts::{Job, ShardFile, shard_path};

/// Which part of a job this machine does.
#[derive(Args, Debug)]
pub(super) struct ShardOption {
    /// Work on every Nth item only, from the Ith, counted from 0, and put `I-of-N` into the name of the output; `merge` puts
    /// shards together. Without it the index of a Slurm array task or of an indexed Kubernetes job counts
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
}

impl ShardOption {
    /// Where the results of a run go that would write `out` as a whole.
    ///
    /// # Errors
    /// One line that says why no results can be kept there.
    pub(super) fn output(&self, out: &Path) -> Result<Output, Failure> {
        let shard = self.shard.or_else(Shard::of_array_task);
        let path = shard.map_or_else(|| out.to_owned(), |shard| shard_path(out, shard));
        check_results(&path, [])?;
        Ok(Output { path, shard })
    }
}

/// Where results go: to one file, or a shard's to a file of its own.
pub(super) struct Output {
    /// The file.
    pub(super) path: PathBuf,
    /// The shard that this run does; without one it does all.
    pub(super) shard: Option<Shard>,
}

impl Output {
    /// Whether the item at a place among all is worked on.
    pub(super) fn holds(&self, place: usize) -> bool {
        self.shard.is_none_or(|shard| shard.holds(place))
    }

    /// The items of this run out of all. A shard also learns what it is a part of.
    pub(super) fn items(
        &self,
        all: Vec<Item>,
        verb: &str,
        settings: &[&str],
    ) -> (Vec<Item>, Whole) {
        if self.shard.is_none() {
            return (all, Whole::default());
        }
        // All that may differ between two files with the same questions.
        let each = all
            .iter()
            .map(|item| serde_json::to_string(&item.record).unwrap_or_default());
        let whole = Whole {
            job: Job::new(verb, settings, each),
            places: all.iter().map(|item| item.id.clone()).zip(0..).collect(),
        };
        let held = all.into_iter().enumerate();
        let held = held.filter(|(place, _)| self.holds(*place));
        (held.map(|(_, item)| item).collect(), whole)
    }

    /// Writes records; a shard's with their `places` among all items of `job`. `missing` pieces were not done.
    pub(super) fn write(
        &self,
        records: &[Record],
        job: Job,
        places: Vec<usize>,
        missing: usize,
    ) -> Result<(), Failure> {
        let Some(Shard { index, of }) = self.shard else {
            return Ok(jsonl::write(&self.path, records)?);
        };
        let part = ShardFile {
            job,
            index,
            of,
            missing,
            places,
        };
        Ok(part.write(&self.path, records)?)
    }

    /// What to say behind the line that says what was written.
    pub(super) fn note(&self) -> &'static str {
        match self.shard {
            Some(_) => "\n`merge` puts shards together",
            None => "",
        }
    }
}

/// What a shard is a part of: nothing where a run does all.
#[derive(Default)]
pub(super) struct Whole {
    job: Job,
    places: HashMap<String, usize>,
}

impl Whole {
    /// The job, and where records of items stand in it.
    pub(super) fn of(self, records: &[Record]) -> (Job, Vec<usize>) {
        let place = |record: &Record| self.places.get(record.get("uid")?.as_str()?).copied();
        let places = records.iter().filter_map(place).collect();
        (self.job, places)
    }
}
