//! A step over all pieces of a corpus: several at a time, resumed where it was stopped, shared by machines.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use base::command::{Steps, Stopped, threads};
use base::files::{make_folder, write_atomic, write_bytes};
use base::job::{Shard, workers};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::pieces::Piece;
use super::tally::Tally;
use crate::moxin::SystemError;

/// Of every manifest.
const FORMAT: &str = "orrery-data-1";

/// One step of the pipeline.
#[derive(Debug)]
pub struct Job<'a> {
    /// Its name.
    pub step: &'static str,
    /// Everything that the output depends on besides the input.
    pub params: Value,
    /// What is worked on.
    pub pieces: Vec<Piece>,
    /// The folder for the output.
    pub out: &'a Path,
    /// Which pieces this process works on; all for none.
    pub shard: Option<Shard>,
    /// When it becomes true, the work ends.
    pub stop: &'a AtomicBool,
}

/// One piece of a phase.
pub type Work<'a> =
    dyn Fn(&Piece, &mut Tally, &mut dyn Write) -> Result<(), SystemError> + Sync + 'a;

impl Job<'_> {
    /// Makes the folder, or finds that it holds earlier work of the same step.
    ///
    /// # Errors
    /// [`SystemError::Input`] where it holds something else; when it cannot be made.
    pub fn begin(&self) -> Result<(), SystemError> {
        let work = self.out.join("work");
        make_folder(&work)?;
        let file = work.join("job.json");
        let inputs: Vec<Value> = self
            .pieces
            .iter()
            .map(|piece| json!([piece.name, piece.size]))
            .collect();
        let job =
            json!({"format": FORMAT, "step": self.step, "params": self.params, "pieces": inputs});
        let text = format!("{job}\n");
        match std::fs::read(&file) {
            Ok(there) if there == text.as_bytes() => Ok(()),
            Ok(_) => Err(SystemError::path(
                self.out,
                "it holds the output of other inputs or options: choose another `--out`, or remove it",
            )),
            Err(_) => Ok(write_bytes(&file, text.as_bytes())?),
        }
    }

    /// Where the file of a piece lies.
    pub fn path(&self, phase: &str, piece: &Piece, ending: &str) -> PathBuf {
        self.out
            .join("work")
            .join(phase)
            .join(format!("{}.{ending}", piece.name))
    }

    /// Goes on unless it was stopped.
    pub(super) fn proceed(&self) -> Result<(), SystemError> {
        match self.stop.load(std::sync::atomic::Ordering::Relaxed) {
            true => Err(Stopped::resumable().into()),
            false => Ok(()),
        }
    }

    fn key(&self, phase: &str, piece: &Piece) -> String {
        let input = piece
            .input
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let key = json!([
            self.step,
            phase,
            self.params,
            input,
            piece.name,
            piece.range,
            piece.size
        ]);
        hex(&Sha256::digest(key.to_string()))[..16].to_owned()
    }

    /// Does a phase whose files, one a piece, lie in `work/PHASE`. The tallies of all pieces, in their order, as soon as all
    /// machines are through; none before that.
    ///
    /// # Errors
    /// What `work` says; [`SystemError::Stopped`].
    pub fn phase(
        &self,
        phase: &str,
        ending: &str,
        work: &Work<'_>,
    ) -> Result<Option<Vec<Tally>>, SystemError> {
        let place = |piece: &Piece| self.path(phase, piece, ending);
        self.pieces_of(phase, &place, false, work)
    }

    /// Does the last phase, whose files lie in the output folder and hold JSON lines.
    ///
    /// # Errors
    /// As [`Job::phase`].
    pub fn last(&self, gz: bool, work: &Work<'_>) -> Result<Option<Vec<Tally>>, SystemError> {
        let ending = if gz { "jsonl.gz" } else { "jsonl" };
        let place = |piece: &Piece| self.out.join(format!("{}.{ending}", piece.name));
        self.pieces_of("write", &place, gz, work)
    }

    fn pieces_of(
        &self,
        phase: &str,
        place: &(dyn Fn(&Piece) -> PathBuf + Sync),
        gz: bool,
        work: &Work<'_>,
    ) -> Result<Option<Vec<Tally>>, SystemError> {
        let folder = self.out.join("work").join(phase);
        make_folder(&folder)?;
        let mine = |at: usize| self.shard.is_none_or(|shard| shard.holds(at));
        let open: Vec<usize> = (0..self.pieces.len())
            .filter(|&at| mine(at) && self.done(phase, &self.pieces[at], place).is_none())
            .collect();
        let mut steps = Steps::new("pieces", false);
        let mut finished = 0;
        steps.at(0, open.len());
        let one = |number: usize| -> Result<(), SystemError> {
            let piece = &self.pieces[open[number]];
            let mut tally = Tally {
                key: self.key(phase, piece),
                ..Tally::default()
            };
            let path = place(piece);
            let mut failed = None;
            let written = write_atomic(&path, |out| {
                let mut out = Hashed::new(out);
                let done = match gz {
                    true => {
                        let mut gz = GzEncoder::new(&mut out, Compression::default());
                        let done = work(piece, &mut tally, &mut gz);
                        gz.finish()?;
                        done
                    }
                    false => work(piece, &mut tally, &mut out),
                };
                (tally.file_bytes, tally.sha256) = out.finish();
                done.map_err(|error| {
                    failed = Some(error);
                    io::Error::other("the piece failed")
                })
            });
            match failed {
                Some(error) => return Err(error),
                None => written?,
            }
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            tally.file = name.unwrap_or_default();
            let record = serde_json::to_vec(&tally).unwrap_or_default();
            Ok(write_bytes(self.path(phase, piece, "json"), &record)?)
        };
        workers::run(open.len(), threads(), self.stop, one, |_, result| {
            finished += 1;
            steps.at(finished, open.len());
            result
        })?;
        steps.finish();
        if self.stop.load(std::sync::atomic::Ordering::Relaxed) && finished < open.len() {
            return Err(Stopped::resumable().into());
        }
        let all = self
            .pieces
            .iter()
            .map(|piece| self.done(phase, piece, place));
        Ok(all.collect())
    }

    /// The tally of a piece that is done.
    fn done(&self, phase: &str, piece: &Piece, place: &dyn Fn(&Piece) -> PathBuf) -> Option<Tally> {
        let bytes = std::fs::read(self.path(phase, piece, "json")).ok()?;
        let tally: Tally = serde_json::from_slice(&bytes).ok()?;
        let there = std::fs::metadata(place(piece)).ok()?;
        (tally.key == self.key(phase, piece) && there.len() == tally.file_bytes).then_some(tally)
    }

    /// Opens the file of a piece in an earlier phase.
    ///
    /// # Errors
    /// [`SystemError::Input`].
    pub fn open(&self, phase: &str, piece: &Piece, ending: &str) -> Result<File, SystemError> {
        let path = self.path(phase, piece, ending);
        File::open(&path).map_err(|error| SystemError::path(&path, error))
    }

    /// Writes `manifest.json`: step, parameters, counts and the SHA-256 of all files.
    ///
    /// # Errors
    /// [`SystemError::File`].
    pub fn manifest(&self, tallies: &[Tally], more: &Value) -> Result<Tally, SystemError> {
        let mut total = Tally::sum(tallies);
        let troubles = std::mem::take(&mut total.troubles);
        let manifest = json!({
            "format": FORMAT, "step": self.step, "params": self.params, "more": more, "total": total,
            "inputs": self.pieces.iter().map(|piece| json!({
                "file": piece.input.file_name().map(|name| name.to_string_lossy().into_owned()),
                "bytes": piece.size, "from": piece.range.0, "to": piece.range.1,
            })).collect::<Vec<_>>(),
            "files": tallies,
        });
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
        write_bytes(
            self.out.join("manifest.json"),
            format!("{text}\n").as_bytes(),
        )?;
        total.troubles = troubles;
        Ok(total)
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Counts and hashes what goes through.
pub(super) struct Hashed<'a> {
    to: &'a mut dyn Write,
    hash: Sha256,
    bytes: u64,
}

impl<'a> Hashed<'a> {
    pub(super) fn new(to: &'a mut dyn Write) -> Self {
        let hash = Sha256::new();
        Self { to, hash, bytes: 0 }
    }

    pub(super) fn finish(self) -> (u64, String) {
        (self.bytes, hex(&self.hash.finalize()))
    }
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
