//! What every verb of the command line shares: one-line errors with an exit code, output that survives a closed
//! pipe, the device option, and a bar for steps.

mod hold;
mod print;
mod threads;

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::files::FileError;
#[cfg(feature = "media")]
use crate::media::MediaError;
use crate::proof::ReportError;
#[cfg(feature = "checkpoints")]
use crate::tensor_file::WeightsError;

pub use hold::Hold;
pub use print::{Output, eprint_line, one_line, print_json, print_line, report, warn};
pub use threads::{
    follow_shared_options, is_quiet, threads, use_calling_thread_as_worker, with_shared_options,
};

/// Why a verb did not do its work: one line with cause and fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Something the user gave cannot be used; exit code 2.
    Input(String),
    /// Something went wrong on the way; exit code 1.
    Failed(String),
    /// Ctrl-C; exit code 130.
    Interrupted(String),
}

impl Failure {
    /// Bad input.
    pub fn input(line: impl fmt::Display) -> Self {
        Self::Input(one_line(&line.to_string()))
    }

    /// A failure on the way.
    pub fn failed(line: impl fmt::Display) -> Self {
        Self::Failed(one_line(&line.to_string()))
    }

    /// Stopped by the user.
    pub fn interrupted(line: impl fmt::Display) -> Self {
        Self::Interrupted(one_line(&line.to_string()))
    }

    /// A file or folder that cannot be made or written, by what the system answered: bad input where another place mends it,
    /// such as one without permission to write, a failure on the way where not, as on a full disk.
    pub fn unwritable(line: impl fmt::Display, cause: io::ErrorKind) -> Self {
        use io::ErrorKind::{
            AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound,
            PermissionDenied, ReadOnlyFilesystem,
        };
        match cause {
            AlreadyExists | InvalidFilename | InvalidInput | IsADirectory | NotADirectory
            | NotFound | PermissionDenied | ReadOnlyFilesystem => Self::input(line),
            _ => Self::failed(line),
        }
    }

    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Failed(_) => 1,
            Self::Interrupted(_) => 130,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Input(line) | Self::Failed(line) | Self::Interrupted(line)) = self;
        f.write_str(line)
    }
}

impl std::error::Error for Failure {}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let cause = error.kind();
        Self::unwritable(error, cause)
    }
}

#[cfg(feature = "media")]
impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Write(error) => error.into(),
            MediaError::Encode(_) => Self::failed(error),
            _ => Self::input(error),
        }
    }
}

#[cfg(feature = "checkpoints")]
impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Self {
        match error {
            WeightsError::Write(error) => error.into(),
            WeightsError::Device { .. }
            | WeightsError::Overflow { .. }
            | WeightsError::Content { .. } => Self::failed(error),
            _ => Self::input(error),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::File(error) => error.into(),
            ReportError::Json(_) => Self::failed(error),
        }
    }
}

/// What goes on from `main` to every verb.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Becomes true at Ctrl-C.
    pub stop: &'static AtomicBool,
}

impl Context {
    /// Whether Ctrl-C was pressed.
    pub fn stopped(self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Goes on unless Ctrl-C was pressed.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn proceed(self) -> Result<(), Stopped> {
        match self.stopped() {
            false => Ok(()),
            true => Err(Stopped("stopped; nothing was written")),
        }
    }

    /// [`Context::proceed`] in work of which what is done is kept.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn proceed_or_resume(self) -> Result<(), Stopped> {
        self.proceed().map_err(|_| Stopped::resumable())
    }
}

/// Work was stopped by the user: what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub &'static str);

impl Stopped {
    /// What is done is kept.
    pub const fn resumable() -> Self {
        Self("stopped; the same command goes on from here")
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::interrupted(stopped)
    }
}

/// A bar on standard error that appears after a second; nothing where that is not a terminal.
#[derive(Debug)]
pub struct Steps {
    title: &'static str,
    begun: std::time::Instant,
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Steps {
    /// A bar called `title`; `quiet` keeps it away, as `--quiet` does.
    pub fn new(title: &'static str, quiet: bool) -> Self {
        Self {
            title,
            begun: std::time::Instant::now(),
            bar: None,
            quiet: quiet || is_quiet() || !io::stderr().is_terminal(),
        }
    }

    /// `done` of `total` steps.
    pub fn at(&mut self, done: usize, total: usize) {
        if self.quiet || (self.bar.is_none() && self.begun.elapsed().as_millis() < 700) {
            return;
        }
        let title = self.title;
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix} {bar:32} {pos}/{len}  {eta} left");
            let bar = ProgressBar::new(total as u64).with_prefix(title);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        bar.set_position(done as u64);
    }

    /// The bar goes.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The name among `known` that `name` was probably meant to be, where one is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

/// A seed for whoever gave none: six digits, easy to type again.
pub fn any_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let state = std::collections::hash_map::RandomState::new();
    state.build_hasher().finish() % 1_000_000
}

/// A number in a range, for clap: `nan` and infinities are refused.
///
/// # Errors
/// When `text` is not a number or out of range.
pub fn number_in(text: &str, low: f32, high: f32) -> Result<f32, String> {
    match text.trim().parse::<f32>() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(format!("give a number from {low} to {high}")),
    }
}

/// A whole number from 1 to `most`, for clap.
///
/// # Errors
/// When `text` is none.
pub fn whole(text: &str, most: usize) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("give a whole number from 1 to {most}")),
    }
}

/// A learning rate, for clap.
///
/// # Errors
/// When `text` is not a number above 0, at most 1.
pub fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1.0 => Ok(rate),
        _ => Err("give a number above 0, at most 1".into()),
    }
}

/// Whether a file can be written at `out`, asked before the work that it shall hold; none of the `inputs` is written over.
///
/// # Errors
/// Where its folder is absent, it is a folder itself, or an input.
pub fn check_out<'a>(
    out: &Path,
    inputs: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), Failure> {
    if out.is_dir() {
        return Err(FileError::IsFolder { path: out.into() }.into());
    }
    let folder = out.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() && !folder.is_dir() {
        let (path, folder) = (out.into(), folder.into());
        return Err(FileError::NoFolder { path, folder }.into());
    }
    let here = |path: &Path| std::fs::canonicalize(path).ok();
    let known = here(out);
    match known.is_some() && inputs.into_iter().any(|it| here(it) == known) {
        true => Err(Failure::input(format!(
            "`{}` is read here and would be lost: choose another `--out`",
            out.display()
        ))),
        false => Ok(()),
    }
}
