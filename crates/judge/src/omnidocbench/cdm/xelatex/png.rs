//! The picture that Ghostscript or Poppler makes of a page.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits};

/// Most bytes of a page: A3 at 200 dots per inch has eight million pixels of four.
const MOST: usize = 1 << 27;

/// A page's colours as they were painted: a pixel that a token covers in part has the token's colour whole.
///
/// The official code reads what ImageMagick writes, and that keeps coverage in a channel of its own, which is then dropped.
#[derive(Debug)]
pub(super) struct Page {
    /// Width and height.
    pub size: [u32; 2],
    /// Bytes of a pixel: red, green, blue, and from Ghostscript coverage.
    depth: usize,
    pixels: Vec<u8>,
}

impl Page {
    /// Reads a PNG of eight bits a channel, colour with or without coverage; `None` where it is none.
    pub fn read(png: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(Cursor::new(png));
        decoder.set_limits(Limits { bytes: MOST });
        let mut reader = decoder.read_info().ok()?;
        let depth = match reader.output_color_type() {
            (ColorType::Rgb, BitDepth::Eight) => 3,
            (ColorType::Rgba, BitDepth::Eight) => 4,
            _ => return None,
        };
        let bytes = reader.output_buffer_size().filter(|&bytes| bytes <= MOST)?;
        let mut pixels = vec![0; bytes];
        let frame = reader.next_frame(&mut pixels).ok()?;
        Some(Self {
            size: [frame.width, frame.height],
            depth,
            pixels,
        })
    }

    /// The colour of a pixel; white outside and where nothing was painted.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = (y as usize * self.size[0] as usize + x as usize) * self.depth;
        match self.pixels.get(at..at + self.depth) {
            Some([.., 0]) if self.depth == 4 => [255; 3],
            Some(&[red, green, blue, ..]) => [red, green, blue],
            _ => [255; 3],
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A PNG of two lines of two pixels.
    fn png(colour: ColorType, pixels: &[u8]) -> Vec<u8> {
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, 2, 2);
        encoder.set_color(colour);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        png
    }

    #[test]
    fn pixels_that_are_covered_in_part_keep_their_colour() {
        let pixels = [
            10, 20, 30, 255, 200, 210, 220, 64, 10, 20, 30, 1, 0, 0, 0, 0,
        ];
        let page = Page::read(&png(ColorType::Rgba, &pixels)).unwrap();
        let found = [(0, 0), (1, 0), (0, 1), (1, 1), (9, 9)].map(|(x, y)| page.pixel(x, y));
        let (ink, covered) = ([10, 20, 30], [200, 210, 220]);
        assert_eq!(found, [ink, covered, ink, [255; 3], [255; 3]]);
    }

    #[test]
    fn pages_without_coverage_are_read_as_they_are() {
        let page = Page::read(&png(ColorType::Rgb, &[9, 8, 0, 1, 2, 3, 4, 5, 6, 7, 7, 0])).unwrap();
        assert_eq!([page.pixel(0, 0), page.pixel(1, 1)], [[9, 8, 0], [7, 7, 0]]);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let whole = png(ColorType::Rgba, &[0; 16]);
        for cut in 0..whole.len() - 12 {
            assert!(Page::read(&whole[..cut]).is_none(), "{cut}");
        }
        assert!(Page::read(&png(ColorType::Grayscale, &[0; 4])).is_none());
    }
}
