//! Near-duplicates: MinHash, bands, connected components; the first document of each stays.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use base::files::write_atomic;
use serde::Serialize;
use serde_json::json;

use super::job::Job;
use super::lines;
use super::minhash::{Bands, MinHash};
use super::tally::Tally;
use super::text::{gram_hashes, jaccard, plain};
use crate::moxin::SystemError;

/// Documents of a bucket that a new one is compared with, where candidates are verified.
const COMPARED: usize = 32;

/// How near-duplicates are found.
#[derive(Clone, Debug, Serialize)]
pub struct Dedup {
    /// Characters of a gram.
    pub width: usize,
    /// Least Jaccard similarity of duplicates.
    pub threshold: f64,
    /// Permutations; 0 finds equal texts only.
    pub permutations: usize,
    /// Seed of the permutations.
    pub seed: u64,
    /// Candidates are compared gram by gram; else all candidates are duplicates.
    pub verify: bool,
}

impl Dedup {
    /// Of text: 13 characters, 128 permutations, similarity 0.8.
    pub fn text() -> Self {
        Self {
            width: 13,
            threshold: 0.8,
            permutations: 128,
            seed: 1,
            verify: false,
        }
    }

    /// Of code: 256 permutations, similarity 0.85.
    pub fn code() -> Self {
        Self {
            threshold: 0.85,
            permutations: 256,
            ..Self::text()
        }
    }

    /// The bands that suit: shorter ones, which find more, where candidates are verified.
    pub fn bands(&self) -> Bands {
        match self.permutations {
            0 => Bands { bands: 0, rows: 0 },
            count if self.verify => Bands::thorough(count, self.threshold),
            count => Bands::best(count, self.threshold),
        }
    }

    /// The keys of a text: its hash, then one of each band. Two texts that share one are candidates.
    fn keys(&self, hashes: &MinHash, bands: Bands, text: &str, room: &mut Room) -> Vec<u64> {
        let whole = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        let mut keys = vec![whole];
        if bands.bands > 0 {
            plain(text, &mut room.chars);
            gram_hashes(&room.chars, self.width, &mut room.grams);
            let signature = hashes.signature(&room.grams);
            keys.extend((0..bands.bands).map(|band| match room.grams.is_empty() {
                true => whole.wrapping_add(band as u64),
                false => bands.key(&signature, band),
            }));
        }
        keys
    }
}

/// Working memory.
#[derive(Default)]
struct Room {
    chars: Vec<char>,
    grams: Vec<u32>,
}

/// Sets that grow together; each is named by its smallest member.
#[derive(Debug)]
pub struct Components(Vec<u32>);

impl Components {
    /// `count` sets of one.
    pub fn new(count: usize) -> Self {
        Self((0..count as u32).collect())
    }

    /// The smallest member of the set of `at`.
    pub fn of(&mut self, at: u32) -> u32 {
        let mut root = at;
        while self.0[root as usize] != root {
            let next = self.0[root as usize];
            self.0[root as usize] = self.0[next as usize];
            root = next;
        }
        root
    }

    /// Joins two sets.
    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.of(a), self.of(b));
        let (first, second) = (a.min(b), a.max(b));
        self.0[second as usize] = first;
    }
}

/// The components of texts in memory: the smallest index of each text's duplicates.
pub fn components(texts: &[&str], dedup: &Dedup) -> Vec<u32> {
    let (hashes, bands) = (MinHash::new(dedup.permutations, dedup.seed), dedup.bands());
    let mut room = Room::default();
    let keys: Vec<Vec<u64>> = texts
        .iter()
        .map(|text| dedup.keys(&hashes, bands, text, &mut room))
        .collect();
    let mut sets = Components::new(texts.len());
    for band in 0..=bands.bands {
        let mut all: Vec<(u64, u32)> = (0..)
            .zip(&keys)
            .map(|(at, keys)| (keys[band], at))
            .collect();
        all.sort_unstable();
        let set = |at: u32| Ok(super::text::gram_set(texts[at as usize], dedup.width));
        let checked = dedup.verify && band > 0;
        // Sets in memory are always there.
        let _ = join_equal(&all, checked.then_some(dedup.threshold), &mut sets, &mut {
            set
        });
    }
    (0..texts.len() as u32).map(|at| sets.of(at)).collect()
}

