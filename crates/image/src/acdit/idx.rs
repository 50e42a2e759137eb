//! The IDX files of MNIST and its kin, plain or gzipped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::data::DataError;

/// The largest file that is unpacked, in bytes.
const MOST: u64 = 1 << 30;

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

/// The path of a file of a set in `folder`, if it is there.
fn find(folder: &Path, half: Half, rest: &str) -> Option<PathBuf> {
    ["", ".gz"]
        .map(|ending| folder.join(format!("{}-{rest}{ending}", half.prefix())))
        .into_iter()
        .find(|path| path.is_file())
}

/// Whether `folder` holds such a set.
pub fn is_set(folder: &Path) -> bool {
    find(folder, Half::Train, "images-idx3-ubyte").is_some()
}

/// Reads one half of the set in `folder`: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` or the `t10k` ones, each
/// also with `.gz`.
///
/// # Errors
/// [`DataError`] where a file is absent, damaged or larger than 1 GiB, and where labels and pictures are not equally many.
pub fn read(folder: &Path, half: Half) -> Result<IdxSet, DataError> {
    let (sizes, pixels) = file(folder, half, "images-idx3-ubyte", 3)?;
    let (count, labels) = file(folder, half, "labels-idx1-ubyte", 1)?;
    if count[0] != sizes[0] {
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
fn file(
    folder: &Path,
    half: Half,
    rest: &str,
    axes: usize,
) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let path = find(folder, half, rest).ok_or_else(|| DataError::Set {
        path: folder.to_owned(),
        reason: format!(
            "`{}-{rest}` is not there, nor with `.gz`; take the whole set",
            half.prefix()
        ),
    })?;
    let damaged = |reason: String| DataError::Set {
        path: path.clone(),
        reason: format!("{reason}; download it again"),
    };
    let opened = File::open(&path).map_err(|source| DataError::Read {
        path: path.clone(),
        source,
    })?;
    let mut bytes = Vec::new();
    let packed = path.extension().is_some_and(|ending| ending == "gz");
    let read = match packed {
        true => GzDecoder::new(opened)
            .take(MOST + 1)
            .read_to_end(&mut bytes),
        false => opened.take(MOST + 1).read_to_end(&mut bytes),
    };
    read.map_err(|error| damaged(error.to_string()))?;
    if bytes.len() as u64 > MOST {
        return Err(damaged("it holds more than 1 GiB".into()));
    }
    parse(bytes, axes)
        .ok_or_else(|| damaged(format!("it is not an IDX file of bytes, {axes} axes")))
}

/// The header is two zero bytes, 8 for unsigned bytes, the number of axes, then their lengths.
fn parse(mut bytes: Vec<u8>, axes: usize) -> Option<(Vec<usize>, Vec<u8>)> {
    let start = 4 + 4 * axes;
    if bytes.get(..4)? != [0, 0, 8, axes as u8] {
        return None;
    }
    let sizes: Vec<usize> = bytes
        .get(4..start)?
        .chunks_exact(4)
        .map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize)
        .collect();
    let count = sizes
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(*size))?;
    if count == 0 || bytes.len() - start != count {
        return None;
    }
    bytes.drain(..start);
    Some((sizes, bytes))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_file_is_as_long_as_its_header_says() {
        let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3];
        let whole = [&header[..], &[7; 6]].concat();
        assert_eq!(parse(whole.clone(), 3), Some((vec![2, 1, 3], vec![7; 6])));
        assert_eq!(parse(whole.clone(), 1), None);
        assert_eq!(parse(whole[..20].to_vec(), 3), None);
        assert_eq!(parse(whole[..7].to_vec(), 3), None);
    }
}
