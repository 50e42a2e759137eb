//! Sets of pictures in the IDX files of MNIST and its kin.

use std::path::{Path, PathBuf};

use base::files::idx::{self, IdxError};

use super::data::DataError;

/// Grey pictures of one size with their labels.
#[derive(Clone, Debug)]
pub struct IdxSet {
    /// Height and width.
    pub size: [usize; 2],
    /// Pictures, one after the other, row by row.
    pub pixels: Vec<u8>,
    /// A label each.
    pub labels: Vec<u8>,
}

/// Which half of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// What a model learns from.
    Train,
    /// What it never sees.
    Test,
}

impl Half {
    fn prefix(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "t10k",
        }
    }
}

fn name(half: Half, kind: &str) -> String {
    format!("{}-{kind}-ubyte", half.prefix())
}

/// Whether `folder` holds such a set.
pub fn is_set(folder: &Path) -> bool {
    idx::find(folder, &name(Half::Train, "images-idx3")).is_some()
}

/// Reads one half of the set in `folder`: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` or the `t10k` ones, each
/// also with `.gz`.
///
/// # Errors
/// [`DataError`] where a file is absent, damaged or larger than 1 GiB, and where labels and pictures are not equally many.
pub fn read(folder: &Path, half: Half) -> Result<IdxSet, DataError> {
    let (sizes, pixels) = file::<3>(folder, &name(half, "images-idx3"))?;
    let (count, labels) = file::<1>(folder, &name(half, "labels-idx1"))?;
    if count[0] != sizes[0] || pixels.is_empty() {
        return Err(DataError::Set {
            path: folder.to_owned(),
            reason: format!("it has {} pictures and {} labels", sizes[0], count[0]),
        });
    }
    Ok(IdxSet {
        size: [sizes[1], sizes[2]],
        pixels,
        labels,
    })
}

/// Sizes and bytes of one file.
fn file<const N: usize>(folder: &Path, name: &str) -> Result<([usize; N], Vec<u8>), DataError> {
    let path: PathBuf = idx::find(folder, name).ok_or_else(|| DataError::Set {
        path: folder.to_owned(),
        reason: format!("`{name}` is not there, nor with `.gz`; take the whole set"),
    })?;
    idx::read(&path).map_err(|error| match error {
        IdxError::Read(source) => DataError::Read { path, source },
        IdxError::Damaged(reason) => DataError::Set {
            path,
            reason: format!("{reason}; download it again"),
        },
    })
}
