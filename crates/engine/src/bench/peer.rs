//! PyTorch or llama.cpp in a process of its own, which times the same benchmarks on request.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What the process runs for kernels.
pub const KERNELS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/peer.py"
));
/// What every script ends with: it times the benchmarks of its `BENCHMARKS` by name.
const LOOP: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/peer_loop.py"
));

/// What the process runs for language models.
#[cfg(feature = "language")]
const LLAMA: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/language_peer.py"
));

/// Why the peer did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The interpreter cannot be started.
    #[error("`{}` cannot be started ({source}): name a Python with PyTorch in `--peer`", path.display())]
    Start {
        /// The interpreter.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended or wrote something else than asked.
    #[error(
        "the peer gave no answer ({0}): does `import torch` (or `xllamacpp`, for language models) work in its Python?"
    )]
    Answer(String),
    /// It says why it cannot do a benchmark.
    #[error("the peer cannot run `{name}`: {cause}")]
    Benchmark {
        /// The benchmark.
        name: String,
        /// Its words.
        cause: String,
    },
}

/// The other side.
pub struct Peer {
    command: Command,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Name and version, as it says.
    pub version: String,
}

#[derive(Deserialize)]
struct Answer {
    version: Option<String>,
    ms: Option<f64>,
    memory: Option<u64>,
    error: Option<String>,
}

/// What the peer says of a round.
pub(super) struct Round {
    /// Milliseconds.
    pub(super) ms: f64,
    /// The most bytes that its process held, where the system says so.
    pub(super) memory: Option<u64>,
}

impl Peer {
    /// Starts the Python at `path` with `threads` threads, and with the allocator settings of
    /// [`base::memory::keep_large_buffers`]. `script` defines the benchmarks.
    ///
    /// # Errors
    /// When it does not start or has no PyTorch.
    pub fn start(path: &Path, script: &str, threads: usize) -> Result<Self, PeerError> {
        Self::run(path, &format!("{script}\n{LOOP}"), threads, &[])
    }

    /// Starts llama.cpp with the GGUF file at `model`, in a Python with `xllamacpp`.
    ///
    /// # Errors
    /// When it does not start.
    #[cfg(feature = "language")]
    pub(super) fn llama(python: &Path, model: &Path, threads: usize) -> Result<Self, PeerError> {
        Self::run(python, LLAMA, threads, &[model.as_os_str()])
    }

    /// Starts a script that answers line by line.
    fn run(
        path: &Path,
        script: &str,
        threads: usize,
        more: &[&std::ffi::OsStr],
    ) -> Result<Self, PeerError> {
        let mut command = Command::new(path);
        command
            .args(["-c", script, &threads.to_string()])
            .args(more)
            .env("OMP_NUM_THREADS", threads.to_string())
            .env("MALLOC_MMAP_THRESHOLD_", "33554432")
            .env("MALLOC_TRIM_THRESHOLD_", "2147483647")
            .env("MALLOC_TOP_PAD_", "67108864")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Self::spawn(command)
    }

    /// Waits for the first answer.
    fn spawn(mut command: Command) -> Result<Self, PeerError> {
        let mut child = command.spawn().map_err(|source| PeerError::Start {
            path: command.get_program().into(),
            source,
        })?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(PeerError::Answer("no pipe".into()));
        };
        let mut peer = Self {
            command,
            child,
            input,
            output: BufReader::new(output),
            version: String::new(),
        };
        let answer: Answer = peer.receive()?;
        peer.version = answer.version.unwrap_or_default();
        Ok(peer)
    }

    /// A process that holds nothing of what was run before.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn restart(&mut self) -> Result<(), PeerError> {
        let python = std::mem::replace(&mut self.command, Command::new(""));
        *self = Self::spawn(python)?;
        Ok(())
    }

    /// One round of a benchmark.
    ///
    /// # Errors
    /// When it does not answer, or cannot do the benchmark.
    pub(super) fn round(&mut self, name: &str) -> Result<Round, PeerError> {
        let answer: Answer = self.ask(name)?;
        match answer.ms {
            Some(ms) => Ok(Round {
                ms,
                memory: answer.memory,
            }),
            None => Err(PeerError::Benchmark {
                name: name.to_owned(),
                cause: answer.error.unwrap_or_default(),
            }),
        }
    }

    /// Sends a line and reads the answer.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, line: &str) -> Result<T, PeerError> {
        let written = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
        written.map_err(|error| PeerError::Answer(error.to_string()))?;
        self.receive()
    }

    fn receive<T: DeserializeOwned>(&mut self) -> Result<T, PeerError> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        read.map_err(|error| PeerError::Answer(error.to_string()))?;
        serde_json::from_str(&line).map_err(|_| match line.trim() {
            "" => PeerError::Answer("it ended".into()),
            other => PeerError::Answer(other.chars().take(80).collect()),
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself; nothing is lost either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
