//! Frames of animated WebP files, laid onto their canvas.
//!
//! Each frame is unpacked as a still WebP of its own and composited here: rectangle, blending and disposal as the
//! [container specification](https://developers.google.com/speed/webp/docs/riff_container) has them. Disposal leaves
//! transparent pixels, as libwebp's animation decoder does, whatever background colour the file names.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, RgbaImage};

use super::webp_lossless::code_bytes;

/// What the prefix codes of one frame may take, in bytes.
const MAX_CODES: u64 = 32 << 20;

/// A chunk of a RIFF file: its four letters and its content.
type Chunk<'a> = ([u8; 4], &'a [u8]);

/// Canvas and frames of an animated WebP that are still to be unpacked.
pub(super) struct WebpFrames<'a> {
    canvas: RgbaImage,
    frames: Vec<&'a [u8]>,
    next: usize,
    /// The rectangle (x, y, width, height) to be cleared before the next frame is drawn.
    cleared: Option<[u32; 4]>,
}

/// Width and height of the canvas of an animated WebP; `None` for any other file.
pub(super) fn canvas_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = header(bytes)?;
    let animated = header.first()? & 2 != 0;
    animated.then_some((u24(header, 4)? + 1, u24(header, 7)? + 1))
}

/// What the file's `VP8X` chunk holds.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    match chunks(bytes.get(12..)?).next()? {
        (name, content) if &name == b"VP8X" => Some(content),
        _ => None,
    }
}

/// The chunks of `bytes`, as far as they are whole.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(8)?;
        let length = u32::from_le_bytes(head.get(4..)?.try_into().ok()?) as usize;
        let content = after.get(..length)?;
        rest = after.get(length + length % 2..).unwrap_or_default();
        Some((head.get(..4)?.try_into().ok()?, content))
    })
}

/// Looks into a still WebP of `width` x `height` before anything is unpacked: gives the bytes that its prefix codes take, counted
/// up to `most`.
///
/// # Errors
/// What is wrong: a picture of another size inside, or a chunk that reaches beyond the end.
pub(super) fn check_still(
    bytes: &[u8],
    [width, height]: [u32; 2],
    most: u64,
) -> Result<u64, String> {
    let mut codes = 0;
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((name, length)) = chunk_head(rest) {
        let content = rest.get(8..).and_then(|after| after.get(..length));
        let content = match content {
            Some(content) => content,
            None if KNOWN.contains(&name) => return Err("it is cut short".into()),
            None => break,
        };
        let left = most.saturating_sub(codes);
        codes += match name {
            b"VP8 " if vp8_size(content) != Some([width, height]) => {
                return Err("a picture has another size than the file says".into());
            }
            b"VP8L" => code_bytes(content, None, left),
            b"ALPH" => match content.split_first() {
                Some((method, stream)) if method & 3 == 1 => {
                    code_bytes(stream, Some((width, height)), left)
                }
                _ => 0,
            },
            _ => 0,
        };
        rest = rest.get(8 + length + length % 2..).unwrap_or_default();
    }
    Ok(codes)
}

/// Chunks that the decoder reads or makes room for.
const KNOWN: [&[u8]; 7] = [
    b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"EXIF", b"ICCP", b"XMP ",
];

/// Name and length of the first chunk.
fn chunk_head(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let length = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    Some((bytes.get(..4)?, length as usize))
}

/// Width and height of a lossy picture (RFC 6386, section 9.1).
fn vp8_size(content: &[u8]) -> Option<[u32; 2]> {
    let side = |at: usize| {
        let bytes = content.get(at..at + 2)?.try_into().ok()?;
        Some(u32::from(u16::from_le_bytes(bytes) & 0x3FFF))
    };
    Some([side(6)?, side(8)?])
}

fn u24(bytes: &[u8], at: usize) -> Option<u32> {
    match bytes.get(at..at + 3)? {
        &[a, b, c] => Some(u32::from_le_bytes([a, b, c, 0])),
        _ => None,
    }
}

