//! What can go wrong between a checkpoint and a module.

use std::fmt;
use std::path::PathBuf;

use crate::files::FileError;

/// How many keys of one kind an error lists before it says "and N more".
const LISTED: usize = 10;

/// Why weights could not be read, matched to a module, or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be opened or mapped.
    #[error("cannot read `{path}`: {source}; check that the file exists and is readable")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bytes are not a whole safetensors file.
    #[error("`{origin}` is not a whole safetensors file: {reason}; download or copy it again")]
    Corrupt {
        /// The file, or the label of embedded bytes.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A torch checkpoint that cannot be read.
    #[error("`{origin}` cannot be read as a torch checkpoint: {reason}")]
    Torch {
        /// The file.
        origin: String,
        /// What is wrong with it, and the fix.
        reason: String,
    },
    /// The bytes are not a whole GGUF file.
    #[error("`{origin}` is not a whole GGUF file: {reason}; download or copy it again")]
    Gguf {
        /// The file.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no tensor of that name.
    #[error("`{origin}` has no tensor `{name}`{hint}")]
    Absent {
        /// The file.
        origin: String,
        /// The name that was asked for.
        name: String,
        /// `; did you mean ...?`, or empty.
        hint: String,
    },
    /// The tensor's element type cannot be read as what was asked for.
    #[error(
        "`{name}` in `{origin}` holds {found}, which cannot be read as {wanted}; convert the checkpoint first"
    )]
    Type {
        /// The file.
        origin: String,
        /// The tensor.
        name: String,
        /// Its element type.
        found: String,
        /// What was wanted.
        wanted: &'static str,
    },
    /// The tensor does not have as many axes as was asked for.
    #[error("`{name}` in `{origin}` has shape {shape:?}, which is not of rank {rank}")]
    Rank {
        /// The file.
        origin: String,
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The rank that was asked for.
        rank: usize,
    },
    /// The file is whole, but not what it is used for.
    #[error("`{origin}` cannot be used: {reason}")]
    Unfit {
        /// The file, or the label of embedded bytes.
        origin: String,
        /// Why not, and the fix.
        reason: String,
    },
    /// File and module disagree.
    #[error("{0}")]
    Mismatch(Box<Mismatch>),
    /// A value of a module cannot be read back from its device.
    #[error("cannot read the values of `{name}` from its device: {reason}")]
    Device {
        /// The parameter.
        name: String,
        /// What the back-end says.
        reason: String,
    },
    /// A finite value would become infinite in the precision asked for.
    #[error("`{name}` holds {value:e}, too large for {precision}; save as BF16 or F32")]
    Overflow {
        /// The parameter.
        name: String,
        /// The value.
        value: f32,
        /// The precision asked for.
        precision: &'static str,
    },
    /// Shape and number of values disagree, a name is written twice, or an integer does not fit the device.
    #[error("cannot use `{name}`: {reason}")]
    Content {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

impl WeightsError {
    /// A file of another kind, such as `a PNG picture`.
    pub(super) fn foreign(origin: &str, kind: &str) -> Self {
        Self::Unfit {
            origin: origin.to_owned(),
            reason: format!("it is {kind}, not a safetensors file: give the file of weights"),
        }
    }
}

/// Every key on which a file and a module disagree.
#[derive(Debug, Default)]
pub struct Mismatch {
    /// The file.
    pub origin: String,
    /// In the module, not in the file: (file name, shape expected).
    pub missing: Vec<(String, Vec<usize>)>,
    /// In the file, not in the module: (file name, shape found).
    pub extra: Vec<(String, Vec<usize>)>,
    /// In both with different shapes: (file name, found, expected).
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Mismatch {
    /// Whether file and module agree on everything.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` does not fit this model", self.origin)?;
        list(f, "missing", &self.missing, |(name, shape)| {
            format!("`{name}` (expected {shape:?})")
        })?;
        list(f, "extra", &self.extra, |(name, shape)| {
            format!("`{name}` (found {shape:?})")
        })?;
        list(
            f,
            "wrong shape",
            &self.misshapen,
            |(name, found, expected)| format!("`{name}` (found {found:?}, expected {expected:?})"),
        )?;
        f.write_str(
            "; use the checkpoint that belongs to this config, or the config that belongs to this checkpoint",
        )
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: &[T],
    show: impl Fn(&T) -> String,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = items.iter().take(LISTED).map(show).collect();
    write!(f, "; {} {title}: {}", items.len(), shown.join(", "))?;
    match items.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}
