//! Documents of JSON lines, one after the other, at bounded memory; what cannot be read is reported and left out.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};

use base::command::Stopped;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

use super::pieces::{Piece, is_gz};
use super::tally::Tally;
use crate::moxin::SystemError;

/// Longest line that is read, in bytes.
pub const LONGEST: u64 = 64 << 20;

/// A document.
#[derive(Debug)]
pub struct Document<'a> {
    /// Its line, without the line end.
    pub line: &'a str,
    /// Its text.
    pub text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

/// Calls `take` with each document of a piece. Lines that hold none are counted in `tally` by what is wrong with them.
///
/// # Errors
/// [`SystemError::Input`] where the file cannot be read or is UTF-16, [`SystemError::Stopped`], and what `take` says.
pub fn each(
    piece: &Piece,
    stop: &AtomicBool,
    tally: &mut Tally,
    take: &mut dyn FnMut(&mut Tally, Document<'_>) -> Result<(), SystemError>,
) -> Result<(), SystemError> {
    let failed = |error: io::Error| SystemError::path(&piece.input, error);
    let (from, end) = piece.range;
    let mut file = File::open(&piece.input).map_err(failed)?;
    let gz = is_gz(&piece.input);
    if from > 0 {
        file.seek(SeekFrom::Start(from - 1)).map_err(failed)?;
    }
    let file = BufReader::with_capacity(1 << 18, file);
    let mut reader: Box<dyn BufRead> = match gz {
        true => Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(file))),
        false => Box::new(file),
    };
    let mut at = from;
    let mut bytes = Vec::new();
    if from > 0 {
        // The line that the byte before belongs to is the piece's before.
        at = from - 1 + skip_line(reader.as_mut()).map_err(failed)?;
    }
    for number in 1u64.. {
        if end.is_some_and(|end| at >= end) {
            break;
        }
        if number.is_multiple_of(256) && stop.load(Ordering::Relaxed) {
            return Err(Stopped::resumable().into());
        }
        bytes.clear();
        let mut limited = reader.by_ref().take(LONGEST + 1);
        let read = match limited.read_until(b'\n', &mut bytes) {
            Ok(read) => read,
            Err(error) if gz => {
                tally.bad(
                    piece,
                    number,
                    "cut_off",
                    &format!("the compressed file is damaged ({error})"),
                );
                break;
            }
            Err(error) => return Err(failed(error)),
        };
        if read == 0 {
            break;
        }
        at += read as u64;
        if bytes.len() as u64 > LONGEST && bytes.last() != Some(&b'\n') {
            let rest = skip_line(reader.as_mut()).map_err(failed)?;
            at += rest;
            let megabytes = LONGEST >> 20;
            tally.bad(
                piece,
                number,
                "too_long",
                &format!("longer than {megabytes} MB"),
            );
            continue;
        }
        if from == 0
            && number == 1
            && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"))
        {
            return Err(SystemError::path(
                &piece.input,
                "it is UTF-16: save it as UTF-8",
            ));
        }
        let line = bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&bytes)
            .trim_ascii();
        if line.is_empty() {
            continue;
        }
        let Ok(line) = std::str::from_utf8(line) else {
            tally.bad(piece, number, "not_utf8", "not UTF-8");
            continue;
        };
        match serde_json::from_str::<Fields<'_>>(line) {
            Ok(Fields { text: Some(text) }) => {
                tally.documents += 1;
                tally.text_bytes += text.len() as u64;
                take(tally, Document { line, text })?;
            }
            Ok(Fields { text: None }) => tally.bad(piece, number, "no_text", "no `text`"),
            Err(error) if error.is_eof() && bytes.last() != Some(&b'\n') => {
                tally.bad(piece, number, "cut_off", "the line is cut off");
            }
            Err(_) => tally.bad(piece, number, "not_json", "no JSON object with a `text`"),
        }
    }
    Ok(())
}

/// Reads to the end of a line, at bounded memory; gives the bytes.
fn skip_line(reader: &mut dyn BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let held = reader.fill_buf()?;
        if held.is_empty() {
            return Ok(skipped);
        }
        let end = held.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(held.len(), |at| at + 1);
        reader.consume(used);
        skipped += used as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}