impl<'a> WebpFrames<'a> {
    /// The frames of `bytes`; `None` where it is not an animated WebP. The canvas is made here: look at [`canvas_size`] first.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (width, height) = canvas_size(bytes)?;
        let frames = chunks(bytes.get(12..)?).filter(|(name, _)| name == b"ANMF");
        Some(Self {
            canvas: RgbaImage::new(width, height),
            frames: frames.map(|(_, content)| content).collect(),
            next: 0,
            cleared: None,
        })
    }

    /// Draws the next frame and gives the canvas with its duration in milliseconds; `None` after the last.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub fn next(&mut self) -> Option<Result<(&RgbaImage, u32), String>> {
        let frame = *self.frames.get(self.next)?;
        self.next += 1;
        let drawn = self.draw(frame);
        Some(drawn.map(|duration| (&self.canvas, duration)))
    }

    fn draw(&mut self, frame: &[u8]) -> Result<u32, String> {
        let cut = || "a frame is cut short".to_owned();
        let number = |at| u24(frame, at).ok_or_else(cut);
        let (x, y) = (2 * number(0)?, 2 * number(3)?);
        let (width, height) = (number(6)? + 1, number(9)? + 1);
        let duration = number(12)?;
        let flags = *frame.get(15).ok_or_else(cut)?;
        if x + width > self.canvas.width() || y + height > self.canvas.height() {
            return Err("a frame reaches outside its canvas".into());
        }
        let image = decode(frame.get(16..).ok_or_else(cut)?, width, height)?;
        if let Some([x, y, width, height]) = self.cleared.take() {
            for row in y..y + height {
                self.row(x, row, width).fill(0);
            }
        }
        let blended = flags & 2 == 0;
        let line = width as usize * 4;
        for (row, source) in (y..).zip(image.as_raw().chunks_exact(line)) {
            let target = self.row(x, row, width);
            if !blended {
                target.copy_from_slice(source);
                continue;
            }
            for (over, under) in source.chunks_exact(4).zip(target.chunks_exact_mut(4)) {
                blend(over, under);
            }
        }
        self.cleared = (flags & 1 != 0).then_some([x, y, width, height]);
        Ok(duration)
    }

    /// `width` pixels of the canvas from column `x` of row `y`, all of which lie inside.
    fn row(&mut self, x: u32, y: u32, width: u32) -> &mut [u8] {
        let start = (y as usize * self.canvas.width() as usize + x as usize) * 4;
        let pixels: &mut [u8] = self.canvas.as_mut();
        &mut pixels[start..start + width as usize * 4]
    }
}

/// One frame's own chunks as a picture of `width` x `height`.
fn decode(content: &[u8], width: u32, height: u32) -> Result<RgbaImage, String> {
    let (mut alpha, mut pixels) = (None, None);
    for (name, data) in chunks(content) {
        match &name {
            b"ALPH" if pixels.is_none() => alpha = Some(data),
            b"VP8 " | b"VP8L" if pixels.is_none() => pixels = Some((name, data)),
            _ => {}
        }
    }
    let (name, data) = pixels.ok_or("a frame holds no picture")?;
    let mut body = b"WEBP".to_vec();
    if let Some(alpha) = alpha.filter(|_| &name == b"VP8 ") {
        let mut header = vec![0x10, 0, 0, 0];
        header.extend_from_slice(&(width - 1).to_le_bytes()[..3]);
        header.extend_from_slice(&(height - 1).to_le_bytes()[..3]);
        push(&mut body, *b"VP8X", &header);
        push(&mut body, *b"ALPH", alpha);
    }
    push(&mut body, name, data);
    let mut file = Vec::with_capacity(body.len() + 8);
    push(&mut file, *b"RIFF", &body);
    if check_still(&file, [width, height], MAX_CODES)? > MAX_CODES {
        return Err("a frame has too many prefix codes".into());
    }
    let decoder = WebPDecoder::new(Cursor::new(&file)).map_err(|cause| cause.to_string())?;
    if decoder.dimensions() != (width, height) {
        return Err("a frame has another size than it says".into());
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|cause| cause.to_string())?;
    Ok(image.into_rgba8())
}