/// Joins documents with equal keys, where there is a threshold only those that are so similar. `all` is sorted.
fn join_equal(
    all: &[(u64, u32)],
    threshold: Option<f64>,
    sets: &mut Components,
    grams: &mut dyn FnMut(u32) -> Result<Vec<u32>, SystemError>,
) -> Result<(), SystemError> {
    for bucket in all
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|bucket| bucket.len() > 1)
    {
        let Some(threshold) = threshold else {
            bucket
                .windows(2)
                .for_each(|pair| sets.join(pair[0].1, pair[1].1));
            continue;
        };
        let mut seen: Vec<(u32, Vec<u32>)> = Vec::new();
        for &(_, at) in bucket {
            let root = sets.of(at);
            if seen.iter().any(|(other, _)| sets.of(*other) == root) {
                continue;
            }
            let own = grams(at)?;
            for (other, theirs) in &seen {
                if jaccard(&own, theirs) >= threshold {
                    sets.join(at, *other);
                }
            }
            if seen.len() < COMPARED {
                seen.push((at, own));
            }
        }
    }
    Ok(())
}

/// Removes the near-duplicates in all pieces of `job`. Pieces that stand first have priority.
///
/// # Errors
/// [`SystemError`].
pub fn dedup(job: &Job<'_>, dedup: &Dedup, gz: bool) -> Result<Option<Tally>, SystemError> {
    job.begin()?;
    let (hashes, bands) = (MinHash::new(dedup.permutations, dedup.seed), dedup.bands());
    // Keys of a piece, band by band.
    let signed = job.phase("sign", "keys", &|piece, tally, out| {
        let mut room = Room::default();
        let mut columns: Vec<Vec<u64>> = vec![Vec::new(); bands.bands + 1];
        lines::each(piece, job.stop, tally, &mut |_, document| {
            let keys = dedup.keys(&hashes, bands, &document.text, &mut room);
            columns
                .iter_mut()
                .zip(keys)
                .for_each(|(column, key)| column.push(key));
            Ok(())
        })?;
        let failed = |error| SystemError::path(job.out, error);
        columns
            .iter()
            .try_for_each(|column| out.write_all(bytemuck::cast_slice(column)).map_err(failed))
    })?;
    let Some(signed) = signed else {
        return Ok(None);
    };
    let counts: Vec<usize> = signed
        .iter()
        .map(|tally| tally.documents as usize)
        .collect();
    let total: usize = counts.iter().sum();
    if u32::try_from(total).is_err() {
        return Err(SystemError::Input(format!(
            "{total} documents are too many for one pass: dedup parts of the corpus first"
        )));
    }
    let mut sets = Components::new(total);
    let columns = |band: usize| column(job, &counts, band);
    for band in 0..=bands.bands {
        job.proceed()?;
        let all = columns(band)?;
        match dedup.verify && band > 0 {
            false => join_equal(&all, None, &mut sets, &mut |_| Ok(Vec::new()))?,
            true => {
                let mut spool = Spool::open(job, dedup, &counts, &columns, bands.bands)?;
                join_equal(&all, Some(dedup.threshold), &mut sets, &mut |at| {
                    spool.read(at)
                })?;
            }
        }
    }
    let firsts: Vec<usize> = counts
        .iter()
        .scan(0, |sum, count| {
            let first = *sum;
            *sum += count;
            Some(first)
        })
        .collect();
    let kept: Vec<bool> = (0..total as u32).map(|at| sets.of(at) == at).collect();
    let tallies = job.last(gz, &|piece, tally, out| {
        let at = job.pieces.iter().position(|it| it == piece).unwrap_or(0);
        let failed = |error| SystemError::path(&piece.input, error);
        let mut number = firsts[at];
        lines::each(piece, job.stop, tally, &mut |tally, document| {
            number += 1;
            if !kept.get(number - 1).copied().unwrap_or(true) {
                tally.remove("duplicate");
                return Ok(());
            }
            tally.keep(&document.text);
            out.write_all(document.line.as_bytes()).map_err(failed)?;
            out.write_all(b"\n").map_err(failed)
        })
    })?;
    let more = json!({"bands": bands.bands, "rows": bands.rows});
    tallies.map(|all| job.manifest(&all, &more)).transpose()
}

