//! Generation parameters inside files: a text chunk of a PNG, a comment of a GIF, the EXIF description of a JPEG or WebP.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base::command::Failure;
use base::media::{self, MAX_BYTES, MAX_TEXT, MediaError};

/// Key of the text in a PNG; begins the comment or description elsewhere.
pub const KEY: &str = "orrery";
/// Begins a GIF's comment block.
const COMMENT: [u8; 2] = [0x21, 0xfe];

/// The note in the file at `path`.
///
/// # Errors
/// When the file cannot be read or carries none.
pub fn read(path: &Path) -> Result<String, Failure> {
    let found = match gif_note(path) {
        Some(note) => Some(note),
        None => match media::read_text(path, KEY) {
            Ok(text) => text,
            // A GIF without a comment of ours.
            Err(MediaError::Unsupported { .. }) if media::read_still(path).is_ok() => None,
            Err(error) => return Err(error.into()),
        },
    };
    found.ok_or_else(|| {
        Failure::input(format!(
            "`{}` does not say how it was made: use a picture or clip as `orrery create` wrote it",
            path.display()
        ))
    })
}

fn gif_note(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let mut rest = bytes.get(blocks(&bytes)?..)?.strip_prefix(&COMMENT)?;
    let mut text = Vec::new();
    while let Some((&length, after)) = rest.split_first() {
        if length == 0 {
            break;
        }
        text.extend_from_slice(after.get(..usize::from(length))?);
        if text.len() > MAX_TEXT {
            return None;
        }
        rest = &after[usize::from(length)..];
    }
    let text = String::from_utf8(text).ok()?;
    Some(text.strip_prefix(KEY)?.strip_prefix(' ')?.to_owned())
}

/// `gif` with `note` as its first comment.
pub fn with_gif_note(gif: Vec<u8>, note: &str) -> Vec<u8> {
    let Some(at) = blocks(&gif) else {
        return gif;
    };
    let mut out = gif[..at].to_vec();
    out.extend(COMMENT);
    for part in format!("{KEY} {note}").as_bytes().chunks(255) {
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
    out.push(0);
    out.extend_from_slice(&gif[at..]);
    out
}

/// Where the blocks of a GIF begin: after its header and global palette.
fn blocks(gif: &[u8]) -> Option<usize> {
    let flags = *gif.strip_prefix(b"GIF89a")?.get(4)?;
    let palette = match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let at = 13 + palette;
    (at <= gif.len()).then_some(at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::media::{Clip, Picture, decode_clip, gif_bytes};

    #[test]
    fn a_gif_with_a_note_is_the_same_gif() {
        let clip = Clip::new(vec![Picture::filled(4, 4, [9; 3]); 2], 100).unwrap();
        let gif = gif_bytes(&clip).unwrap();
        let long = "빨강 ".repeat(200);
        let noted = with_gif_note(gif.clone(), &long);
        assert_eq!(
            decode_clip(&noted, "a").unwrap(),
            decode_clip(&gif, "a").unwrap()
        );
        let file = std::env::temp_dir().join(format!("orrery-note-{}.gif", std::process::id()));
        std::fs::write(&file, &noted).unwrap();
        let back = read(&file);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(back.unwrap(), long);
    }
}