fn push(file: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    file.extend(name);
    file.extend((content.len() as u32).to_le_bytes());
    file.extend_from_slice(content);
    file.extend(&[0][..content.len() % 2]);
}

/// Lays one RGBA pixel, alpha not multiplied in, over another.
fn blend(over: &[u8], under: &mut [u8]) {
    match over[3] {
        0 => {}
        255 => under.copy_from_slice(over),
        alpha => {
            let alpha = u32::from(alpha);
            let rest = u32::from(under[3]) * (255 - alpha) / 255;
            let whole = alpha + rest;
            for channel in 0..3 {
                let mixed = u32::from(over[channel]) * alpha + u32::from(under[channel]) * rest;
                under[channel] = (mixed / whole) as u8;
            }
            under[3] = whole as u8;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use image::ExtendedColorType;
    use image::codecs::webp::WebPEncoder;

    /// A frame of one RGBA colour at (x, y); `flags` 1 disposes, 2 does not blend.
    fn frame([x, y, width, height]: [u32; 4], rgba: [u8; 4], flags: u8) -> Vec<u8> {
        let mut still = Vec::new();
        let pixels = rgba.repeat((width * height) as usize);
        WebPEncoder::new_lossless(&mut still)
            .encode(&pixels, width, height, ExtendedColorType::Rgba8)
            .unwrap();
        let mut frame = Vec::new();
        for number in [x / 2, y / 2, width - 1, height - 1, 70] {
            frame.extend_from_slice(&number.to_le_bytes()[..3]);
        }
        frame.push(flags);
        frame.extend_from_slice(&still[12..]);
        frame
    }

    fn animation(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut body = b"WEBP".to_vec();
        push(&mut body, *b"VP8X", &[0x12, 0, 0, 0, 7, 0, 0, 3, 0, 0]);
        push(&mut body, *b"ANIM", &[0; 6]);
        for frame in frames {
            push(&mut body, *b"ANMF", frame);
        }
        let mut file = Vec::new();
        push(&mut file, *b"RIFF", &body);
        file
    }

    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];

    #[test]
    fn frames_are_disposed_of_and_blended() {
        let file = animation(&[
            frame([0, 0, 8, 4], RED, 0),
            frame([2, 2, 2, 2], BLUE, 1),
            // Half transparent: over red where it is blended, alone where it is not.
            frame([4, 0, 2, 2], [0, 255, 0, 128], 0),
            frame([6, 0, 2, 2], [0, 255, 0, 128], 2),
        ]);
        let mut frames = WebpFrames::new(&file).unwrap();
        let mut next = |places: &[(u32, u32)]| -> Vec<[u8; 4]> {
            let (canvas, duration) = frames.next().unwrap().unwrap();
            assert_eq!(duration, 70);
            places
                .iter()
                .map(|&(x, y)| canvas.get_pixel(x, y).0)
                .collect()
        };
        assert_eq!(next(&[(0, 0), (7, 3)]), [RED, RED]);
        assert_eq!(
            next(&[(2, 2), (3, 3), (4, 3), (1, 2)]),
            [BLUE, BLUE, RED, RED]
        );
        let mixed = next(&[(2, 2), (3, 3), (4, 0), (1, 2)]);
        assert_eq!(mixed, [[0; 4], [0; 4], [127, 128, 0, 255], RED]);
        assert_eq!(
            next(&[(6, 0), (4, 0)]),
            [[0, 255, 0, 128], [127, 128, 0, 255]]
        );
        assert!(frames.next().is_none());
    }

    #[test]
    fn damaged_frames_are_errors() {
        let good = frame([2, 2, 2, 2], BLUE, 0);
        let outside = frame([6, 2, 4, 2], BLUE, 0);
        for bad in [good[..20].to_vec(), good[..10].to_vec(), outside] {
            let file = animation(&[bad]);
            let mut frames = WebpFrames::new(&file).unwrap();
            assert!(frames.next().unwrap().is_err());
        }
        let file = animation(&[good]);
        for end in 0..file.len() {
            if let Some(mut frames) = WebpFrames::new(&file[..end]) {
                let _ = frames.next();
            }
        }
    }
}
