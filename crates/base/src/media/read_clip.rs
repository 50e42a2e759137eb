//! Clips from moving pictures, folders of frames and strips.

use std::cmp::Ordering;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::{gif::GifDecoder, png::PngDecoder};
use image::{AnimationDecoder, Frames, ImageDecoder, ImageError, ImageFormat};

use super::clip::Clip;
use super::error::MediaError;
use super::image::Image;
use super::read::{
    MAX_CANVAS, MAX_SIDE, decode_still, essential, format_of, limits, read_bytes, read_image,
    refuse,
};
use super::webp_frames::{self, WebpFrames};

/// The most frames that are read.
pub const MAX_FRAMES: usize = 1_000;
/// The most pixels that all frames of a clip have together: 2^26, which is 192 MiB of RGB.
pub const MAX_CLIP_PIXELS: u64 = 1 << 26;
/// What a moving picture may take in memory with all its frames, in bytes.
const MAX_CLIP_BYTES: u64 = 275 << 20;
/// Bytes for each pixel of a frame that decoders take beside the frames that are kept: canvas, frame, what it covers, and what
/// is handed out, each of RGBA, and some room.
const DECODER_BYTES: u64 = 20;
/// What one decoder of moving pictures may allocate, in bytes: three canvases of RGBA.
const MAX_FRAME_BYTES: u64 = 12 * MAX_CANVAS;
/// Frames of a folder or a still picture say nothing about time: 8 a second.
const DEFAULT_DELAY_MS: u32 = 125;
/// What viewers use where a file says 10 ms or less.
const UNSAID_DELAY_MS: u32 = 100;

/// Reads a clip: a GIF, APNG or WebP, a folder of equally large frames in name order (`f2` before `f10`), or a
/// still picture as a clip of one frame. Frames that stand for different times get their mean.
///
/// # Errors
/// As [`read_image`], and [`MediaError::TooLarge`] above [`MAX_FRAMES`], [`MAX_CLIP_PIXELS`] (in a moving picture fewer where a
/// frame has more than 2^22 pixels), or 2^23 pixels in a frame of a moving picture, [`MediaError::NoFrames`] for a folder without pictures, [`MediaError::MixedSizes`].
pub fn read_clip(path: impl AsRef<Path>) -> Result<Clip, MediaError> {
    let mut frames = Vec::new();
    let delay_ms = each_frame(path, &mut |frame| frames.push(frame))?;
    Clip::new(frames, delay_ms)
}

/// As [`read_clip`], frame by frame, so that what `take` does not keep is out of memory again; gives the milliseconds that a
/// frame stands.
///
/// # Errors
/// As [`read_clip`].
pub fn each_frame(path: impl AsRef<Path>, take: &mut dyn FnMut(Image)) -> Result<u32, MediaError> {
    let path = path.as_ref();
    if path.is_dir() {
        return read_folder(path, take);
    }
    let bytes = read_bytes(path)?;
    decode_frames(&bytes, path, &mut |frame| {
        take(frame);
        true
    })
}

/// As [`read_clip`], from bytes that are already in memory; `path` is only named in errors.
///
/// # Errors
/// As [`read_clip`].
pub fn decode_clip(bytes: &[u8], path: impl AsRef<Path>) -> Result<Clip, MediaError> {
    let mut frames = Vec::new();
    let delay_ms = decode_frames(bytes, path.as_ref(), &mut |frame| {
        frames.push(frame);
        true
    })?;
    Clip::new(frames, delay_ms)
}

/// The frames of a file one after the other, until `take` wants no more.
pub(super) fn decode_frames(
    bytes: &[u8],
    path: &Path,
    take: &mut dyn FnMut(Image) -> bool,
) -> Result<u32, MediaError> {
    let format = format_of(bytes, path)?;
    let bytes = &essential(bytes, format);
    let mut times = Times::new(path);
    if let Some((width, height)) = webp_frames::canvas_size(bytes) {
        check_canvas(width, height, path)?;
        let mut frames = WebpFrames::new(bytes);
        while let Some(frame) = frames.as_mut().and_then(WebpFrames::next) {
            let (canvas, duration) = frame.map_err(|cause| MediaError::Damaged {
                path: path.into(),
                cause,
            })?;
            let (width, height) = canvas.dimensions();
            times.beside_decoder(width, height);
            times.admit(width, height, f64::from(duration))?;
            if !take(Image::on_white(width, height, canvas.as_raw())?) {
                break;
            }
        }
        return times.mean();
    }
    let Some(frames) = frames_of(bytes, format, path)? else {
        take(decode_still(bytes, path)?.picture);
        return Ok(DEFAULT_DELAY_MS);
    };
    for frame in frames {
        let frame = frame.map_err(|cause| refuse(path, cause))?;
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let (width, height) = frame.buffer().dimensions();
        times.beside_decoder(width, height);
        let duration = f64::from(numerator) / f64::from(denominator.max(1));
        times.admit(width, height, duration)?;
        let rgba = frame.into_buffer().into_raw();
        if !take(Image::on_white_in_place(width, height, rgba)?) {
            break;
        }
    }
    times.mean()
}

