//! Pictures and clips into files, by the ending of the name, all or nothing.

use std::path::Path;

use super::clip::Clip;
use super::encode::{apng_bytes, gif_bytes, jpeg_bytes, png_bytes, webp_bytes};
use super::error::MediaError;
use super::image::Image;
use crate::files::write_bytes;

/// Endings that [`write_image`] knows.
pub const PICTURE_EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "gif"];
/// Endings that [`write_clip`] knows.
pub const CLIP_EXTENSIONS: [&str; 3] = ["gif", "png", "apng"];

/// Writes `picture` as its ending says: PNG with `texts`, JPEG (quality 95), lossless WebP or a GIF of one frame.
/// Only PNG carries texts here; [`super::provenance`] writes how a picture was made into every format.
///
/// # Errors
/// [`MediaError::UnknownExtension`] with the known ones, [`MediaError::Text`], [`MediaError::Encode`],
/// [`MediaError::Write`]. Nothing half-written is left.
pub fn write_image(
    path: impl AsRef<Path>,
    picture: &Image,
    texts: &[(String, String)],
) -> Result<(), MediaError> {
    let path = path.as_ref();
    let bytes = match known(path, &PICTURE_EXTENSIONS)? {
        "png" => png_bytes(picture, texts)?,
        "webp" => webp_bytes(picture, None)?,
        "gif" => gif_bytes(&Clip::new(vec![picture.clone()], 100)?)?,
        _ => jpeg_bytes(picture, None)?,
    };
    Ok(write_bytes(path, &bytes)?)
}

/// Writes `clip` as its ending says: GIF, or an animated PNG with `texts`. Both loop for ever.
///
/// # Errors
/// As [`write_image`], and [`MediaError::MixedSizes`].
pub fn write_clip(
    path: impl AsRef<Path>,
    clip: &Clip,
    texts: &[(String, String)],
) -> Result<(), MediaError> {
    let path = path.as_ref();
    let bytes = match known(path, &CLIP_EXTENSIONS)? {
        "gif" => gif_bytes(clip)?,
        _ => apng_bytes(clip, texts)?,
    };
    Ok(write_bytes(path, &bytes)?)
}

/// Which of the `known` endings the path has, whatever its case.
pub(super) fn known<'a>(path: &Path, known: &[&'a str]) -> Result<&'a str, MediaError> {
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let unknown = || MediaError::UnknownExtension {
        path: path.into(),
        known: known
            .iter()
            .map(|ending| format!("`.{ending}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    known
        .iter()
        .find(|one| **one == ending)
        .copied()
        .ok_or_else(unknown)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media::{read_clip, read_image, read_text};

    #[test]
    fn every_known_ending_writes_what_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Image::filled(9, 5, [200, 40, 40]);
        let texts = [("prompt".to_owned(), "빨간색".to_owned())];
        for ending in PICTURE_EXTENSIONS {
            let path = folder.path().join(format!("a.{}", ending.to_uppercase()));
            write_image(&path, &picture, &texts).unwrap();
            let back = read_image(&path).unwrap();
            assert_eq!((back.width, back.height), (9, 5));
            let text = read_text(&path, "prompt").ok().flatten();
            assert_eq!(text, (ending == "png").then(|| texts[0].1.clone()));
        }
        let clip = Clip::new(vec![picture.clone(), Image::filled(9, 5, [0; 3])], 50).unwrap();
        for ending in CLIP_EXTENSIONS {
            let path = folder.path().join(format!("b.{ending}"));
            write_clip(&path, &clip, &texts).unwrap();
            assert_eq!(read_clip(&path).unwrap(), clip);
        }
    }

    #[test]
    fn an_unknown_ending_lists_the_known() {
        let picture = Image::filled(1, 1, [0; 3]);
        for name in ["a.bmp", "a", ".png"] {
            let line = write_image(name, &picture, &[]).unwrap_err().to_string();
            assert!(line.contains("`.png`, `.jpg`"), "{line}");
        }
    }
}
