//! Decoding untrusted images: the format is told by content, every size is bounded.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::error::MediaError;
use super::image::Image;
use super::{png_chunks, webp_frames};

/// The largest file that is read, in bytes: 64 MiB.
pub const MAX_BYTES: u64 = 64 << 20;
/// The longest side that is read, in pixels.
pub const MAX_SIDE: u32 = 8192;
/// What a picture may take in memory while it is unpacked, in bytes: 8192 x 8192 pixels of 8-bit RGB and some room.
const MAX_DECODED: u64 = 208 << 20;
/// The most pixels of one frame of a moving picture: 4096 x 2048. Several copies of it are in memory at a time.
pub(super) const MAX_CANVAS: u64 = 1 << 23;
/// Pixels times scans of a progressive JPEG: each scan may visit all of them.
const MAX_JPEG_WORK: u64 = 1 << 29;

/// A picture and whether the file holds more than this one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// The picture, or the first frame.
    pub picture: Image,
    /// `true` for a moving GIF, PNG or WebP: [`super::read_clip`] has the rest.
    pub animated: bool,
}

/// Reads a PNG, JPEG, GIF or WebP; of a moving one the first frame. Alpha is laid on white, and a camera's
/// rotation mark is followed.
///
/// # Errors
/// [`MediaError`] when the file is not there, a folder, empty, above [`MAX_BYTES`] or [`MAX_SIDE`],
/// no picture, or damaged.
pub fn read_image(path: impl AsRef<Path>) -> Result<Image, MediaError> {
    read_still(path).map(|still| still.picture)
}

/// As [`read_image`], and says whether the file moves.
///
/// # Errors
/// As [`read_image`].
pub fn read_still(path: impl AsRef<Path>) -> Result<Still, MediaError> {
    let path = path.as_ref();
    decode_still(&read_bytes(path)?, path)
}

/// As [`read_still`], from bytes that are already in memory; `path` is only named in errors.
///
/// # Errors
/// As [`read_image`].
pub fn decode_still(bytes: &[u8], path: impl AsRef<Path>) -> Result<Still, MediaError> {
    let path = path.as_ref();
    let format = format_of(bytes, path)?;
    let bytes = &essential(bytes, format);
    let animated = is_animated(bytes, format);
    if animated && format == ImageFormat::WebP {
        let picture = first_frame(bytes, path)?;
        return Ok(Still { picture, animated });
    }
    let jpeg = match format {
        ImageFormat::Jpeg => Some(jpeg_scans(bytes).ok_or_else(|| MediaError::Damaged {
            path: path.into(),
            cause: "the end of the JPEG data is missing".into(),
        })?),
        _ => None,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(MAX_DECODED));
    let mut decoder = reader.into_decoder().map_err(|cause| refuse(path, cause))?;
    let aside = match format {
        ImageFormat::WebP => webp_aside(bytes, &decoder, path)?,
        ImageFormat::Jpeg => jpeg_aside(jpeg, &decoder, path)?,
        _ => 0,
    };
    let orientation = decoder.orientation();
    let orientation = orientation.map_err(|cause| refuse(path, cause))?;
    check_size(&decoder, aside, orientation, bytes.len() as u64, path)?;
    let image = DynamicImage::from_decoder(decoder).map_err(|cause| refuse(path, cause))?;
    let picture = Image::from_image(image)?.turned(orientation);
    Ok(Still { picture, animated })
}

/// Bytes that the decoder of WebP needs beside its output: the frame as it is coded, with alpha in a plane of its own, and its
/// prefix codes.
fn webp_aside(bytes: &[u8], decoder: &impl ImageDecoder, path: &Path) -> Result<u64, MediaError> {
    let (width, height) = decoder.dimensions();
    let codes = webp_frames::check_still(bytes, [width, height], MAX_DECODED);
    let codes = codes.map_err(|cause| MediaError::Damaged {
        path: path.into(),
        cause,
    })?;
    let each = match bytes.get(12..16) {
        Some(b"VP8 ") => 2,
        Some(b"VP8L") => 4,
        _ => 6,
    };
    Ok(codes + each * pixels(decoder))
}

/// Bytes that the decoder of JPEG needs beside its output: a progressive one keeps a 16-bit coefficient for each channel of each
/// pixel.
fn jpeg_aside(
    scans: Option<JpegScans>,
    decoder: &impl ImageDecoder,
    path: &Path,
) -> Result<u64, MediaError> {
    let Some(scans) = scans.filter(|scans| scans.progressive) else {
        return Ok(0);
    };
    let pixels = pixels(decoder);
    if pixels * scans.count > MAX_JPEG_WORK {
        let (width, height) = decoder.dimensions();
        return Err(MediaError::TooLarge {
            path: path.into(),
            cause: format!("{width}x{height} pixels in {} scans", scans.count),
        });
    }
    Ok(6 * pixels)
}

