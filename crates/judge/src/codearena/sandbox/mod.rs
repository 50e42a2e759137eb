//! Programs that nobody has read, run where they can do no harm [ours].
//!
//! On Linux each run is process 1 of its own namespaces: it sees a read-only `/usr`, its interpreter and an empty memory
//! disk, no other process, no network, nobody's files. Limits bound CPU time, memory, processes, files, output and wall
//! time; a seccomp filter refuses what no solution of a programming task needs. When process 1 ends the kernel ends everything
//! it started. Where namespaces are not allowed nothing is run at all.

mod check;
mod extract;
mod language;
#[cfg(target_os = "linux")]
mod linux;
mod proof;
mod python;
mod tool;

use std::time::Duration;

use base::job::journal::Lasting;

pub use check::{Check, Grade, Graded, Stream, grade};
pub use extract::code_block;
pub use language::{LANGUAGES, Language};
pub use tool::Tool;

/// What a run may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Seconds of CPU time, for each process.
    pub cpu_seconds: u64,
    /// Seconds until everything is ended, those left out in which it waits for a processor that other work has; six times as
    /// many in any case.
    pub wall: Duration,
    /// Bytes of memory, of all processes together.
    pub memory: u64,
    /// Bytes of one written file.
    pub file_size: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes of standard output, and of standard error.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_seconds: 10,
            wall: Duration::from_secs(20),
            memory: 512 << 20,
            file_size: 8 << 20,
            processes: 32,
            output: 1 << 20,
        }
    }
}

/// One program to run.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Program and arguments; the program by its full path.
    pub argv: Vec<String>,
    /// Files in the working folder: plain names and contents.
    pub files: Vec<(String, Vec<u8>)>,
    /// What it reads from standard input.
    pub stdin: Vec<u8>,
    /// Folders outside `/usr` that it needs, shown read-only.
    pub folders: Vec<String>,
    /// Whether the runtime reserves far more addresses than memory, so that addresses cannot be limited.
    pub reserves_addresses: bool,
    /// What it finds on descriptor 4; it may then write to descriptor 5.
    pub payload: Option<Vec<u8>>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with an exit code.
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// Processor time or wall time ran out.
    Timeout,
    /// All processes together took too much memory.
    Memory,
    /// It wrote too much.
    Output,
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How it ended.
    pub ended: Ended,
    /// The beginning of standard output.
    pub stdout: Vec<u8>,
    /// The beginning of standard error.
    pub stderr: Vec<u8>,
    /// The beginning of what it wrote to descriptor 5.
    pub proof: Vec<u8>,
    /// How long it took.
    pub wall: Duration,
}

/// Why nothing was run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// This system has no sandbox.
    #[error("programs can be run only on Linux, where the kernel can lock them in")]
    NotLinux,
    /// The kernel does not allow namespaces.
    #[error(
        "this system does not allow namespaces ({0}), so programs cannot be locked in: allow user namespaces (`sysctl user.max_user_namespaces`), or run where they are allowed"
    )]
    NoNamespaces(String),
    /// A step of the preparation failed.
    #[error("the sandbox cannot be set up: {step}: {cause}")]
    Setup {
        /// What was being done.
        step: &'static str,
        /// What the system says.
        cause: String,
    },
    /// The job makes no sense.
    #[error("the program cannot be run: {0}")]
    Job(&'static str),
}

impl Lasting for SandboxError {
    fn is_lasting(&self) -> bool {
        false
    }
}

/// A sandbox that was found to work here.
#[derive(Clone, Copy, Debug)]
pub struct Sandbox {
    #[cfg(target_os = "linux")]
    way: linux::Way,
}

#[cfg(target_os = "linux")]
impl Sandbox {
    /// Tries the kernel once.
    ///
    /// # Errors
    /// [`SandboxError`] where programs cannot be locked in.
    pub fn new() -> Result<Self, SandboxError> {
        // Earlier versions gave each run a folder.
        base::files::sweep("orrery-run-");
        linux::probe().map(|way| Self { way })
    }

    /// Runs a job. Any number of threads may run jobs at a time.
    ///
    /// # Errors
    /// [`SandboxError`] where it could not be started; whatever the program does is no error.
    pub fn run(&self, job: &Job, limits: &Limits) -> Result<Ran, SandboxError> {
        linux::run(job, limits, self.way)
    }

    /// Whether the kernel bounds the memory of runs (control groups of version 2); else it is counted every 20 ms.
    pub fn kernel_bounds_memory(&self) -> bool {
        self.way.groups
    }
}

#[cfg(not(target_os = "linux"))]
impl Sandbox {
    /// There is none.
    ///
    /// # Errors
    /// [`SandboxError::NotLinux`].
    pub fn new() -> Result<Self, SandboxError> {
        Err(SandboxError::NotLinux)
    }

    /// There is none.
    ///
    /// # Errors
    /// [`SandboxError::NotLinux`].
    pub fn run(&self, _: &Job, _: &Limits) -> Result<Ran, SandboxError> {
        Err(SandboxError::NotLinux)
    }

    /// There is none.
    pub fn kernel_bounds_memory(&self) -> bool {
        false
    }
}
