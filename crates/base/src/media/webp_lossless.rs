//! How much memory the prefix codes of a lossless WebP take, counted before anything is unpacked.
//!
//! A picture may be told to have 65,536 groups of five prefix codes, each of which fits into a few bytes of the file and takes
//! up to 70 KB once it is a table: 2 MB of file for 4 GB of memory. So the stream is read here as far as its codes go
//! ([specification](https://developers.google.com/speed/webp/docs/webp_lossless_bitstream_specification), sections 4 to 6); the
//! pixels behind them are not. What cannot be read counts nothing: the decoder finds it too, at the same place.

use std::sync::LazyLock;

/// The order in which lengths of the code of lengths are written.
const LENGTH_ORDER: [usize; 19] = [
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];
/// Symbols of the five codes of a group: green with lengths of copies, red, blue, alpha, distances. Colours of the cache come on
/// top of the first.
const SYMBOLS: [usize; 5] = [256 + 24, 256, 256, 256, 40];
/// Bits that the decoder looks up at a time; longer codes go on in a tree.
const TABLE_BITS: usize = 10;
/// Bytes of a table's entry, of a tree's node, and of a code without either.
const ENTRY: u64 = 4;
const NODE: u64 = 16;
const CODE: u64 = 64;

/// Bytes that the decoder takes for the prefix codes of `stream`, counted up to `most` and not further. `size` is given where the
/// stream does not say it, as in alpha planes.
pub(super) fn code_bytes(stream: &[u8], size: Option<(u32, u32)>, most: u64) -> u64 {
    let mut reader = Reader {
        bytes: stream,
        at: 0,
        counted: 0,
        most,
    };
    let _ = reader.codes(size);
    reader.counted
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
    counted: u64,
    most: u64,
}

/// A prefix code: how many symbols have each length, and the symbols by length.
struct Code {
    counts: [usize; 16],
    symbols: Vec<u16>,
}

/// The colours that were seen, by a hash.
struct Cache {
    bits: u32,
    colours: Vec<[u8; 4]>,
}

