//! Pictures and clips as bytes of PNG, APNG, JPEG and GIF. The same input gives the same bytes.

use std::borrow::Cow;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::clip::Clip;
use super::error::MediaError;
use super::exif;
use super::image::Image;
use super::palette::index;
use super::texts::check_texts;

const JPEG_QUALITY: u8 = 95;

/// A still as a `data:` address, PNG in base64, as servers take pictures.
///
/// # Errors
/// When the picture cannot be encoded.
pub fn data_address(picture: &Image) -> Result<String, MediaError> {
    Ok(format!(
        "data:image/png;base64,{}",
        base64(&png_bytes(picture, &[])?)
    ))
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            match place <= chunk.len() {
                true => out.push(char::from(
                    LETTERS[(bits >> (18 - 6 * place) & 63) as usize],
                )),
                false => out.push('='),
            }
        }
    }
    out
}

/// A PNG with `texts` (key, text) as `iTXt` chunks in UTF-8.
///
/// # Errors
/// [`MediaError::Text`] for a key or text that PNG cannot hold, [`MediaError::Encode`].
pub fn png_bytes(picture: &Image, texts: &[(String, String)]) -> Result<Vec<u8>, MediaError> {
    still_or_moving(std::slice::from_ref(picture), 0, texts)
}

/// A PNG with transparency: `alpha` says how much each pixel covers, row by row, and `picture` how it looks on white.
///
/// # Errors
/// As [`png_bytes`], and [`MediaError::Size`] when `alpha` is not one byte a pixel.
pub fn png_bytes_with_alpha(
    picture: &Image,
    alpha: &[u8],
    texts: &[(String, String)],
) -> Result<Vec<u8>, MediaError> {
    let refused = |cause: png::EncodingError| MediaError::Encode(cause.to_string());
    check_texts(texts)?;
    if alpha.len() * 3 != picture.pixels.len() {
        return Err(MediaError::Size(format!(
            "a picture of {}x{} needs one byte of alpha a pixel, not {} in all",
            picture.width,
            picture.height,
            alpha.len()
        )));
    }
    let mut rgba = Vec::with_capacity(alpha.len() * 4);
    for (colour, &alpha) in picture.pixels.chunks_exact(3).zip(alpha) {
        // What is left of the colour when the white that shines through is taken off.
        let cover = i32::from(alpha);
        let own = |v: u8| match cover {
            0 => 0,
            _ => ((255 * (i32::from(v) - 255) - cover / 2) / cover + 255).clamp(0, 255) as u8,
        };
        rgba.extend(colour.iter().map(|&v| own(v)));
        rgba.push(alpha);
    }
    let mut bytes = Vec::new();
    let encoder = png_encoder(&mut bytes, picture, png::ColorType::Rgba, texts)?;
    let mut writer = encoder.write_header().map_err(refused)?;
    writer.write_image_data(&rgba).map_err(refused)?;
    writer.finish().map_err(refused)?;
    Ok(bytes)
}

/// An encoder of `colour` and eight bits for pictures as large as `like`, with its texts.
fn png_encoder<'a>(
    bytes: &'a mut Vec<u8>,
    like: &Image,
    colour: png::ColorType,
    texts: &[(String, String)],
) -> Result<png::Encoder<'a, &'a mut Vec<u8>>, MediaError> {
    let mut encoder = png::Encoder::new(bytes, like.width, like.height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    for (key, text) in texts {
        let added = encoder.add_itxt_chunk(key.clone(), text.clone());
        added.map_err(|cause| MediaError::Encode(cause.to_string()))?;
    }
    Ok(encoder)
}

/// An animated PNG that loops for ever; of one frame a still PNG.
///
/// # Errors
/// As [`png_bytes`].
pub fn apng_bytes(clip: &Clip, texts: &[(String, String)]) -> Result<Vec<u8>, MediaError> {
    still_or_moving(&clip.frames, clip.delay_ms, texts)
}

fn still_or_moving(
    frames: &[Image],
    delay_ms: u32,
    texts: &[(String, String)],
) -> Result<Vec<u8>, MediaError> {
    let refused = |cause: png::EncodingError| MediaError::Encode(cause.to_string());
    let first = check_frames(frames)?;
    check_texts(texts)?;
    let mut bytes = Vec::new();
    let mut encoder = png_encoder(&mut bytes, first, png::ColorType::Rgb, texts)?;
    if frames.len() > 1 {
        let delay = delay_ms.min(u32::from(u16::MAX)) as u16;
        encoder
            .set_animated(frames.len() as u32, 0)
            .and_then(|()| encoder.set_frame_delay(delay, 1000))
            .map_err(refused)?;
    }
    let mut writer = encoder.write_header().map_err(refused)?;
    for frame in frames {
        writer.write_image_data(&frame.pixels).map_err(refused)?;
    }
    writer.finish().map_err(refused)?;
    Ok(bytes)
}

/// A JPEG of quality 95 with `text` as its EXIF description, which is ASCII, at most 60,000 bytes.
///
/// # Errors
/// [`MediaError::Encode`] when the encoder refuses, as it does above 65,535 pixels a side; [`MediaError::Text`].
pub fn jpeg_bytes(picture: &Image, text: Option<&str>) -> Result<Vec<u8>, MediaError> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    encode_with(encoder, picture, text)?;
    Ok(bytes)
}

