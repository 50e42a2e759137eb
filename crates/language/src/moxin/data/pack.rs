//! Token files for training: documents shuffled, encoded and joined.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use base::files::{write_atomic, write_bytes};
use base::rng::Rng;
use engine::text::Tokenizer;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::job::{Hashed, Job};
use super::lines;
use super::tally::Tally;
use crate::moxin::SystemError;

const FORMAT: &str = "orrery-pack-1";
/// The description beside the tokens.
const ABOUT: &str = "pack.json";
const TOKENS: &str = "tokens.bin";
const ENDS: &str = "ends.bin";

/// How documents become rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joining {
    /// One after the other, each begun and ended by the tokens that do so; any context can be cut from it.
    Stream,
    /// Each cut to so many tokens, or filled up at its beginning with the token for unknown ones, which counts in the loss: what
    /// the official script does.
    Official(usize),
}

/// Encodes the documents of all pieces and joins them in an order drawn from `seed`.
///
/// # Errors
/// [`SystemError`].
pub fn pack(
    job: &Job<'_>,
    tokenizer: &Tokenizer,
    joining: Joining,
    seed: u64,
) -> Result<Option<Tally>, SystemError> {
    job.begin()?;
    let special = tokenizer.special();
    let end = special.eos.or(special.end.first().copied());
    let fill = special.unk.or(special.pad).unwrap_or(0);
    let encoded = job.phase("encode", "ids", &|piece, tally, out| {
        let failed = |error| SystemError::path(job.out, error);
        let mut lengths: Vec<u32> = Vec::new();
        lines::each(piece, job.stop, tally, &mut |tally, document| {
            let mut ids = tokenizer.around().0.to_vec();
            // A text of millions of characters in one go costs a tokenizer more than its share.
            for part in parts(&document.text, 1 << 16) {
                ids.extend(tokenizer.encode(part)?);
            }
            match joining {
                Joining::Stream => ids.extend(end),
                Joining::Official(length) => {
                    ids.truncate(length);
                    let missing = length - ids.len();
                    ids.splice(0..0, std::iter::repeat_n(fill, missing));
                }
            }
            tally.keep(&document.text);
            tally.tokens += ids.len() as u64;
            lengths.push(ids.len() as u32);
            out.write_all(bytemuck::cast_slice(&ids)).map_err(failed)
        })?;
        out.write_all(bytemuck::cast_slice(&lengths))
            .map_err(failed)?;
        out.write_all(&(lengths.len() as u64).to_le_bytes())
            .map_err(failed)
    })?;
    let Some(tallies) = encoded else {
        return Ok(None);
    };
    let narrow = tokenizer.len() <= 1 << 16;
    let documents = places(job)?;
    let mut order: Vec<u32> =
        (0..u32::try_from(documents.len()).map_err(|_| too_many())?).collect();
    Rng::new(seed).child("pack").shuffle(&mut order);
    let (tokens, sha256) = join(job, &documents, &order, narrow)?;
    write_atomic(job.out.join(ENDS), |out| {
        let mut out = BufWriter::new(out);
        let mut sum = 0u64;
        for &at in &order {
            sum += u64::from(documents[at as usize].2);
            out.write_all(&sum.to_le_bytes())?;
        }
        out.flush()
    })?;
    let mut total = job.manifest(&tallies, &json!({"tokens_sha256": sha256}))?;
    total.tokens = tokens;
    let about = About {
        format: FORMAT.into(),
        tokens,
        documents: documents.len() as u64,
        bytes: if narrow { 2 } else { 4 },
        vocabulary: tokenizer.len() as u64,
        joining,
        sha256,
    };
    let text = serde_json::to_string_pretty(&about).unwrap_or_default();
    write_bytes(job.out.join(ABOUT), format!("{text}\n").as_bytes())?;
    Ok(Some(total))
}

fn too_many() -> SystemError {
    SystemError::Input(
        "there are more than four thousand million documents: pack parts of the corpus".into(),
    )
}

/// The text in parts of about `size` bytes, cut before blanks.
fn parts(text: &str, size: usize) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = text;
    while rest.len() > 2 * size {
        let cut = rest.as_bytes()[size..2 * size]
            .iter()
            .position(|&byte| byte == b' ');
        let mut at = size + cut.unwrap_or(0);
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (head, tail) = rest.split_at(at);
        all.push(head);
        rest = tail;
    }
    all.push(rest);
    all
}

/// Piece, first byte and length of each document.
type Place = (u32, u64, u32);

fn places(job: &Job<'_>) -> Result<Vec<Place>, SystemError> {
    let mut all = Vec::new();
    for (number, piece) in (0u32..).zip(&job.pieces) {
        let failed = |error| SystemError::path(&job.path("encode", piece, "ids"), error);
        let mut file = job.open("encode", piece, "ids")?;
        let mut count = [0; 8];
        file.seek(SeekFrom::End(-8)).map_err(failed)?;
        file.read_exact(&mut count).map_err(failed)?;
        let count = u64::from_le_bytes(count);
        let back = i64::try_from(8 + 4 * count).unwrap_or(i64::MAX);
        file.seek(SeekFrom::End(-back)).map_err(failed)?;
        let mut lengths = vec![0u32; count as usize];
        file.read_exact(bytemuck::cast_slice_mut(&mut lengths))
            .map_err(failed)?;
        let mut at = 0;
        for length in lengths {
            all.push((number, at, length));
            at += u64::from(length) * 4;
        }
    }
    Ok(all)
}