impl Reader<'_> {
    /// Counts all codes, and gives the number of groups; none where the stream ends or is wrong, or enough was counted.
    fn codes(&mut self, size: Option<(u32, u32)>) -> Option<u32> {
        let (mut width, height) = match size {
            Some(size) => size,
            None => {
                (self.bits(8)? == 0x2F).then_some(())?;
                let size = (self.bits(14)? + 1, self.bits(14)? + 1);
                self.bits(4)?;
                size
            }
        };
        let mut seen = [false; 4];
        while self.bits(1)? == 1 {
            let kind = self.bits(2)? as usize;
            if std::mem::replace(seen.get_mut(kind)?, true) {
                return None;
            }
            match kind {
                0 | 1 => {
                    let bits = self.bits(3)? + 2;
                    self.image(shrunk(width, bits), shrunk(height, bits))?;
                }
                3 => {
                    let colours = self.bits(8)? + 1;
                    self.image(colours, 1)?;
                    // Several pixels of few colours share a byte.
                    let bits = match colours {
                        ..=2 => 3,
                        3..=4 => 2,
                        5..=16 => 1,
                        _ => 0,
                    };
                    width = shrunk(width, bits);
                }
                _ => {}
            }
        }
        let cache = self.cache_bits()?;
        let mut groups = 1;
        if self.bits(1)? == 1 {
            let bits = self.bits(3)? + 2;
            let numbers = self.image(shrunk(width, bits), shrunk(height, bits))?;
            let number = |pixel: &[u8; 4]| u32::from(u16::from_be_bytes([pixel[0], pixel[1]]));
            groups += numbers.iter().map(number).max()?;
        }
        for _ in 0..groups {
            self.group(cache)?;
        }
        Some(groups)
    }

    /// The next `count` bits, at most 24, the first one lowest.
    fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        let (from, shift) = (self.at / 8, self.at % 8);
        for (place, index) in (from..=(self.at + count as usize).div_ceil(8)).enumerate() {
            let byte = self.bytes.get(index).copied().unwrap_or(0);
            value |= u64::from(byte) << (8 * place);
        }
        self.at += count as usize;
        let value = (value >> shift) & ((1 << count) - 1);
        (self.at <= 8 * self.bytes.len()).then_some(value as u32)
    }

    fn cache_bits(&mut self) -> Option<u32> {
        match self.bits(1)? {
            0 => Some(0),
            _ => self.bits(4).filter(|bits| (1..=11).contains(bits)),
        }
    }

    /// The five codes of a group.
    fn group(&mut self, cache: u32) -> Option<[Code; 5]> {
        let colours = if cache > 0 { 1 << cache } else { 0 };
        Some([
            self.code(SYMBOLS[0] + colours)?,
            self.code(SYMBOLS[1])?,
            self.code(SYMBOLS[2])?,
            self.code(SYMBOLS[3])?,
            self.code(SYMBOLS[4])?,
        ])
    }

    /// A code of `symbols` symbols, counted in; none where enough was counted.
    fn code(&mut self, symbols: usize) -> Option<Code> {
        let code = match self.bits(1)? {
            1 => {
                let two = self.bits(1)? == 1;
                let wide = self.bits(1)?;
                let first = self.bits(1 + 7 * wide)? as u16;
                let mut all = vec![first];
                if two {
                    all.push(self.bits(8)? as u16);
                }
                let known = all.iter().all(|symbol| usize::from(*symbol) < symbols);
                known.then(|| Code::short(all))?
            }
            _ => Code::new(&self.lengths(symbols)?)?,
        };
        self.counted += code.bytes();
        (self.counted <= self.most).then_some(code)
    }

    /// The lengths of a code's symbols, themselves in a code.
    fn lengths(&mut self, symbols: usize) -> Option<Vec<u8>> {
        let mut own = [0; LENGTH_ORDER.len()];
        let there = self.bits(4)? as usize + 4;
        for place in LENGTH_ORDER.get(..there)? {
            own[*place] = self.bits(3)? as u8;
        }
        let code = Code::new(&own)?;
        let mut left = symbols;
        if self.bits(1)? == 1 {
            let bits = 2 + 2 * self.bits(3)?;
            left = self.bits(bits)? as usize + 2;
            (left <= symbols).then_some(())?;
        }
        let (mut lengths, mut last) = (Vec::with_capacity(symbols), 8);
        while lengths.len() < symbols && left > 0 {
            left -= 1;
            let (times, length) = match self.symbol(&code)? {
                16 => (self.bits(2)? + 3, last),
                17 => (self.bits(3)? + 3, 0),
                18 => (self.bits(7)? + 11, 0),
                length => {
                    let length = length as u8;
                    last = if length == 0 { last } else { length };
                    (1, length)
                }
            };
            lengths.extend((0..times).map(|_| length));
        }
        (lengths.len() <= symbols).then_some(lengths)
    }

    /// The next symbol of a code.
    fn symbol(&mut self, code: &Code) -> Option<u16> {
        if let [only] = code.symbols[..] {
            return Some(only);
        }
        let (mut value, mut first, mut before) = (0, 0, 0);
        for &count in code.counts.get(1..)? {
            value = 2 * value + self.bits(1)? as usize;
            first *= 2;
            if value < first + count {
                return code.symbols.get(before + value - first).copied();
            }
            before += count;
            first += count;
        }
        None
    }

    /// The pixels, as red, green, blue and alpha, of one of the small pictures that stand before the large one.
    fn image(&mut self, width: u32, height: u32) -> Option<Vec<[u8; 4]>> {
        let bits = self.cache_bits()?;
        let [green, red, blue, alpha, distances] = self.group(bits)?;
        let mut cache = Cache {
            bits,
            colours: vec![[0; 4]; if bits > 0 { 1 << bits } else { 0 }],
        };
        let count = width as usize * height as usize;
        let mut pixels: Vec<[u8; 4]> = Vec::with_capacity(count);
        while pixels.len() < count {
            let code = self.symbol(&green)?;
            if code < 256 {
                let mut part = |code: &Code| self.symbol(code).map(|value| value as u8);
                let (red, blue, alpha) = (part(&red)?, part(&blue)?, part(&alpha)?);
                pixels.push([red, code as u8, blue, alpha]);
                cache.insert(pixels.last()?);
            } else if usize::from(code) < SYMBOLS[0] {
                let length = self.number(code - 256)?;
                let distance = self.symbol(&distances)?;
                let distance = near(self.number(distance)?, width as usize);
                let start = pixels.len().checked_sub(distance)?;
                (length <= count - pixels.len()).then_some(())?;
                for at in start..start + length {
                    let pixel = *pixels.get(at)?;
                    pixels.push(pixel);
                    cache.insert(&pixel);
                }
            } else {
                pixels.push(*cache.colours.get(usize::from(code) - SYMBOLS[0])?);
            }
        }
        Some(pixels)
    }

    /// A length or distance from its prefix.
    fn number(&mut self, prefix: u16) -> Option<usize> {
        if prefix < 4 {
            return Some(usize::from(prefix) + 1);
        }
        let extra = u32::from((prefix - 2) >> 1);
        let offset = (2 + (usize::from(prefix) & 1)) << extra;
        Some(offset + self.bits(extra)? as usize + 1)
    }
}

impl Code {
    /// One symbol, or two of one bit each, in this order.
    fn short(symbols: Vec<u16>) -> Self {
        let mut counts = [0; 16];
        counts[1] = symbols.len();
        Self { counts, symbols }
    }

