//! The IDX files of MNIST and its kin, plain or gzipped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// The largest file that is unpacked, in bytes.
const MOST: u64 = 1 << 30;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum IdxError {
    /// The system refuses.
    #[error(transparent)]
    Read(std::io::Error),
    /// It is damaged, too large, or of another kind.
    #[error("{0}")]
    Damaged(String),
}

/// `NAME` or `NAME.gz` in a folder.
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let paths = [folder.join(name), folder.join(format!("{name}.gz"))];
    paths.into_iter().find(|path| path.is_file())
}

/// Sizes and values of a file of bytes with `N` axes.
///
/// # Errors
/// [`IdxError`], also above 1 GiB.
pub fn read<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>), IdxError> {
    let file = File::open(path).map_err(IdxError::Read)?;
    let mut bytes = Vec::new();
    match path.extension().is_some_and(|ending| ending == "gz") {
        true => GzDecoder::new(file).take(MOST + 1).read_to_end(&mut bytes),
        false => file.take(MOST + 1).read_to_end(&mut bytes),
    }
    .map_err(|error| IdxError::Damaged(error.to_string()))?;
    match bytes.len() as u64 > MOST {
        true => Err(IdxError::Damaged("it holds more than 1 GiB".into())),
        false => parse(bytes).map_err(IdxError::Damaged),
    }
}

/// The header is two zero bytes, 8 for unsigned bytes, the number of axes, then their lengths.
fn parse<const N: usize>(mut bytes: Vec<u8>) -> Result<([usize; N], Vec<u8>), String> {
    let start = 4 + 4 * N;
    if bytes.len() < start || bytes[..4] != [0, 0, 8, N as u8] {
        return Err(format!("it does not begin as bytes with {N} axes do"));
    }
    let sizes: [usize; N] = std::array::from_fn(|axis| {
        let four = [0, 1, 2, 3].map(|byte| bytes[4 + 4 * axis + byte]);
        u32::from_be_bytes(four) as usize
    });
    let count = sizes
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(*size));
    let held = bytes.len() - start;
    if count != Some(held) {
        return Err(format!("sizes {sizes:?} do not fit {held} bytes"));
    }
    bytes.drain(..start);
    Ok((sizes, bytes))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_file_is_as_long_as_its_header_says() {
        let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3];
        let whole = [&header[..], &[7; 6]].concat();
        assert_eq!(parse::<3>(whole.clone()), Ok(([2, 1, 3], vec![7; 6])));
        assert!(parse::<1>(whole.clone()).is_err());
        assert!(parse::<3>(whole[..20].to_vec()).is_err());
        assert!(parse::<3>(whole[..7].to_vec()).is_err());
    }
}
