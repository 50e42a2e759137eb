//! How a picture or clip was made, inside its file: one way to write it, and one to read it.
//!
//! | format | where the provenance stands |
//! | --- | --- |
//! | PNG, animated PNG | a text chunk under its key |
//! | GIF | a comment, `KEY JSON` |
//! | JPEG, WebP | the EXIF description, `KEY JSON` in ASCII |
//!
//! It is JSON, so that it can be ASCII wherever a format wants that. Whoever writes is told in one line where a file cannot
//! hold its provenance; the picture is written all the same.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::clip::Clip;
use super::encode::{apng_bytes, gif_bytes, jpeg_bytes, png_bytes, webp_bytes};
use super::error::MediaError;
use super::exif;
use super::gif_comment::with_comment;
use super::image::Image;
use super::texts::{MAX_TEXT, read_text};
use super::write::{CLIP_EXTENSIONS, PICTURE_EXTENSIONS, known};
use crate::command::eprint_line;
use crate::files::write_bytes;

/// How something was made, under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    key: &'static str,
    json: String,
    others: Vec<(String, String)>,
}

/// A file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The file.
    pub bytes: Vec<u8>,
    /// Why it does not hold the provenance, in one line; none where it does.
    pub left_out: Option<String>,
}

impl Provenance {
    /// What `made` says, under `key`: 1 to 79 Latin letters.
    ///
    /// # Errors
    /// [`MediaError::Text`] where `made` is not a JSON object.
    pub fn new(key: &'static str, made: &impl Serialize) -> Result<Self, MediaError> {
        let refused = |cause: String| MediaError::Text {
            key: key.into(),
            cause,
        };
        let json = serde_json::to_string(made).map_err(|cause| refused(cause.to_string()))?;
        match json.starts_with('{') {
            true => Ok(Self {
                key,
                json,
                others: Vec::new(),
            }),
            false => Err(refused("give a JSON object".into())),
        }
    }

    /// With a text for other programs, which stands only where a format has texts with names: in PNG.
    pub fn and(mut self, key: &str, text: String) -> Self {
        self.others.push((key.to_owned(), text));
        self
    }

    /// The texts of a PNG.
    pub fn texts(&self) -> Vec<(String, String)> {
        let own = (self.key.to_owned(), self.json.clone());
        [own]
            .into_iter()
            .chain(self.others.iter().cloned())
            .collect()
    }

    /// `KEY JSON` in ASCII: JSON has escapes for all other characters.
    fn ascii(&self) -> String {
        let mut text = format!("{} ", self.key);
        for c in self.json.chars() {
            match c.is_ascii() {
                true => text.push(c),
                false => (c.encode_utf16(&mut [0; 2]).iter())
                    .for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
            }
        }
        text
    }

    fn png(
        &self,
        encode: impl Fn(&[(String, String)]) -> Result<Vec<u8>, MediaError>,
    ) -> Result<Encoded, MediaError> {
        match fits(self.json.len(), LONGEST_TEXT) {
            None => Ok(encode(&self.texts())?.into()),
            too_long => Ok(Encoded {
                bytes: encode(&[])?,
                left_out: too_long,
            }),
        }
    }

    fn gif(&self, bytes: Vec<u8>) -> Encoded {
        match fits(self.json.len(), LONGEST_TEXT) {
            None => with_comment(bytes, &format!("{} {}", self.key, self.json)).into(),
            too_long => Encoded {
                bytes,
                left_out: too_long,
            },
        }
    }

    fn exif(
        &self,
        encode: impl Fn(Option<&str>) -> Result<Vec<u8>, MediaError>,
    ) -> Result<Encoded, MediaError> {
        let text = self.ascii();
        let left_out = fits(text.len(), exif::LONGEST);
        let bytes = encode(Some(text.as_str()).filter(|_| left_out.is_none()))?;
        Ok(Encoded { bytes, left_out })
    }
}

impl Encoded {
    /// Warns on standard error where the file at `path` does not hold its provenance.
    pub fn warn(&self, path: &Path) {
        if let Some(why) = &self.left_out {
            eprint_line(&format!("warning: `{}`: {why}", path.display()));
        }
    }

    /// Writes the file, whole or not at all, and [warns](Self::warn).
    ///
    /// # Errors
    /// [`MediaError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), MediaError> {
        write_bytes(path, &self.bytes)?;
        self.warn(path);
        Ok(())
    }
}

/// Looks whether a picture can be written to `path`, before it is made.
///
/// # Errors
/// [`MediaError::UnknownExtension`].
pub fn check_ending(path: &Path) -> Result<(), MediaError> {
    known(path, &PICTURE_EXTENSIONS).map(drop)
}

/// Room for the header beside the longest text that is read back.
const LONGEST_TEXT: usize = MAX_TEXT - 1024;

/// Why provenance of `length` bytes is left out; none where it has room.
fn fits(length: usize, most: usize) -> Option<String> {
    (length > most).then(|| {
        format!(
            "how it was made takes {} KB, and this format holds {} KB of it: the file does not say it; PNG holds more",
            length.div_ceil(1000),
            most / 1000
        )
    })
}

impl From<Vec<u8>> for Encoded {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            left_out: None,
        }
    }
}