/// Takes a horizontal strip apart into `frames` equal pictures, 125 ms each.
///
/// # Errors
/// [`MediaError::Strip`] when `frames` is 0 or does not divide the width.
pub fn clip_from_strip(strip: &Image, frames: usize) -> Result<Clip, MediaError> {
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

/// The frames of a GIF or APNG, nothing for a still picture.
fn frames_of<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    path: &Path,
) -> Result<Option<Frames<'a>>, MediaError> {
    let cursor = Cursor::new(bytes);
    let refused = |cause: ImageError| refuse(path, cause);
    let limits = limits(MAX_FRAME_BYTES);
    match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(cursor).map_err(refused)?;
            decoder.set_limits(limits).map_err(refused)?;
            let (width, height) = decoder.dimensions();
            check_canvas(width, height, path)?;
            Ok(Some(decoder.into_frames()))
        }
        ImageFormat::Png => {
            let decoder = PngDecoder::with_limits(cursor, limits).map_err(refused)?;
            if !decoder.is_apng().map_err(refused)? {
                return Ok(None);
            }
            let (width, height) = decoder.dimensions();
            check_canvas(width, height, path)?;
            Ok(Some(decoder.apng().map_err(refused)?.into_frames()))
        }
        _ => Ok(None),
    }
}

/// Looks whether one frame of a moving picture may be unpacked.
fn check_canvas(width: u32, height: u32, path: &Path) -> Result<(), MediaError> {
    if u64::from(width) * u64::from(height) <= MAX_CANVAS && width.max(height) <= MAX_SIDE {
        return Ok(());
    }
    Err(MediaError::TooLarge {
        path: path.into(),
        cause: format!("{width}x{height} pixels a frame, at most {MAX_CANVAS} are read"),
    })
}

/// Counts frames, pixels and time of a clip.
struct Times<'a> {
    path: &'a Path,
    frames: usize,
    pixels: u64,
    most_pixels: u64,
    total_ms: f64,
}

impl<'a> Times<'a> {
    fn new(path: &'a Path) -> Self {
        Self {
            path,
            frames: 0,
            pixels: 0,
            most_pixels: MAX_CLIP_PIXELS,
            total_ms: 0.0,
        }
    }

    /// Leaves room for what unpacks frames of this size one after the other.
    fn beside_decoder(&mut self, width: u32, height: u32) {
        let decoder = DECODER_BYTES * u64::from(width) * u64::from(height);
        let left = MAX_CLIP_BYTES.saturating_sub(decoder) / 3;
        self.most_pixels = self.most_pixels.min(left);
    }

    /// Counts one more frame in, or says which bound it passes.
    fn admit(&mut self, width: u32, height: u32, duration_ms: f64) -> Result<(), MediaError> {
        self.pixels += u64::from(width) * u64::from(height);
        let cause = if self.frames >= MAX_FRAMES {
            format!("more than {MAX_FRAMES} frames")
        } else if self.pixels > self.most_pixels {
            format!(
                "more than {} pixels in all frames together",
                self.most_pixels
            )
        } else {
            self.frames += 1;
            self.total_ms += duration_ms;
            return Ok(());
        };
        Err(MediaError::TooLarge {
            path: self.path.into(),
            cause,
        })
    }

    /// How long a frame stands, in milliseconds.
    fn mean(&self) -> Result<u32, MediaError> {
        if self.frames == 0 {
            return Err(MediaError::Damaged {
                path: self.path.into(),
                cause: "it holds no frame".into(),
            });
        }
        let mean = (self.total_ms / self.frames as f64).round() as u32;
        Ok(if mean <= 10 { UNSAID_DELAY_MS } else { mean })
    }
}

fn read_folder(folder: &Path, take: &mut dyn FnMut(Image)) -> Result<u32, MediaError> {
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
    let mut times = Times::new(folder);
    let mut first = None;
    for (index, path) in paths.iter().enumerate() {
        let frame = read_image(path)?;
        let (width, height) = (frame.width, frame.height);
        let (first_width, first_height) = *first.get_or_insert((width, height));
        if (width, height) != (first_width, first_height) {
            return Err(MediaError::MixedSizes {
                index,
                width,
                height,
                first_width,
                first_height,
            });
        }
        times.admit(width, height, f64::from(DEFAULT_DELAY_MS))?;
        take(frame);
    }
    times.mean()
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
        let picture = |i| Image::filled(6, 4, [i, 255 - i, 10]);
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
        let odd = png_bytes(&Image::filled(7, 4, [0; 3]), &[]).unwrap();
        fs::write(folder.path().join("g.png"), odd).unwrap();
        let mixed = read_clip(folder.path()).unwrap_err();
        assert!(matches!(mixed, MediaError::MixedSizes { index: 12, .. }));
    }

    #[test]
    fn small_frames_on_a_large_canvas_are_refused() {
        // One pixel drawn again and again on 4000 x 4000: more than a frame may have.
        let gif = |side: u16, frames: usize| {
            let mut gif = b"GIF89a".to_vec();
            gif.extend(side.to_le_bytes());
            gif.extend(side.to_le_bytes());
            gif.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
            for _ in 0..frames {
                gif.extend([b',', 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4C, 1, 0]);
            }
            gif.push(b';');
            gif
        };
        assert_eq!(decode_clip(&gif(40, 3), "a.gif").unwrap().frames.len(), 3);
        for (side, frames) in [(4000, 2), (2800, 12)] {
            let error = decode_clip(&gif(side, frames), "a.gif").unwrap_err();
            assert!(matches!(error, MediaError::TooLarge { .. }), "{error}");
        }
    }

    #[test]
    fn too_many_frames_are_refused() {
        let frames = vec![Image::filled(1, 1, [0; 3]); MAX_FRAMES + 1];
        let bytes = gif_bytes(&Clip {
            frames,
            delay_ms: 50,
        })
        .unwrap();
        let error = decode_clip(&bytes, "a.gif").unwrap_err();
        assert!(matches!(error, MediaError::TooLarge { .. }), "{error}");
    }
}