fn pixels(decoder: &impl ImageDecoder) -> u64 {
    let (width, height) = decoder.dimensions();
    u64::from(width) * u64::from(height)
}

/// Looks whether all that is in memory at a time stays below [`MAX_DECODED`], before anything is unpacked; `aside` is what the
/// decoder needs beside its output, and `file` the length of the file, in bytes.
fn check_size(
    decoder: &impl ImageDecoder,
    aside: u64,
    orientation: Orientation,
    file: u64,
    path: &Path,
) -> Result<(), MediaError> {
    let pixels = pixels(decoder);
    let color = decoder.color_type();
    // Eight bits a channel and alpha laid on white stay in place; other kinds are converted into a second buffer.
    let converted = match color {
        ColorType::Rgb8 | ColorType::Rgba8 => 0,
        color if color.has_alpha() => 4 * pixels,
        _ => 3 * pixels,
    };
    // While it is turned the picture is there twice, and what else was unpacked is not there any more. Photographs that need
    // more room for that come in larger files.
    let turned = match lies_down(orientation) {
        true => (6 * pixels).saturating_sub(6 * file),
        false => 0,
    };
    let bytes = decoder.total_bytes().saturating_add(converted + aside);
    let bytes = bytes.max(turned);
    if bytes <= MAX_DECODED {
        return Ok(());
    }
    let (width, height) = decoder.dimensions();
    Err(MediaError::TooLarge {
        path: path.into(),
        cause: format!(
            "{width}x{height} pixels of this kind take {} MB, at most {} MB are taken",
            bytes >> 20,
            MAX_DECODED >> 20
        ),
    })
}

/// Whether a picture of this mark has its rows as columns.
fn lies_down(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(
        orientation,
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH
    )
}

/// The bytes that the decoder of `format` needs: of a PNG the chunks that say something of its pixels.
pub(super) fn essential(bytes: &[u8], format: ImageFormat) -> Cow<'_, [u8]> {
    match format {
        ImageFormat::Png => png_chunks::pixels_only(bytes),
        _ => Cow::Borrowed(bytes),
    }
}

/// The first frame of an animated WebP.
fn first_frame(bytes: &[u8], path: &Path) -> Result<Image, MediaError> {
    let mut first = None;
    super::read_clip::decode_frames(bytes, path, &mut |picture| {
        first = Some(picture);
        false
    })?;
    first.ok_or_else(|| MediaError::Damaged {
        path: path.into(),
        cause: "it holds no frame".into(),
    })
}

/// All bytes of the file, at most [`MAX_BYTES`].
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, MediaError> {
    let unreadable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            MediaError::NotFound { path: path.into() }
        }
        _ => MediaError::Unreadable {
            path: path.into(),
            source: cause,
        },
    };
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Err(MediaError::IsFolder { path: path.into() });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    check_bytes(&bytes, path)?;
    Ok(bytes)
}

fn check_bytes(bytes: &[u8], path: &Path) -> Result<(), MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::Empty { path: path.into() });
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(MediaError::TooLarge {
            path: path.into(),
            cause: format!("more than {} MB", MAX_BYTES >> 20),
        });
    }
    Ok(())
}

/// Which of the four formats the bytes are.
pub(super) fn format_of(bytes: &[u8], path: &Path) -> Result<ImageFormat, MediaError> {
    check_bytes(bytes, path)?;
    match image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif | ImageFormat::WebP),
        ) => Ok(format),
        _ => Err(MediaError::NotAnImage { path: path.into() }),
    }
}

/// The bounds that a decoder gets, with the most bytes that it may allocate.
pub(super) fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(bytes);
    limits
}

/// The decoder's complaint as one of ours, on one line.
pub(super) fn refuse(path: &Path, cause: ImageError) -> MediaError {
    let line = one_line(&cause.to_string());
    let path = path.into();
    match cause {
        ImageError::Limits(_) => MediaError::TooLarge {
            path,
            cause: format!("at most {MAX_SIDE}x{MAX_SIDE} pixels are read"),
        },
        ImageError::Unsupported(_) => MediaError::Unsupported { path, cause: line },
        _ => MediaError::Damaged { path, cause: line },
    }
}

/// The text without line breaks and control characters.
pub(super) fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).take(200).collect()
}

/// What the marks of a JPEG say of its scans.
#[derive(Clone, Copy)]
struct JpegScans {
    progressive: bool,
    count: u64,
}