    /// The code of `lengths`; none where it has no symbol, or not exactly as many as it can have.
    fn new(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0; 16];
        for &length in lengths {
            *counts.get_mut(usize::from(length))? += 1;
        }
        counts[0] = 0;
        let mut symbols = Vec::with_capacity(counts.iter().sum());
        for length in 1..16 {
            let of_length = lengths.iter().zip(0..).filter(|(own, _)| **own == length);
            symbols.extend(of_length.map(|(_, symbol): (_, u16)| symbol));
        }
        let free = counts
            .iter()
            .skip(1)
            .try_fold(1_usize, |free, count| (2 * free).checked_sub(*count));
        let whole = symbols.len() == 1 || free == Some(0);
        (!symbols.is_empty() && whole).then_some(Self { counts, symbols })
    }

    /// What the decoder takes for it.
    fn bytes(&self) -> u64 {
        if self.symbols.len() == 1 {
            return CODE;
        }
        let longest = (1..16)
            .rev()
            .find(|&length| self.counts[length] > 0)
            .unwrap_or(0);
        let table = 1_u64 << longest.min(TABLE_BITS);
        let long: usize = self.counts.iter().skip(TABLE_BITS + 1).sum();
        // A vector that outgrows its room doubles.
        CODE + ENTRY * table + 2 * NODE * 2 * long as u64
    }
}

impl Cache {
    fn insert(&mut self, pixel: &[u8; 4]) {
        if self.bits == 0 {
            return;
        }
        let [red, green, blue, alpha] = *pixel;
        let hash = u32::from_be_bytes([alpha, red, green, blue]).wrapping_mul(0x1E35_A7BD);
        if let Some(place) = self.colours.get_mut((hash >> (32 - self.bits)) as usize) {
            *place = *pixel;
        }
    }
}

/// How many squares of 2ᵇⁱᵗˢ pixels cover a side.
fn shrunk(side: u32, bits: u32) -> u32 {
    side.div_ceil(1 << bits)
}

/// The distance that a number stands for in a picture of a width: the first 120 are places near the pixel, nearest first, columns
/// to the left and rows up.
fn near(number: usize, width: usize) -> usize {
    static NEAR: LazyLock<Vec<(i32, i32)>> = LazyLock::new(|| {
        let rows = (0..8).flat_map(|up| (-7..=8).map(move |left| (left, up)));
        let mut places: Vec<(i32, i32)> = rows.filter(|&(left, up)| up > 0 || left > 0).collect();
        places.sort_by_key(|&(left, up)| (left * left + up * up, -up, left < 0));
        places
    });
    match NEAR.get(number - 1) {
        None => number - NEAR.len(),
        Some(&(left, up)) => (left + up * width as i32).max(1) as usize,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media::{Image, webp_bytes};

    #[test]
    fn near_places_are_in_the_order_of_the_specification() {
        // Section 5.2.2: 1 is the pixel above, 2 the one to the left, 3 up left, 4 up right; 120 is eight left and seven up.
        let wide = [1, 2, 3, 4, 5, 7, 120, 121, 200].map(|number| near(number, 100));
        assert_eq!(wide, [100, 1, 101, 99, 200, 201, 708, 1, 80]);
        assert_eq!(near(8, 1), 1);
    }

    #[test]
    fn codes_of_real_files_are_read_to_their_end() {
        // Files of libwebp 1.5 by Pillow, with transforms, groups, a cache of colours, and copies in the small pictures.
        for (bytes, wanted) in [
            (
                &include_bytes!("../../tests/fixtures/lossless/groups.webp")[..],
                2..500,
            ),
            (
                include_bytes!("../../tests/fixtures/lossless/few_colours.webp"),
                1..2,
            ),
        ] {
            let mut reader = Reader {
                bytes: &bytes[20..],
                at: 0,
                counted: 0,
                most: u64::MAX,
            };
            // A code that was read from the wrong place would hardly ever be a whole one.
            let groups = reader.codes(None).unwrap();
            assert!(wanted.contains(&groups), "{groups}");
            let each = 5 * CODE..5 * CODE + 40_000;
            assert!(
                each.contains(&(reader.counted / u64::from(groups))),
                "{}",
                reader.counted
            );
        }
        let bytes = webp_bytes(&Image::filled(40, 40, [1, 2, 3]), None).unwrap();
        let counted = code_bytes(&bytes[20..], None, u64::MAX);
        assert!((5 * CODE..50_000).contains(&counted), "{counted}");
    }

    #[test]
    fn damage_is_no_panic() {
        let bytes = include_bytes!("../../tests/fixtures/lossless/groups.webp");
        let mut rng = crate::rng::Rng::new(3);
        for _ in 0..300 {
            let mut stream = bytes[20..].to_vec();
            for _ in 0..1 + rng.below(8) {
                let at = rng.below(stream.len());
                stream[at] = rng.bits() as u8;
            }
            code_bytes(&stream, None, 1 << 24);
            code_bytes(&stream[..rng.below(200)], Some((300, 200)), 1 << 24);
        }
    }
}
