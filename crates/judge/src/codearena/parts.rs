//! Shards of a long job: each machine writes a part of the items to a file of its own, and the parts become one file again.
//!
//! The first line of a part says which part of which job it is and where its records stand among all items; the other lines are
//! the records as a whole run would have written them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use base::files::FileError;
use base::job::Shard;
use base::job::jsonl::Record;
use serde::{Deserialize, Serialize};

/// Longest line of a part, in bytes.
const LONGEST: u64 = 64 << 20;

/// What a part is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The verb.
    pub verb: String,
    /// A fingerprint of its input and of the settings that its results depend on.
    pub run: String,
    /// Items of the whole job.
    pub items: usize,
}

impl Job {
    /// The job of `verb` with `settings` on items of which `each` gives one text.
    pub fn new(verb: &str, settings: &[&str], each: impl Iterator<Item = String>) -> Self {
        let mut hash = super::fingerprint(settings);
        let mut items = 0;
        for text in each {
            hash = super::fingerprint(&[&format!("{hash:016x}"), &text]);
            items += 1;
        }
        Self {
            verb: verb.to_owned(),
            run: format!("{hash:016x}"),
            items,
        }
    }
}

/// A part: what its first line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFile {
    /// The whole.
    pub job: Job,
    /// Which shard, from 0.
    pub index: usize,
    /// Of how many, at least 1.
    pub of: usize,
    /// Pieces of it that were not done.
    pub missing: usize,
    /// The place of each record among all items, from 0, ascending.
    pub places: Vec<usize>,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    codearena_shard: ShardFile,
}

/// Why parts cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The system refuses.
    #[error("cannot read `{}`: {source}: check the path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is something else.
    #[error("`{}` is not a shard: give files that `--shard` wrote", .0.display())]
    NotAShard(PathBuf),
    /// It is a shard of another job.
    #[error("`{}` is a shard of another run than the files before it: give the shards of one run", .0.display())]
    Other(PathBuf),
    /// It has other lines than it says.
    #[error("`{}` is damaged: it should hold {expected} records: run its shard again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Records that its first line names.
        expected: usize,
    },
    /// Some of the job is not there.
    #[error(
        "{0}: run what is missing (the same command goes on where it stood), give all files, or take what is there with `--partial`"
    )]
    Missing(String),
    /// The result cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

/// Where a shard of a job goes whose whole would go to `out`: `judged.jsonl` becomes `judged.0-of-4.jsonl`.
pub fn shard_path(out: &Path, shard: Shard) -> PathBuf {
    let mark = format!("{}-of-{}", shard.index, shard.of);
    let ending = match out.extension() {
        Some(ending) => format!("{mark}.{}", ending.to_string_lossy()),
        None => mark,
    };
    out.with_extension(ending)
}