/// The keys of a band of all pieces with the documents' numbers, sorted.
fn column(job: &Job<'_>, counts: &[usize], band: usize) -> Result<Vec<(u64, u32)>, SystemError> {
    let mut all = Vec::with_capacity(counts.iter().sum());
    let mut number = 0u32;
    for (piece, &count) in job.pieces.iter().zip(counts) {
        let failed = |error| SystemError::path(&job.path("sign", piece, "keys"), error);
        let mut file = job.open("sign", piece, "keys")?;
        file.seek(SeekFrom::Start((band * count * 8) as u64))
            .map_err(failed)?;
        let mut file = BufReader::with_capacity(1 << 18, file.take(count as u64 * 8));
        let mut key = [0; 8];
        for _ in 0..count {
            file.read_exact(&mut key).map_err(failed)?;
            all.push((u64::from_le_bytes(key), number));
            number += 1;
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// Grams of all documents that are candidates, on disk.
struct Spool {
    file: File,
    /// Of each candidate in order: its number, where its grams begin, and how many there are.
    index: Vec<(u32, u64, u32)>,
    origin: std::path::PathBuf,
}

impl Spool {
    /// Reads the corpus once more, unless that was done.
    fn open(
        job: &Job<'_>,
        dedup: &Dedup,
        counts: &[usize],
        columns: &dyn Fn(usize) -> Result<Vec<(u64, u32)>, SystemError>,
        bands: usize,
    ) -> Result<Self, SystemError> {
        let [grams, index] =
            ["grams.bin", "grams.index.json"].map(|name| job.out.join("work").join(name));
        if !index.exists() {
            let mut candidates = vec![false; counts.iter().sum()];
            for band in 1..=bands {
                let all = columns(band)?;
                let shared = all
                    .chunk_by(|a, b| a.0 == b.0)
                    .filter(|bucket| bucket.len() > 1);
                shared
                    .flatten()
                    .for_each(|&(_, at)| candidates[at as usize] = true);
            }
            let found = write_grams(job, dedup, &candidates, &grams)?;
            let bytes = serde_json::to_vec(&found).unwrap_or_default();
            base::files::write_bytes(&index, &bytes)?;
        }
        let failed = |error| SystemError::path(&index, error);
        let bytes = std::fs::read(&index).map_err(failed)?;
        let broken = "it is damaged: remove it";
        Ok(Self {
            file: File::open(&grams).map_err(|error| SystemError::path(&grams, error))?,
            index: serde_json::from_slice(&bytes).map_err(|_| SystemError::path(&index, broken))?,
            origin: grams,
        })
    }

    fn read(&mut self, at: u32) -> Result<Vec<u32>, SystemError> {
        let Ok(found) = self.index.binary_search_by_key(&at, |entry| entry.0) else {
            return Ok(Vec::new());
        };
        let (_, from, count) = self.index[found];
        let mut grams = vec![0u32; count as usize];
        let read = self
            .file
            .seek(SeekFrom::Start(from))
            .and_then(|_| self.file.read_exact(bytemuck::cast_slice_mut(&mut grams)));
        read.map_err(|error| SystemError::path(&self.origin, error))?;
        Ok(grams)
    }
}

fn write_grams(
    job: &Job<'_>,
    dedup: &Dedup,
    candidates: &[bool],
    path: &Path,
) -> Result<Vec<(u32, u64, u32)>, SystemError> {
    let mut index = Vec::new();
    let mut failed = None;
    let written = write_atomic(path, |out| {
        let mut out = BufWriter::with_capacity(1 << 18, out);
        let (mut number, mut at) = (0u32, 0u64);
        for piece in &job.pieces {
            let read = lines::each(
                piece,
                job.stop,
                &mut Tally::default(),
                &mut |_, document| {
                    number += 1;
                    if candidates.get(number as usize - 1) == Some(&true) {
                        let grams = super::text::gram_set(&document.text, dedup.width);
                        index.push((number - 1, at, grams.len() as u32));
                        at += grams.len() as u64 * 4;
                        let bytes = bytemuck::cast_slice(&grams);
                        out.write_all(bytes)
                            .map_err(|error| SystemError::path(path, error))?;
                    }
                    Ok(())
                },
            );
            if let Err(error) = read {
                failed = Some(error);
                return Err(std::io::Error::other("stopped"));
            }
        }
        out.flush()
    });
    match failed {
        Some(error) => Err(error),
        None => {
            written?;
            Ok(index)
        }
    }
}