/// Writes the tokens of all documents in `order`; gives their number and the file's SHA-256.
fn join(
    job: &Job<'_>,
    documents: &[Place],
    order: &[u32],
    narrow: bool,
) -> Result<(u64, String), SystemError> {
    let open = |piece| job.open("encode", piece, "ids");
    let mut files = job
        .pieces
        .iter()
        .map(open)
        .collect::<Result<Vec<File>, _>>()?;
    let (mut tokens, mut hash, mut failed) = (0u64, String::new(), None);
    let written = write_atomic(job.out.join(TOKENS), |out| {
        let mut hashed = Hashed::new(out);
        {
            let mut out = BufWriter::with_capacity(1 << 20, &mut hashed);
            let mut ids: Vec<u32> = Vec::new();
            for (done, &at) in order.iter().enumerate() {
                if done % 4096 == 0
                    && let Err(stopped) = job.proceed()
                {
                    failed = Some(stopped);
                    return Err(std::io::Error::other("stopped"));
                }
                let (piece, from, length) = documents[at as usize];
                ids.resize(length as usize, 0);
                let file = &mut files[piece as usize];
                file.seek(SeekFrom::Start(from))?;
                file.read_exact(bytemuck::cast_slice_mut(&mut ids))?;
                tokens += u64::from(length);
                match narrow {
                    true => {
                        let short: Vec<u16> = ids.iter().map(|&id| id as u16).collect();
                        out.write_all(bytemuck::cast_slice(&short))?;
                    }
                    false => out.write_all(bytemuck::cast_slice(&ids))?,
                }
            }
            out.flush()?;
        }
        hash = hashed.finish().1;
        Ok(())
    });
    match failed {
        Some(error) => Err(error),
        None => {
            written?;
            Ok((tokens, hash))
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    format: String,
    tokens: u64,
    documents: u64,
    bytes: u64,
    vocabulary: u64,
    joining: Joining,
    sha256: String,
}

/// A packed corpus, read where it lies.
#[derive(Debug)]
pub struct Pack {
    file: Mutex<File>,
    path: PathBuf,
    about: About,
    ends: Vec<u64>,
}

impl Pack {
    /// Opens what [`pack`] wrote into the folder `path`. `documents` also reads where documents end, 8 bytes each.
    ///
    /// # Errors
    /// [`SystemError::Input`] where there is none.
    pub fn open(path: &Path, documents: bool) -> Result<Self, SystemError> {
        let none = |reason: &dyn std::fmt::Display| {
            SystemError::path(
                path,
                format!("{reason}: name a folder that `moxin data pack` made"),
            )
        };
        let bytes = std::fs::read(path.join(ABOUT)).map_err(|error| none(&error))?;
        let about: About = serde_json::from_slice(&bytes).map_err(|error| none(&error))?;
        let file = File::open(path.join(TOKENS)).map_err(|error| none(&error))?;
        let size = file.metadata().map_err(|error| none(&error))?.len();
        if about.format != FORMAT
            || !matches!(about.bytes, 2 | 4)
            || size != about.tokens * about.bytes
        {
            return Err(none(&"its files do not belong together"));
        }
        let ends = match documents {
            false => Vec::new(),
            true => {
                let bytes = std::fs::read(path.join(ENDS)).map_err(|error| none(&error))?;
                bytes
                    .chunks_exact(8)
                    .map(|b| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                    .collect()
            }
        };
        Ok(Self {
            file: Mutex::new(file),
            path: path.to_owned(),
            about,
            ends,
        })
    }

    /// How many tokens it has.
    pub fn tokens(&self) -> u64 {
        self.about.tokens
    }

    /// Ids are below this.
    pub fn vocabulary(&self) -> usize {
        self.about.vocabulary as usize
    }

    /// SHA-256 of the tokens.
    pub fn sha256(&self) -> &str {
        &self.about.sha256
    }

    /// The length of rows where documents were filled up.
    pub fn row(&self) -> Option<usize> {
        match self.about.joining {
            Joining::Stream => None,
            Joining::Official(length) => Some(length),
        }
    }

    /// `length` tokens from number `from` on.
    ///
    /// # Errors
    /// [`SystemError::Input`] where they cannot be read.
    pub fn read(&self, from: u64, length: usize) -> Result<Vec<u32>, SystemError> {
        let failed = |error: std::io::Error| SystemError::path(&self.path.join(TOKENS), error);
        let width = self.about.bytes;
        let mut bytes = vec![0; length * width as usize];
        {
            let mut file = self
                .file
                .lock()
                .map_err(|_| failed(std::io::ErrorKind::Other.into()))?;
            file.seek(SeekFrom::Start(from * width)).map_err(failed)?;
            file.read_exact(&mut bytes).map_err(failed)?;
        }
        Ok(match width {
            2 => bytes
                .chunks_exact(2)
                .map(|b| u32::from(u16::from_le_bytes([b[0], b[1]])))
                .collect(),
            _ => bytes
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        })
    }

    /// The document that each of `length` tokens from `from` on belongs to, from 0 on in these tokens.
    pub fn documents(&self, from: u64, length: usize) -> Vec<u32> {
        let first = self.ends.partition_point(|&end| end <= from);
        let mut at = first;
        (from..from + length as u64)
            .map(|token| {
                while self.ends.get(at).is_some_and(|&end| end <= token) {
                    at += 1;
                }
                (at - first) as u32
            })
            .collect()
    }
}
