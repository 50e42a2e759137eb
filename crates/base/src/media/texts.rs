//! Texts inside picture files: how a picture was made travels with it.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{jpeg::JpegDecoder, webp::WebPDecoder};
use image::{ImageDecoder, ImageFormat};

use super::error::MediaError;
use super::read::{format_of, one_line, read_bytes, refuse};
use super::{exif, gif_comment, png_chunks};

/// The longest text that is unpacked, in bytes: 1 MiB.
pub const MAX_TEXT: usize = 1 << 20;

/// The text called `key` in a file: a PNG's text chunk of that name; elsewhere the JSON object behind the key in a GIF's comment
/// or in the EXIF description. None where there is no such text. Other texts are not unpacked.
///
/// # Errors
/// As [`super::read_image`]; [`MediaError::TooLarge`] above [`MAX_TEXT`].
pub fn read_text(path: impl AsRef<Path>, key: &str) -> Result<Option<String>, MediaError> {
    let path = path.as_ref();
    decode_text(&read_bytes(path)?, path, key)
}

fn decode_text(bytes: &[u8], path: &Path, key: &str) -> Result<Option<String>, MediaError> {
    let exif = match format_of(bytes, path)? {
        ImageFormat::Png => return png_text(bytes, path, key),
        ImageFormat::Jpeg => {
            JpegDecoder::new(Cursor::new(bytes)).and_then(|mut file| file.exif_metadata())
        }
        ImageFormat::WebP => {
            WebPDecoder::new(Cursor::new(bytes)).and_then(|mut file| file.exif_metadata())
        }
        _ => {
            let found = gif_comment::comment(bytes, key, MAX_TEXT).transpose();
            return found.map_err(|_| too_large(path));
        }
    };
    let exif = exif.map_err(|cause| refuse(path, cause))?;
    let description = exif.and_then(|block| exif::description(&block));
    Ok(description.and_then(|text| {
        // Another key may begin with this one.
        let rest = text.strip_prefix(key)?.strip_prefix(' ')?;
        rest.starts_with('{').then(|| rest.to_owned())
    }))
}

fn too_large(path: &Path) -> MediaError {
    MediaError::TooLarge {
        path: path.into(),
        cause: format!("at most {} KiB of text are read", MAX_TEXT >> 10),
    }
}

fn png_text(bytes: &[u8], path: &Path, key: &str) -> Result<Option<String>, MediaError> {
    let damaged = |cause: String| MediaError::Damaged {
        path: path.into(),
        cause: one_line(&cause),
    };
    let too_large = || too_large(path);
    let Some(small) = png_chunks::text_only(bytes, key).map_err(damaged)? else {
        return Ok(None);
    };
    if small.len() > MAX_TEXT {
        return Err(too_large());
    }
    let decoder = png::Decoder::new(Cursor::new(&small));
    let reader = decoder
        .read_info()
        .map_err(|cause| damaged(cause.to_string()))?;
    let info = reader.info();
    if let Some(chunk) = info.uncompressed_latin1_text.first() {
        return Ok(Some(chunk.text.clone()));
    }
    let text = if let Some(chunk) = info.compressed_latin1_text.first() {
        let mut chunk = chunk.clone();
        let unpacked = chunk.decompress_text_with_limit(MAX_TEXT);
        unpacked.and_then(|()| chunk.get_text())
    } else if let Some(chunk) = info.utf8_text.first() {
        let mut chunk = chunk.clone();
        let unpacked = chunk.decompress_text_with_limit(MAX_TEXT);
        unpacked.and_then(|()| chunk.get_text())
    } else {
        return Err(damaged(format!("its text `{key}` cannot be read")));
    };
    match text {
        Ok(text) => Ok(Some(text)),
        // The decoder has no kind for this, only words.
        Err(cause) if cause.to_string().contains("space") => Err(too_large()),
        Err(cause) => Err(damaged(cause.to_string())),
    }
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
    use crate::media::{Image, png_bytes};

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
        let picture = Image::filled(2, 2, [9; 3]);
        let bytes = png_bytes(&picture, &texts).unwrap();
        let read = |bytes: &[u8], key: &str| decode_text(bytes, Path::new("a"), key);
        for (key, text) in &texts {
            assert_eq!(read(&bytes, key).unwrap().as_ref(), Some(text));
        }
        assert_eq!(read(&bytes, "pro").unwrap(), None);
        assert!(read(&bytes[..60], "prompt").is_err());
    }

    /// A chunk of `name` with `content`, and its checksum.
    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let body = [&name[..], content].concat();
        let crc = !body.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| {
                (c >> 1) ^ (0xEDB8_8320 & (c & 1).wrapping_neg())
            })
        });
        [
            &(content.len() as u32).to_be_bytes()[..],
            &body,
            &crc.to_be_bytes(),
        ]
        .concat()
    }

    /// `size` zeros, packed: stored blocks would do as well, but would not be small.
    fn packed_zeros(size: usize) -> Vec<u8> {
        use std::io::Write;
        let mut packed = Vec::new();
        // A PNG of one long grey row is zeros behind a filter byte; its pixel chunk is a whole zlib stream.
        let mut encoder = png::Encoder::new(&mut packed, size as u32, 1);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        let mut stream = writer.stream_writer().unwrap();
        stream.write_all(&vec![0; size]).unwrap();
        stream.finish().unwrap();
        drop(writer);
        let mut stream = Vec::new();
        let mut rest = &packed[8..];
        while rest.len() > 12 {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            if &rest[4..8] == b"IDAT" {
                stream.extend_from_slice(&rest[8..8 + length]);
            }
            rest = &rest[12 + length..];
        }
        stream
    }

    #[test]
    fn texts_that_unpack_to_much_are_left_packed() {
        let picture = Image::filled(2, 2, [9; 3]);
        let plain = png_bytes(&picture, &[pair("orrery", "here")]).unwrap();
        let bomb = packed_zeros(64 << 20);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        let with = |key: &str, name: &[u8; 4], between: &[u8]| {
            let content = [key.as_bytes(), between, &bomb].concat();
            [&plain[..33], &chunk(name, &content), &plain[33..]].concat()
        };
        for (name, between) in [(b"zTXt", &b"\0\0"[..]), (b"iTXt", b"\0\x01\0\0\0")] {
            let other = with("Comment", name, between);
            let text = decode_text(&other, Path::new("a"), "orrery").unwrap();
            assert_eq!(text.as_deref(), Some("here"));
            let own = decode_text(&with("orrery", name, between), Path::new("a"), "orrery");
            assert!(matches!(own, Err(MediaError::TooLarge { .. })), "{own:?}");
        }
        let profile = with("icc", b"iCCP", b"\0\0");
        let still = crate::media::decode_still(&profile, "a").unwrap();
        assert_eq!(still.picture, picture);
    }

    #[test]
    fn keys_and_texts_that_png_cannot_hold_are_refused() {
        let picture = Image::filled(2, 2, [9; 3]);
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
