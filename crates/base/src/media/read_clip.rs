//! Clips from moving pictures, folders of frames and strips.

use std::cmp::Ordering;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, Frames, ImageDecoder, ImageError, ImageFormat};

use super::clip::Clip;
use super::error::MediaError;
use super::picture::Picture;
use super::read::{MAX_SIDE, decode_still, format_of, limits, read_bytes, read_picture, refuse};

/// The most frames that are read.
pub const MAX_FRAMES: usize = 1_000;
/// The most pixels that all frames of a clip have together: 2^28, which is 768 MiB of RGB.
pub const MAX_CLIP_PIXELS: u64 = 1 << 28;
/// Frames of a folder or a still picture say nothing about time: 8 a second.
const DEFAULT_DELAY_MS: u32 = 125;
/// What viewers use where a file says 10 ms or less.
const UNSAID_DELAY_MS: u32 = 100;

/// Reads a clip: a GIF, APNG or WebP, a folder of equally large frames in name order (`f2` before `f10`), or a
/// still picture as a clip of one frame. Frames that stand for different times get their mean.
///
/// # Errors
/// As [`read_picture`], and [`MediaError::TooLarge`] above [`MAX_FRAMES`] or [`MAX_CLIP_PIXELS`],
/// [`MediaError::NoFrames`] for a folder without pictures, [`MediaError::MixedSizes`].
pub fn read_clip(path: impl AsRef<Path>) -> Result<Clip, MediaError> {
    let path = path.as_ref();
    if path.is_dir() {
        return read_folder(path);
    }
    decode_clip(&read_bytes(path)?, path)
}

/// As [`read_clip`], from bytes that are already in memory; `path` is only named in errors.
///
/// # Errors
/// As [`read_clip`].
pub fn decode_clip(bytes: &[u8], path: impl AsRef<Path>) -> Result<Clip, MediaError> {
    let path = path.as_ref();
    let format = format_of(bytes, path)?;
    match frames_of(bytes, format).map_err(|cause| refuse(path, cause))? {
        Some(frames) => collect(frames, path),
        None => Clip::new(vec![decode_still(bytes, path)?.picture], DEFAULT_DELAY_MS),
    }
}

/// Takes a horizontal strip apart into `frames` equal pictures, 125 ms each.
///
/// # Errors
/// [`MediaError::Strip`] when `frames` is 0 or does not divide the width.
pub fn clip_from_strip(strip: &Picture, frames: usize) -> Result<Clip, MediaError> {
    let width = strip.width;
    let count = u32::try_from(frames).unwrap_or(0);
    if count == 0 || !width.is_multiple_of(count) {
        return Err(MediaError::Strip { width, frames });
    }
    let each = width / count;
    let frames = (0..count)
        .map(|i| strip.crop(i * each, 0, each, strip.height))
        .collect();
    Clip::new(frames, DEFAULT_DELAY_MS)
}

/// The frames of a moving picture, nothing for a still one.
fn frames_of(bytes: &[u8], format: ImageFormat) -> Result<Option<Frames<'_>>, ImageError> {
    let cursor = Cursor::new(bytes);
    Ok(match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(cursor)?;
            decoder.set_limits(limits())?;
            Some(decoder.into_frames())
        }
        ImageFormat::Png => {
            let mut decoder = PngDecoder::with_limits(cursor, limits())?;
            decoder.set_limits(limits())?;
            match decoder.is_apng()? {
                true => Some(decoder.apng()?.into_frames()),
                false => None,
            }
        }
        ImageFormat::WebP => {
            let mut decoder = WebPDecoder::new(cursor)?;
            decoder.set_limits(limits())?;
            decoder.has_animation().then(|| decoder.into_frames())
        }
        _ => None,
    })
}

fn collect(frames: Frames<'_>, path: &Path) -> Result<Clip, MediaError> {
    let mut pictures = Vec::new();
    let (mut pixels, mut total_ms) = (0, 0.0);
    for frame in frames {
        let frame = frame.map_err(|cause| refuse(path, cause))?;
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        total_ms += f64::from(numerator) / f64::from(denominator.max(1));
        let image = frame.into_buffer();
        let (width, height) = image.dimensions();
        admit(pictures.len(), &mut pixels, width, height, path)?;
        pictures.push(Picture::on_white(width, height, image.as_raw())?);
    }
    if pictures.is_empty() {
        return Err(MediaError::Damaged {
            path: path.into(),
            cause: "it holds no frame".into(),
        });
    }
    let mean = (total_ms / pictures.len() as f64).round() as u32;
    let delay_ms = if mean <= 10 { UNSAID_DELAY_MS } else { mean };
    Clip::new(pictures, delay_ms)
}

