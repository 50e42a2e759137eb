//! Texts inside PNG files: how a picture was made travels with it.

use std::io::Cursor;
use std::path::Path;

use super::error::MediaError;
use super::read::{MAX_BYTES, format_of, one_line, read_bytes};

/// The texts of a PNG as (key, text): Latin-1 ones, compressed ones, then UTF-8 ones, each in file order.
///
/// # Errors
/// As [`super::read_picture`]; [`MediaError::Unsupported`] for a picture that is no PNG.
pub fn read_texts(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, MediaError> {
    let path = path.as_ref();
    decode_texts(&read_bytes(path)?, path)
}

fn decode_texts(bytes: &[u8], path: &Path) -> Result<Vec<(String, String)>, MediaError> {
    if format_of(bytes, path)? != image::ImageFormat::Png {
        return Err(MediaError::Unsupported {
            path: path.into(),
            cause: "only PNG files carry texts".into(),
        });
    }
    let damaged = |cause: png::DecodingError| MediaError::Damaged {
        path: path.into(),
        cause: one_line(&cause.to_string()),
    };
    let bound = png::Limits {
        bytes: MAX_BYTES as usize,
    };
    let decoder = png::Decoder::new_with_limits(Cursor::new(bytes), bound);
    let mut reader = decoder.read_info().map_err(damaged)?;
    // Texts may also follow the pixels.
    reader.finish().map_err(damaged)?;
    let info = reader.info();
    let mut texts = Vec::new();
    for chunk in &info.uncompressed_latin1_text {
        texts.push((chunk.keyword.clone(), chunk.text.clone()));
    }
    for chunk in &info.compressed_latin1_text {
        texts.push((chunk.keyword.clone(), chunk.get_text().map_err(damaged)?));
    }
    for chunk in &info.utf8_text {
        texts.push((chunk.keyword.clone(), chunk.get_text().map_err(damaged)?));
    }
    Ok(texts)
}

/// PNG's rules: a key has 1 to 79 Latin-1 characters without control characters and outer or double spaces;
/// a text has no NUL.
pub(super) fn check_texts(texts: &[(String, String)]) -> Result<(), MediaError> {
    for (key, text) in texts {
        let refused = |cause: &str| {
            Err(MediaError::Text {
                key: one_line(key),
                cause: cause.into(),
            })
        };
        let latin = |c: char| matches!(c, ' '..='~' | '\u{a1}'..='\u{ff}');
        if !(1..=79).contains(&key.chars().count()) || !key.chars().all(latin) {
            return refused("give a key of 1 to 79 Latin characters");
        }
        if key.trim() != key || key.contains("  ") {
            return refused("give a key without outer or double spaces");
        }
        if text.contains('\0') {
            return refused("take the NUL character out of the text");
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media::{Picture, png_bytes};

    fn pair(key: &str, text: &str) -> (String, String) {
        (key.to_owned(), text.to_owned())
    }

    #[test]
    fn texts_of_any_script_come_back() {
        let texts = [
            pair("prompt", "웃는 고양이, 🐱 ありがとう\nسطر ثانٍ"),
            pair("seed", "7"),
            pair("empty", ""),
        ];
        let picture = Picture::filled(2, 2, [9; 3]);
        let bytes = png_bytes(&picture, &texts).unwrap();
        assert_eq!(decode_texts(&bytes, Path::new("a")).unwrap(), texts);
        assert!(decode_texts(&bytes[..60], Path::new("a")).is_err());
    }

    #[test]
    fn keys_and_texts_that_png_cannot_hold_are_refused() {
        let picture = Picture::filled(2, 2, [9; 3]);
        let long = "k".repeat(80);
        for (key, text) in [
            ("", "a"),
            ("키", "a"),
            (" a", "a"),
            (&long, "a"),
            ("a", "\0"),
        ] {
            let error = png_bytes(&picture, &[pair(key, text)]).unwrap_err();
            assert!(matches!(error, MediaError::Text { .. }));
        }
    }
}