/// `picture` as the ending of `path` says (see [`PICTURE_EXTENSIONS`]), with `provenance`.
///
/// # Errors
/// As [`super::write_image`].
pub fn image_bytes(
    path: impl AsRef<Path>,
    picture: &Image,
    provenance: &Provenance,
) -> Result<Encoded, MediaError> {
    match known(path.as_ref(), &PICTURE_EXTENSIONS)? {
        "png" => provenance.png(|texts| png_bytes(picture, texts)),
        "gif" => Ok(provenance.gif(gif_bytes(&Clip::new(vec![picture.clone()], 100)?)?)),
        "webp" => provenance.exif(|text| webp_bytes(picture, text)),
        _ => provenance.exif(|text| jpeg_bytes(picture, text)),
    }
}

/// `clip` as the ending of `path` says (see [`CLIP_EXTENSIONS`]), with `provenance`.
///
/// # Errors
/// As [`super::write_clip`].
pub fn clip_bytes(
    path: impl AsRef<Path>,
    clip: &Clip,
    provenance: &Provenance,
) -> Result<Encoded, MediaError> {
    match known(path.as_ref(), &CLIP_EXTENSIONS)? {
        "gif" => Ok(provenance.gif(gif_bytes(clip)?)),
        _ => provenance.png(|texts| apng_bytes(clip, texts)),
    }
}

/// Reads what [`Provenance::new`] wrote under `key`; `by` is the command that writes such files.
///
/// # Errors
/// As [`super::read_image`]; [`MediaError::NoProvenance`], [`MediaError::BadProvenance`].
pub fn read<T: DeserializeOwned>(
    path: impl AsRef<Path>,
    key: &str,
    by: &str,
) -> Result<T, MediaError> {
    let path = path.as_ref();
    let text = read_text(path, key)?.ok_or_else(|| MediaError::NoProvenance {
        path: path.into(),
        by: by.to_owned(),
    })?;
    serde_json::from_str(&text).map_err(|cause| MediaError::BadProvenance {
        path: path.into(),
        cause: cause.to_string(),
        by: by.to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media::{read_clip, read_image};
    use serde_json::{Value, json};

    fn provenance(text: &str) -> Provenance {
        let provenance =
            Provenance::new("orrery test", &json!({"prompt": text, "seed": 7})).unwrap();
        provenance.and("parameters", text.to_owned())
    }

    #[test]
    fn every_format_says_how_it_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Image::filled(9, 5, [200, 40, 40]);
        let clip = Clip::new(vec![picture.clone(), Image::filled(9, 5, [0; 3])], 50).unwrap();
        let prompt = "웃는 \"고양이\"\n🐱";
        let check = |name: &str, encoded: Encoded| {
            let path = folder.path().join(name);
            assert_eq!(encoded.left_out, None);
            std::fs::write(&path, &encoded.bytes).unwrap();
            let made: Value = read(&path, "orrery test", "a test").unwrap();
            assert_eq!(made, json!({"prompt": prompt, "seed": 7}), "{name}");
            let other = read::<Value>(&path, "orrery", "`orrery create`").unwrap_err();
            let line = other.to_string();
            assert!(
                line.contains("give a file as `orrery create` wrote it"),
                "{line}"
            );
            path
        };
        for ending in PICTURE_EXTENSIONS {
            let name = format!("a.{ending}");
            let path = check(
                &name,
                image_bytes(&name, &picture, &provenance(prompt)).unwrap(),
            );
            assert_eq!(read_image(&path).unwrap().width, 9);
            let parameters = read_text(&path, "parameters").unwrap();
            assert_eq!(parameters.is_some(), ending == "png");
        }
        for ending in CLIP_EXTENSIONS {
            let name = format!("b.{ending}");
            let path = check(
                &name,
                clip_bytes(&name, &clip, &provenance(prompt)).unwrap(),
            );
            assert_eq!(read_clip(path).unwrap(), clip);
        }
    }

    #[test]
    fn a_format_without_room_says_so_and_holds_the_picture() {
        let picture = Image::filled(9, 5, [200, 40, 40]);
        let folder = tempfile::tempdir().unwrap();
        // As it stands it has room, in ASCII it has none.
        let long = "가".repeat(12_000);
        for (name, room) in [
            ("a.jpg", false),
            ("a.webp", false),
            ("a.png", true),
            ("a.gif", true),
        ] {
            let encoded = image_bytes(name, &picture, &provenance(&long)).unwrap();
            assert_eq!(encoded.left_out.is_none(), room, "{name}");
            let path = folder.path().join(name);
            std::fs::write(&path, &encoded.bytes).unwrap();
            assert_eq!(read_image(&path).unwrap().width, 9);
            let made = read::<Value>(&path, "orrery test", "a test");
            assert_eq!(made.is_ok(), room, "{name}");
        }
        let endless = provenance(&"x".repeat(MAX_TEXT));
        for name in ["a.png", "a.gif"] {
            let encoded = image_bytes(name, &picture, &endless).unwrap();
            assert!(encoded.left_out.is_some() && encoded.bytes.len() < 1000);
        }
    }

    #[test]
    fn provenance_that_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let picture = Image::filled(2, 2, [0; 3]);
        let bytes = jpeg_bytes(&picture, Some("orrery test {\"seed\"")).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let line = read::<Value>(&path, "orrery test", "a test").unwrap_err();
        assert!(matches!(line, MediaError::BadProvenance { .. }), "{line}");
    }
}