/// Counts one more frame in, or says which bound it passes.
fn admit(
    frames: usize,
    pixels: &mut u64,
    width: u32,
    height: u32,
    path: &Path,
) -> Result<(), MediaError> {
    *pixels += u64::from(width) * u64::from(height);
    let cause = if frames >= MAX_FRAMES {
        format!("more than {MAX_FRAMES} frames")
    } else if *pixels > MAX_CLIP_PIXELS {
        format!("more than {MAX_CLIP_PIXELS} pixels in all frames together")
    } else if width.max(height) > MAX_SIDE {
        format!("at most {MAX_SIDE}x{MAX_SIDE} pixels are read")
    } else {
        return Ok(());
    };
    Err(MediaError::TooLarge {
        path: path.into(),
        cause,
    })
}

fn read_folder(folder: &Path) -> Result<Clip, MediaError> {
    let unreadable = |source| MediaError::Unreadable {
        path: folder.into(),
        source,
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if is_frame(&path) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(MediaError::NoFrames {
            path: folder.into(),
        });
    }
    let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
    paths.sort_by(|a, b| in_name_order(&name(a).to_string_lossy(), &name(b).to_string_lossy()));
    let (mut frames, mut pixels) = (Vec::new(), 0);
    for path in paths {
        // Bounds on the count come before the work of decoding.
        admit(frames.len(), &mut pixels, 0, 0, folder)?;
        let frame = read_picture(&path)?;
        admit(frames.len(), &mut pixels, frame.width, frame.height, folder)?;
        frames.push(frame);
    }
    Clip::new(frames, DEFAULT_DELAY_MS)
}

fn is_frame(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    !hidden
        && ["png", "jpg", "jpeg", "webp"]
            .iter()
            .any(|known| ending == *known)
}

/// Names in the order people count: runs of digits by value, the rest by character.
fn in_name_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (number_a, rest_a) = leading_number(left);
        let (number_b, rest_b) = leading_number(right);
        if !number_a.is_empty() && !number_b.is_empty() {
            let value = |digits: &str| digits.trim_start_matches('0').to_owned();
            let (x, y) = (value(number_a), value(number_b));
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(&y));
            if order != Ordering::Equal {
                return order;
            }
            (left, right) = (rest_a, rest_b);
            continue;
        }
        let (mut chars_a, mut chars_b) = (left.chars(), right.chars());
        match (chars_a.next(), chars_b.next()) {
            (None, None) => return a.cmp(b),
            (x, y) if x != y => return x.cmp(&y),
            _ => (left, right) = (chars_a.as_str(), chars_b.as_str()),
        }
    }
}

fn leading_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media::{apng_bytes, gif_bytes, png_bytes};

    fn clip(frames: u8) -> Clip {
        let picture = |i| Picture::filled(6, 4, [i, 255 - i, 10]);
        Clip::new((0..frames).map(|i| picture(i * 20)).collect(), 120).unwrap()
    }

    #[test]
    fn moving_pictures_come_back_frame_by_frame() {
        let clip = clip(5);
        for bytes in [gif_bytes(&clip).unwrap(), apng_bytes(&clip, &[]).unwrap()] {
            assert_eq!(decode_clip(&bytes, "a").unwrap(), clip);
            let still = decode_still(&bytes, "a").unwrap();
            assert!(still.animated);
            assert_eq!(still.picture, clip.frames[0]);
            assert!(decode_clip(&bytes[..bytes.len() / 2], "a").is_err());
        }
        let still = png_bytes(&clip.frames[1], &[]).unwrap();
        assert!(!decode_still(&still, "a").unwrap().animated);
        assert_eq!(decode_clip(&still, "a").unwrap().frames, clip.frames[1..2]);
    }

    #[test]
    fn a_strip_comes_apart_and_together() {
        let clip = clip(4);
        let strip = clip.strip();
        assert_eq!(clip_from_strip(&strip, 4).unwrap().frames, clip.frames);
        assert!(clip_from_strip(&strip, 5).is_err());
        assert!(clip_from_strip(&strip, 0).is_err());
    }

    #[test]
    fn a_folder_is_read_in_name_order() {
        let folder = tempfile::tempdir().unwrap();
        let none = read_clip(folder.path()).unwrap_err();
        assert!(matches!(none, MediaError::NoFrames { .. }));
        let clip = clip(12);
        for (i, frame) in clip.frames.iter().enumerate() {
            let path = folder.path().join(format!("f{i}.png"));
            fs::write(path, png_bytes(frame, &[]).unwrap()).unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "no frame").unwrap();
        assert_eq!(read_clip(folder.path()).unwrap().frames, clip.frames);
        let odd = png_bytes(&Picture::filled(7, 4, [0; 3]), &[]).unwrap();
        fs::write(folder.path().join("g.png"), odd).unwrap();
        let mixed = read_clip(folder.path()).unwrap_err();
        assert!(matches!(mixed, MediaError::MixedSizes { index: 12, .. }));
    }

    #[test]
    fn too_many_frames_are_refused() {
        let frames = vec![Picture::filled(1, 1, [0; 3]); MAX_FRAMES + 1];
        let bytes = gif_bytes(&Clip {
            frames,
            delay_ms: 50,
        })
        .unwrap();
        let error = decode_clip(&bytes, "a.gif").unwrap_err();
        assert!(matches!(error, MediaError::TooLarge { .. }), "{error}");
    }
}
