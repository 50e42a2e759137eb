//! The picture that Ghostscript makes of a page, its colours apart from how far each pixel is covered.

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

/// Bytes of a pixel: red, green, blue, coverage.
const PIXEL: usize = 4;
/// Most pixels of a page: A3 at 200 dots per inch has eight million.
const MOST: usize = 1 << 25;

/// A page's colours as they were painted: a pixel that a token covers in part has the token's colour whole.
///
/// The official code reads what ImageMagick writes, and that keeps coverage in a channel of its own, which is then dropped.
pub(super) struct Page {
    pub width: u32,
    pub height: u32,
    rgba: Vec<u8>,
}

impl Page {
    /// Reads a PNG of eight bits a channel with coverage; `None` where it is none.
    pub fn read(png: &[u8]) -> Option<Self> {
        let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
        let (mut size, mut data) = (None, Vec::new());
        while let Some((head, body)) = rest.split_at_checked(8) {
            let length = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
            let chunk = body.get(..length)?;
            match &head[4..] {
                b"IHDR" => {
                    let number = |at: usize| {
                        let bytes = chunk.get(at..at + 4)?.try_into().ok()?;
                        Some(u32::from_be_bytes(bytes))
                    };
                    // Eight bits, colour with coverage, not interlaced.
                    if chunk.get(8..)? != [8, 6, 0, 0, 0] {
                        return None;
                    }
                    size = Some((number(0)?, number(4)?));
                }
                b"IDAT" => data.extend_from_slice(chunk),
                _ => {}
            }
            rest = body.get(length + 4..)?;
        }
        let (width, height) = size?;
        let line = width as usize * PIXEL;
        if width as usize * height as usize > MOST {
            return None;
        }
        let limit = (line + 1) * height as usize;
        let raw = decompress_to_vec_zlib_with_limit(&data, limit).ok()?;
        let mut rgba: Vec<u8> = Vec::with_capacity(line * height as usize);
        let mut above = vec![0; line];
        for filtered in raw.chunks_exact(line + 1) {
            let (filter, bytes) = filtered.split_first()?;
            above = unfilter(*filter, bytes, &above)?;
            rgba.extend_from_slice(&above);
        }
        (rgba.len() == line * height as usize).then_some(Self {
            width,
            height,
            rgba,
        })
    }

    /// The colour of a pixel; white outside.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = (y as usize * self.width as usize + x as usize) * PIXEL;
        let found = self.rgba.get(at..at + PIXEL);
        match found {
            Some(&[red, green, blue, covered]) if covered > 0 => [red, green, blue],
            _ => [255; 3],
        }
    }
}

/// A line of pixels without PNG's filter (section 9.2 of its specification).
fn unfilter(filter: u8, bytes: &[u8], above: &[u8]) -> Option<Vec<u8>> {
    let mut line: Vec<u8> = Vec::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let before = |of: &[u8]| match at.checked_sub(PIXEL) {
            Some(at) => of.get(at).copied().unwrap_or(0),
            None => 0,
        };
        let (a, b, c) = (before(&line), *above.get(at)?, before(above));
        let guess = match filter {
            0 => 0,
            1 => a,
            2 => b,
            3 => ((u16::from(a) + u16::from(b)) / 2) as u8,
            4 => paeth(a, b, c),
            _ => return None,
        };
        line.push(byte.wrapping_add(guess));
    }
    Some(line)
}

/// Of three neighbours the one that is nearest to their sum.
fn paeth(a: u8, b: u8, c: u8) -> u8 {
    let whole = [a, b, c].map(i16::from);
    let sum = whole[0] + whole[1] - whole[2];
    let [near_a, near_b, near_c] = whole.map(|value| (sum - value).abs());
    match (near_a <= near_b && near_a <= near_c, near_b <= near_c) {
        (true, _) => a,
        (_, true) => b,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], name, data, &[0; 4]].concat()
    }

    /// A PNG of two lines of two pixels, the second line filtered by `filter`.
    fn png(filter: u8, second: [u8; 8]) -> Vec<u8> {
        let mut raw = vec![0, 10, 20, 30, 255, 200, 210, 220, 64, filter];
        raw.extend(second);
        let size = [
            &2u32.to_be_bytes()[..],
            &2u32.to_be_bytes(),
            &[8, 6, 0, 0, 0],
        ]
        .concat();
        let data = miniz_oxide::deflate::compress_to_vec_zlib(&raw, 6);
        let chunks = [
            chunk(b"IHDR", &size),
            chunk(b"IDAT", &data),
            chunk(b"IEND", &[]),
        ];
        [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat()
    }

    #[test]
    fn pixels_that_are_covered_in_part_keep_their_colour() {
        let page = Page::read(&png(2, [0, 0, 0, 0, 56, 46, 36, 192]))
            .map(|page| [(0, 0), (1, 0), (0, 1), (1, 1), (9, 9)].map(|(x, y)| page.pixel(x, y)));
        let covered = [200, 210, 220];
        let expected = [[10, 20, 30], covered, [10, 20, 30], [255; 3], [255; 3]];
        assert_eq!(page, Some(expected));
    }

    #[test]
    fn every_filter_is_undone() {
        let last = |filter, bytes| Page::read(&png(filter, bytes)).map(|page| page.pixel(1, 1));
        assert_eq!(last(0, [9, 9, 9, 9, 1, 2, 3, 4]), Some([1, 2, 3]));
        assert_eq!(last(1, [1, 2, 3, 4, 1, 1, 1, 1]), Some([2, 3, 4]));
        assert_eq!(last(3, [1, 2, 3, 4, 1, 1, 1, 1]), Some([104, 112, 120]));
        assert_eq!(last(4, [1, 2, 3, 4, 1, 1, 1, 1]), Some([201, 211, 221]));
        assert_eq!(last(5, [0; 8]), None);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let whole = png(0, [0; 8]);
        for cut in 0..whole.len() - 12 {
            assert!(Page::read(&whole[..cut]).is_none(), "{cut}");
        }
    }
}
