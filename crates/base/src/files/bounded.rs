//! Reading files whole that others named: no more of them than fits.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most that is read of a file, in bytes: 1 GiB.
pub const LARGEST: u64 = 1 << 30;

/// [`std::fs::read`] of at most [`LARGEST`] bytes: a file may be a device without end.
///
/// # Errors
/// As of [`std::fs::read`]; [`io::ErrorKind::FileTooLarge`].
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_up_to(path.as_ref(), LARGEST)
}

/// [`std::fs::read_to_string`] of at most [`LARGEST`] bytes.
///
/// # Errors
/// As of [`std::fs::read_to_string`]; [`io::ErrorKind::FileTooLarge`].
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = read_up_to(path.as_ref(), LARGEST)?;
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let large = || {
        let line = format!("it is larger than {} MB, the most that is read", most >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, line)
    };
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(large());
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(large()),
        false => Ok(bytes),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "abc");
        assert_eq!(read_up_to(&path, 3).unwrap(), b"abc");
        let kind = |found: io::Result<Vec<u8>>| found.unwrap_err().kind();
        assert_eq!(kind(read_up_to(&path, 2)), io::ErrorKind::FileTooLarge);
        assert_eq!(kind(read(folder.path().join("b"))), io::ErrorKind::NotFound);
        File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(kind(read(&path)), io::ErrorKind::FileTooLarge);
        #[cfg(target_os = "linux")]
        assert_eq!(
            kind(read_up_to(Path::new("/dev/zero"), 1 << 20)),
            io::ErrorKind::FileTooLarge
        );
    }
}