/// A lossless WebP with `text` as [`jpeg_bytes`] has it.
///
/// # Errors
/// [`MediaError::Encode`] when the encoder refuses, as it does above 16,384 pixels a side; [`MediaError::Text`].
pub fn webp_bytes(picture: &Image, text: Option<&str>) -> Result<Vec<u8>, MediaError> {
    let mut bytes = Vec::new();
    encode_with(WebPEncoder::new_lossless(&mut bytes), picture, text)?;
    Ok(bytes)
}

fn encode_with(
    mut encoder: impl ImageEncoder,
    picture: &Image,
    text: Option<&str>,
) -> Result<(), MediaError> {
    check_frames(std::slice::from_ref(picture))?;
    if let Some(text) = text {
        if !text.is_ascii() || text.len() > exif::LONGEST {
            return Err(MediaError::Text {
                key: super::read::one_line(text).chars().take(40).collect(),
                cause: format!("give at most {} ASCII characters", exif::LONGEST),
            });
        }
        encoder
            .set_exif_metadata(exif::with_description(text))
            .map_err(|cause| MediaError::Encode(cause.to_string()))?;
    }
    let (width, height) = (picture.width, picture.height);
    encoder
        .write_image(&picture.pixels, width, height, ExtendedColorType::Rgb8)
        .map_err(|cause| MediaError::Encode(cause.to_string()))
}

/// A GIF that loops for ever. Each frame has its own palette: exact up to 256 colours, else learnt, with plain
/// grounds kept exact so that they do not flicker. Time is rounded to 10 ms, at least 20.
///
/// # Errors
/// [`MediaError::Size`] above 65,535 pixels a side, [`MediaError::MixedSizes`], [`MediaError::Encode`].
pub fn gif_bytes(clip: &Clip) -> Result<Vec<u8>, MediaError> {
    let refused = |cause: gif::EncodingError| MediaError::Encode(cause.to_string());
    let first = check_frames(&clip.frames)?;
    let (Ok(width), Ok(height)) = (u16::try_from(first.width), u16::try_from(first.height)) else {
        return Err(MediaError::Size(format!(
            "a GIF cannot be {}x{}: keep both sides at 65535 or less",
            first.width, first.height
        )));
    };
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &[]).map_err(refused)?;
    encoder.set_repeat(gif::Repeat::Infinite).map_err(refused)?;
    for picture in &clip.frames {
        let indexed = index(picture);
        let frame = gif::Frame {
            width,
            height,
            delay: (clip.delay_ms.saturating_add(5) / 10).clamp(2, u32::from(u16::MAX)) as u16,
            buffer: Cow::Owned(indexed.indices),
            palette: Some(indexed.palette),
            ..Default::default()
        };
        encoder.write_frame(&frame).map_err(refused)?;
    }
    drop(encoder);
    Ok(bytes)
}