impl ShardFile {
    /// Writes the part with its records, whole or not at all.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn write(self, path: &Path, records: &[Record]) -> Result<(), FileError> {
        base::files::write_atomic(path, |writer| {
            serde_json::to_writer(
                &mut *writer,
                &Head {
                    codearena_shard: self,
                },
            )?;
            writer.write_all(b"\n")?;
            for record in records {
                serde_json::to_writer(&mut *writer, record)?;
                writer.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    /// Whether it says what a part can be.
    fn makes_sense(&self) -> bool {
        let shard = Shard {
            index: self.index,
            of: self.of,
        };
        self.index < self.of
            && self.places.is_sorted_by(|a, b| a < b)
            && self
                .places
                .iter()
                .all(|&place| place < self.job.items && shard.holds(place))
    }
}

/// What was put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The job.
    pub job: Job,
    /// Records written.
    pub records: usize,
    /// What is not there of the whole, a line each.
    pub missing: Vec<String>,
}

/// Puts parts together into `out`, in the order of a whole run. Of several files of one shard the most complete counts.
///
/// # Errors
/// [`ShardError`]; where something is missing, unless `partial`. Nothing is written then.
pub fn merge(paths: &[PathBuf], out: &Path, partial: bool) -> Result<Merged, ShardError> {
    let mut job: Option<(Job, usize)> = None;
    let mut parts: BTreeMap<usize, Open> = BTreeMap::new();
    for path in paths {
        let open = Open::new(path)?;
        let own = (open.part.job.clone(), open.part.of);
        if *job.get_or_insert_with(|| own.clone()) != own {
            return Err(ShardError::Other(path.clone()));
        }
        let better = |old: &Open| open.part.missing < old.part.missing;
        if parts.get(&open.part.index).is_none_or(better) {
            parts.insert(open.part.index, open);
        }
    }
    let Some((job, of)) = job else {
        return Err(ShardError::Missing("no shard was given".into()));
    };
    let mut missing: Vec<String> = parts
        .values()
        .filter(|open| open.part.missing > 0)
        .map(|open| format!("`{}` is of a run that was not done", open.path.display()))
        .collect();
    missing.extend(Shard::missing(of, |index| parts.contains_key(&index)));
    if !missing.is_empty() && !partial {
        return Err(ShardError::Missing(missing.join("; ")));
    }
    let mut open: Vec<Open> = parts.into_values().collect();
    let records = write(&mut open, out)?;
    Ok(Merged {
        job,
        records,
        missing,
    })
}

/// Writes the records of all parts by their places.
fn write(parts: &mut [Open], out: &Path) -> Result<usize, ShardError> {
    let mut failed = None;
    let mut records = 0;
    let written = base::files::write_atomic(out, |writer| {
        let mut next: BinaryHeap<Reverse<(usize, usize)>> = BinaryHeap::new();
        for (at, part) in parts.iter().enumerate() {
            next.extend(part.place(0).map(|place| Reverse((place, at))));
        }
        while let Some(Reverse((_, at))) = next.pop() {
            let Some(part) = parts.get_mut(at) else {
                continue;
            };
            match part.record() {
                Ok(line) => writer.write_all(&line)?,
                Err(error) => {
                    failed = Some(error);
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
            records += 1;
            next.extend(part.place(part.taken).map(|place| Reverse((place, at))));
        }
        for part in parts.iter_mut() {
            if !matches!(line(&mut part.reader), Ok(rest) if rest.is_empty()) {
                failed = Some(part.damaged());
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(written.map(|()| records)?),
    }
}

/// A part that is being read.
struct Open {
    path: PathBuf,
    part: ShardFile,
    reader: BufReader<File>,
    taken: usize,
}

impl Open {
    fn new(path: &Path) -> Result<Self, ShardError> {
        let cannot = |source| ShardError::Read {
            path: path.to_owned(),
            source,
        };
        let mut reader = BufReader::new(File::open(path).map_err(cannot)?);
        let first = line(&mut reader).map_err(cannot)?;
        let head: Option<Head> = serde_json::from_slice(&first).ok();
        let part = head.map(|head| head.codearena_shard);
        let part = part.filter(ShardFile::makes_sense);
        Ok(Self {
            path: path.to_owned(),
            part: part.ok_or_else(|| ShardError::NotAShard(path.to_owned()))?,
            reader,
            taken: 0,
        })
    }

    fn place(&self, record: usize) -> Option<usize> {
        self.part.places.get(record).copied()
    }

    /// The next record's line, whole.
    fn record(&mut self) -> Result<Vec<u8>, ShardError> {
        let bytes = line(&mut self.reader).map_err(|source| ShardError::Read {
            path: self.path.clone(),
            source,
        })?;
        let whole = bytes.ends_with(b"\n") && bytes.starts_with(b"{");
        self.taken += 1;
        match whole {
            true => Ok(bytes),
            false => Err(self.damaged()),
        }
    }

    fn damaged(&self) -> ShardError {
        ShardError::Damaged {
            path: self.path.clone(),
            expected: self.part.places.len(),
        }
    }
}

/// The next line with its end; empty at the end of the file.
fn line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LONGEST).read_until(b'\n', &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job() -> Job {
        Job::new(
            "judge",
            &["rule"],
            (0..7).map(|item: usize| item.to_string()),
        )
    }

    /// The part `index` of 3 of [`job`], without the places in `without`.
    fn part(folder: &Path, index: usize, missing: usize, without: &[usize]) -> PathBuf {
        let shard = Shard { index, of: 3 };
        let held = (0..7).filter(|place| shard.holds(*place) && !without.contains(place));
        let places: Vec<usize> = held.collect();
        let records: Vec<Record> = places
            .iter()
            .map(|place| json!({"place": place}).as_object().unwrap().clone())
            .collect();
        let path = shard_path(&folder.join(format!("all{missing}.jsonl")), shard);
        let part = ShardFile {
            job: job(),
            index,
            of: 3,
            missing,
            places,
        };
        part.write(&path, &records).unwrap();
        path
    }

    fn order(path: &Path) -> Vec<u64> {
        let read = base::job::jsonl::read(path).unwrap();
        let place = |(_, record): &(usize, Record)| record["place"].as_u64().unwrap();
        read.records.iter().map(place).collect()
    }

    #[test]
    fn parts_become_the_whole_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        // The item at place 4 was left out, and shard 2 is there twice.
        let whole = [
            part(at, 2, 1, &[5]),
            part(at, 1, 0, &[4]),
            part(at, 0, 0, &[]),
            part(at, 2, 0, &[]),
        ];
        assert!(whole[1].ends_with("all0.1-of-3.jsonl"));
        let out = at.join("out.jsonl");
        let merged = merge(&whole, &out, false).unwrap();
        assert_eq!((merged.records, merged.missing.len()), (6, 0));
        assert_eq!(order(&out), [0, 1, 2, 3, 5, 6]);
    }

    #[test]
    fn what_is_missing_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let some = [part(at, 0, 0, &[]), part(at, 1, 2, &[1])];
        let out = at.join("out.jsonl");
        let line = merge(&some, &out, false).unwrap_err().to_string();
        assert!(line.contains("1 of 3 shards are missing: 2/3"), "{line}");
        assert!(
            line.contains("1-of-3.jsonl` is of a run that was not done"),
            "{line}"
        );
        assert!(!out.exists());
        let merged = merge(&some, &out, true).unwrap();
        assert_eq!((merged.records, merged.missing.len()), (4, 2));
        assert_eq!(order(&out), [0, 3, 4, 6]);
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let good = part(at, 0, 0, &[]);
        let out = at.join("out.jsonl");
        let text = std::fs::read_to_string(&good).unwrap();
        let with = |name: &str, text: String| {
            std::fs::write(at.join(name), text).unwrap();
            merge(&[good.clone(), at.join(name)], &out, true)
        };
        let other = text.replace("\"judge\"", "\"check\"");
        assert!(matches!(with("a", other), Err(ShardError::Other(_))));
        let wrong = text.replace("\"index\":0", "\"index\":1");
        for no_part in [String::new(), "{\"id\": 1}\n".into(), wrong] {
            assert!(matches!(with("b", no_part), Err(ShardError::NotAShard(_))));
        }
        let lines: Vec<&str> = text.lines().collect();
        for damaged in [
            lines[..2].join("\n"),
            format!("{text}{{}}\n"),
            text[..text.len() - 1].into(),
        ] {
            std::fs::write(at.join("c"), damaged).unwrap();
            let refused = merge(&[at.join("c")], &out, true);
            assert!(
                matches!(refused, Err(ShardError::Damaged { expected: 3, .. })),
                "{refused:?}"
            );
        }
        assert!(!out.exists());
        assert!(matches!(
            merge(&[at.join("none")], &out, true),
            Err(ShardError::Read { .. })
        ));
    }
}