/// The scans of a JPEG; `None` where no end mark follows the picture data. The decoder would fill the missing part with
/// grey.
fn jpeg_scans(bytes: &[u8]) -> Option<JpegScans> {
    let mut progressive = false;
    // Walk over the header's segments (their previews have end marks of their own) to the first scan.
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0xDA {
            let data = &bytes[at..];
            let marks = |mark: u8| data.windows(2).filter(move |pair| pair == &[0xFF, mark]);
            marks(0xD9).next()?;
            return Some(JpegScans {
                progressive,
                count: marks(0xDA).count() as u64,
            });
        }
        progressive |= matches!(marker, 0xC2 | 0xC6 | 0xCA | 0xCE);
        // Fill bytes and marks without content have no length.
        at += match marker {
            0xFF => 1,
            0x01 | 0xD0..=0xD8 => 2,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
    }
    None
}

fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Gif => gif_moves(bytes),
        ImageFormat::Png => PngDecoder::with_limits(Cursor::new(bytes), limits(MAX_DECODED))
            .and_then(|decoder| decoder.is_apng())
            .unwrap_or(false),
        ImageFormat::WebP => webp_frames::canvas_size(bytes).is_some(),
        _ => false,
    }
}

/// Whether there is a second frame; pixels are skipped, not decoded.
fn gif_moves(bytes: &[u8]) -> bool {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    let second = options.read_info(bytes).and_then(|mut decoder| {
        decoder.next_frame_info()?;
        Ok(decoder.next_frame_info()?.is_some())
    });
    second.unwrap_or(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media::{jpeg_bytes, png_bytes};

    fn scene() -> Image {
        let values: Vec<f32> = (0..3 * 40 * 40).map(|i| (i as f32 * 0.03).sin()).collect();
        Image::from_unit(&values, 40, 40).unwrap()
    }

    fn line(bytes: &[u8]) -> String {
        let line = decode_still(bytes, "a.png").unwrap_err().to_string();
        assert!(line.contains("`a.png`") && !line.contains('\n'), "{line}");
        line
    }

    #[test]
    fn each_wrong_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read_image(folder.path().join("x.png")).unwrap_err();
        assert!(matches!(missing, MediaError::NotFound { .. }));
        let is_folder = read_image(folder.path()).unwrap_err();
        assert!(matches!(is_folder, MediaError::IsFolder { .. }));
        assert!(line(b"").contains("empty"));
        assert!(line(b"GIF stands for something, this is text").contains("not a picture"));
        assert!(line(b"RIFF").contains("not a picture"));
    }

    #[test]
    fn a_file_cut_anywhere_is_damaged() {
        let webp = {
            let mut bytes = Vec::new();
            let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut bytes);
            let image = scene().to_image();
            encoder
                .encode(&image, 40, 40, image::ExtendedColorType::Rgb8)
                .unwrap();
            bytes
        };
        let gif = crate::media::gif_bytes(&super::super::Clip::new(vec![scene()], 40).unwrap());
        for whole in [
            png_bytes(&scene(), &[]).unwrap(),
            jpeg_bytes(&scene(), None).unwrap(),
            gif.unwrap(),
            webp,
        ] {
            assert!(decode_still(&whole, "a.png").is_ok());
            for tenths in 1..10 {
                let cut = &whole[..whole.len() * tenths / 10];
                assert!(line(cut).contains("damaged"), "{tenths}: {}", line(cut));
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // A PNG header that promises 60,000 x 60,000 pixels.
        let mut bomb = png_bytes(&scene(), &[]).unwrap();
        bomb[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        let crc = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(line(&bomb).contains("too large"), "{}", line(&bomb));
        let mut gif = b"GIF89a".to_vec();
        gif.extend([0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, b',', 0, 0, 0, 0]);
        gif.extend([0xFF, 0xFF, 0xFF, 0xFF, 0, 2, 2, 0x4C, 1, 0, b';']);
        assert!(line(&gif).contains("too large"), "{}", line(&gif));
    }

    #[test]
    fn a_webp_of_few_bytes_takes_no_half_gigabyte() {
        // 8192 x 8192 pixels of one colour, without loss: 38 bytes that took 458 MB.
        let mut webp = b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f".to_vec();
        webp.extend(b"\xff\xdf\xff\x07\x07\x50\x85\x22\x57\xa1\xff\x81\x88\xe8\x7f\0\0");
        assert!(line(&webp).contains("too large"), "{}", line(&webp));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut rng = crate::rng::Rng::new(5);
        let whole = [
            png_bytes(&scene(), &[]).unwrap(),
            jpeg_bytes(&scene(), None).unwrap(),
        ];
        for round in 0..300 {
            let mut bytes = whole[round % 2].clone();
            for _ in 0..1 + rng.below(8) {
                let at = rng.below(bytes.len());
                bytes[at] = rng.bits() as u8;
            }
            let _ = decode_still(&bytes, "a.png");
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| {
                (c >> 1) ^ (0xEDB8_8320 & (c & 1).wrapping_neg())
            })
        })
    }
}