/// The first frame, when all are sound and of one size.
fn check_frames(frames: &[Image]) -> Result<&Image, MediaError> {
    let Some(first) = frames.first() else {
        return Err(MediaError::Size(
            "a clip needs at least one frame: give it one".into(),
        ));
    };
    for (index, frame) in frames.iter().enumerate() {
        let want = frame.width as usize * frame.height as usize * 3;
        if want == 0 || frame.pixels.len() != want {
            return Err(MediaError::Size(format!(
                "a picture of {}x{} cannot have {} bytes: give the size of the data",
                frame.width,
                frame.height,
                frame.pixels.len()
            )));
        }
        if (frame.width, frame.height) != (first.width, first.height) {
            return Err(MediaError::MixedSizes {
                index,
                width: frame.width,
                height: frame.height,
                first_width: first.width,
                first_height: first.height,
            });
        }
    }
    Ok(first)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media::{decode_clip, decode_still};

    fn colourful(phase: f32) -> Image {
        let values: Vec<f32> = (0..3 * 64 * 64)
            .map(|i| match i % 64 {
                x if x < 16 => 1.0,
                _ => (i as f32 * 0.013 + phase).sin(),
            })
            .collect();
        Image::from_unit(&values, 64, 64).unwrap()
    }

    fn psnr(a: &Image, b: &Image) -> f64 {
        let square = |(x, y): (&u8, &u8)| (f64::from(*x) - f64::from(*y)).powi(2);
        let sum: f64 = a.pixels.iter().zip(&b.pixels).map(square).sum();
        10.0 * (255.0f64.powi(2) * a.pixels.len() as f64 / sum.max(1e-9)).log10()
    }

    #[test]
    fn base64_of_the_standard() {
        for (text, code) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), code);
        }
        assert_eq!(base64(&[255, 239]), "/+8=");
    }

    #[test]
    fn lossless_formats_are_exact_and_repeatable() {
        let picture = colourful(0.0);
        let texts = [("prompt".to_owned(), "a cat".to_owned())];
        let png = png_bytes(&picture, &texts).unwrap();
        assert_eq!(png, png_bytes(&picture, &texts).unwrap());
        for bytes in [png, webp_bytes(&picture, None).unwrap()] {
            assert_eq!(decode_still(&bytes, "a").unwrap().picture, picture);
        }
    }

    #[test]
    fn transparency_comes_back_as_it_looks_on_white() {
        let picture = colourful(0.0);
        let alpha: Vec<u8> = (0..64 * 64).map(|i| (i % 256) as u8).collect();
        // What lies on white cannot be darker than what shines through.
        let covered: Vec<u8> = picture
            .pixels
            .iter()
            .enumerate()
            .map(|(at, &v)| v.max(255 - alpha[at / 3]))
            .collect();
        let picture = Image::new(64, 64, covered).unwrap();
        let bytes = png_bytes_with_alpha(&picture, &alpha, &[]).unwrap();
        let back = image::load_from_memory(&bytes).unwrap().into_rgba8();
        assert!(
            back.pixels()
                .zip(&alpha)
                .all(|(pixel, alpha)| pixel.0[3] == *alpha)
        );
        let still = decode_still(&bytes, "a").unwrap().picture;
        let off = still.pixels.iter().zip(&picture.pixels);
        assert!(off.map(|(a, b)| a.abs_diff(*b)).max() <= Some(1));
        assert!(png_bytes_with_alpha(&picture, &alpha[1..], &[]).is_err());
    }

    #[test]
    fn lossy_formats_stay_close() {
        let picture = colourful(0.0);
        let jpeg = decode_still(&jpeg_bytes(&picture, None).unwrap(), "a").unwrap();
        assert!(psnr(&jpeg.picture, &picture) > 30.0);
        let clip = Clip::new(vec![colourful(0.0), colourful(0.5)], 83).unwrap();
        let back = decode_clip(&gif_bytes(&clip).unwrap(), "a").unwrap();
        assert_eq!(back.delay_ms, 80);
        for (got, want) in back.frames.iter().zip(&clip.frames) {
            assert!(psnr(got, want) > 32.0, "{}", psnr(got, want));
            assert!((0..64).all(|y| got.pixel(3, y) == [255; 3]), "white stays");
        }
    }

    #[test]
    fn unsound_pictures_are_refused() {
        let bad = Image {
            width: 3,
            height: 3,
            pixels: vec![0; 5],
        };
        assert!(png_bytes(&bad, &[]).is_err());
        assert!(jpeg_bytes(&bad, None).is_err());
        let frames = vec![bad];
        assert!(
            gif_bytes(&Clip {
                frames,
                delay_ms: 9
            })
            .is_err()
        );
        let wide = Image::filled(70_000, 1, [0; 3]);
        assert!(gif_bytes(&Clip::new(vec![wide], 9).unwrap()).is_err());
    }
}
