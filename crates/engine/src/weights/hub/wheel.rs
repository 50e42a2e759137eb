//! Files inside a wheel, which is a zip archive.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::read::DeflateDecoder;

/// Writes the file `name` of the archive to `out`, `limit` bytes at most.
pub(super) fn extract(
    archive: &mut File,
    name: &str,
    limit: u64,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (method, packed, offset) = find(archive, name)?;
    archive.seek(SeekFrom::Start(offset))?;
    let head: [u8; 30] = read(archive)?;
    if number(&head, 0, 4) != 0x0403_4b50 {
        return Err(broken("no file where the list has one"));
    }
    let skip = number(&head, 26, 2) + number(&head, 28, 2);
    archive.seek(SeekFrom::Current(skip as i64))?;
    let packed = archive.take(packed);
    let written = match method {
        0 => io::copy(&mut packed.take(limit + 1), out)?,
        8 => io::copy(&mut DeflateDecoder::new(packed).take(limit + 1), out)?,
        _ => return Err(broken("a compression other than deflate")),
    };
    match written > limit {
        true => Err(broken("a longer file than was expected")),
        false => Ok(()),
    }
}

/// Compression, packed length and place of the file `name`, from the list at the end of the archive.
fn find(archive: &mut File, name: &str) -> io::Result<(u64, u64, u64)> {
    let length = archive.metadata()?.len();
    // The end record has 22 bytes and a remark of up to 65,535.
    let tail = length.min(22 + 65_535);
    archive.seek(SeekFrom::Start(length - tail))?;
    let mut end = Vec::new();
    archive.take(tail).read_to_end(&mut end)?;
    let at = (0..end.len().saturating_sub(21))
        .rev()
        .find(|&at| end[at..].starts_with(b"PK\x05\x06"));
    let at = at.ok_or_else(|| broken("no end record"))?;
    let (size, start) = (number(&end, at + 12, 4), number(&end, at + 16, 4));
    archive.seek(SeekFrom::Start(start))?;
    let mut list = Vec::new();
    archive.take(size).read_to_end(&mut list)?;
    let mut at = 0;
    while list
        .get(at..at + 46)
        .is_some_and(|entry| entry.starts_with(b"PK\x01\x02"))
    {
        let [name_length, extra, remark] =
            [28, 30, 32].map(|field| number(&list, at + field, 2) as usize);
        if list.get(at + 46..at + 46 + name_length) == Some(name.as_bytes()) {
            return Ok((
                number(&list, at + 10, 2),
                number(&list, at + 20, 4),
                number(&list, at + 42, 4),
            ));
        }
        at += 46 + name_length + extra + remark;
    }
    Err(broken(&format!("no file `{name}`")))
}

/// The little-endian number of `size` bytes at `at`; 0 past the end.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let bytes = bytes.get(at..at + size).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn read<const N: usize>(file: &mut File) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the wheel has {what}"))
}
