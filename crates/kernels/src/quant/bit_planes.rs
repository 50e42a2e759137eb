//! Formats whose values are put together from parts: low bits in one place, the highest bit in another.

use super::formats::{
    Format, HeaderQ4K, NO_SCALES, STEPS, Scales, ZEROS, place, plain, put_four, unpack_four,
};
use super::gguf::{Stored, fours, half, six_bits};
use super::vectors::{Halves, LANES, Line, Vectors};

/// Adds bit `step` of each byte of `line` to the values of each step, at bit `to`.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn with_bits<V: Vectors>(
    mut values: [V::Bytes; STEPS],
    line: &Line,
    to: i32,
) -> [V::Bytes; STEPS] {
    // SAFETY: handed down.
    unsafe {
        let bits = V::load(line);
        for (step, value) in values.iter_mut().enumerate() {
            *value = V::or(*value, V::field(bits, to - step as i32, 1 << to));
        }
    }
    values
}

/// Writes the bit of a column.
fn put_bit(line: &mut Line, lane: usize, column: usize, bit: u8) {
    line.0[place(lane, column)] |= bit << (column / 4);
}

/// Five bits: four as in [`super::formats::Q4_0`], then a line with the highest bits.
type Five = [Line; 5];

fn put_five(block: &mut Five, lane: usize, column: usize, q: u8) {
    put_four(block, lane, column, q & 15);
    put_bit(&mut block[4], lane, column, q >> 4);
}

/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn unpack_five<V: Vectors>([a, b, c, d, e]: &Five) -> [V::Bytes; STEPS] {
    // SAFETY: handed down.
    unsafe { with_bits::<V>(unpack_four::<V>([a, b, c, d]), e, 4) }
}

/// Two bits: byte by byte for four steps in each of two lines.
fn put_two(lines: &mut [Line], lane: usize, column: usize, q: u8) {
    lines[column / 16].0[place(lane, column)] |= q << (2 * (column / 4 % 4));
}

/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn unpack_two<V: Vectors>(first: &Line, second: &Line) -> [V::Bytes; STEPS] {
    // SAFETY: handed down.
    unsafe {
        let lines = [V::load(first), V::load(second)];
        let two = |step: usize| V::field(lines[step / 4], -2 * (step as i32 % 4), 3);
        [
            two(0),
            two(1),
            two(2),
            two(3),
            two(4),
            two(5),
            two(6),
            two(7),
        ]
    }
}

/// Sets the fifth bits of 32 values.
fn fifth_bits(bytes: &[u8], q: &mut [u8]) {
    for (i, q) in q.iter_mut().enumerate() {
        *q |= (bytes[i / 8] >> (i % 8) & 1) << 4;
    }
}

/// Two bits of each of 128 values, from 32 bytes.
fn twos(bytes: &[u8], q: &mut [u8]) {
    for (i, q) in q.iter_mut().enumerate() {
        *q = bytes[i % 32] >> (2 * (i / 32)) & 3;
    }
}

/// `d·(q − 16)`.
#[derive(Clone)]
pub(super) struct Q5_0;

impl Format for Q5_0 {
    type Block = Five;
    type Header = Halves;
    const EMPTY: (Self::Block, Self::Header) = ([ZEROS; 5], NO_SCALES);
    const BLOCKS: usize = 1;
    const OFFSET: i32 = 16;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_five(block, lane, column, q);
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>(block: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe { unpack_five::<V>(block) }
    }

    #[inline(always)]
    unsafe fn scales<V: Vectors>(header: &Self::Header, _: usize) -> Scales<V> {
        // SAFETY: handed down.
        unsafe { plain(header) }
    }
}

impl Stored for Q5_0 {
    const BYTES: usize = 22;

    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]) {
        half(bytes, 0, lane, header);
        fours(&bytes[6..], q);
        fifth_bits(&bytes[2..6], q);
    }
}

/// `d·q + m`.
#[derive(Clone)]
pub(super) struct Q5_1;

impl Format for Q5_1 {
    type Block = Five;
    type Header = [Halves; 2];
    const EMPTY: (Self::Block, Self::Header) = ([ZEROS; 5], [NO_SCALES; 2]);
    const BLOCKS: usize = 1;
    const SHIFTED: bool = true;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_five(block, lane, column, q);
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>(block: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe { unpack_five::<V>(block) }
    }

    #[inline(always)]
    unsafe fn scales<V: Vectors>([factors, shifts]: &Self::Header, _: usize) -> Scales<V> {
        // SAFETY: handed down.
        unsafe {
            Scales {
                factors: [V::halves(factors); 2],
                shifts: [V::halves(shifts); 2],
            }
        }
    }
}

impl Stored for Q5_1 {
    const BYTES: usize = 24;

    fn read(bytes: &[u8], lane: usize, [factors, shifts]: &mut Self::Header, q: &mut [u8]) {
        half(bytes, 0, lane, factors);
        half(bytes, 2, lane, shifts);
        fours(&bytes[8..], q);
        fifth_bits(&bytes[4..8], q);
    }
}

/// As `Q4K`, with a fifth bit.
#[derive(Clone)]
pub(super) struct Q5K;

impl Format for Q5K {
    type Block = Five;
    type Header = HeaderQ4K;
    const EMPTY: (Self::Block, Self::Header) = ([ZEROS; 5], HeaderQ4K::EMPTY);
    const BLOCKS: usize = 8;
    const SHIFTED: bool = true;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_five(block, lane, column, q);
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>(block: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe { unpack_five::<V>(block) }
    }

    #[inline(always)]
    unsafe fn scales<V: Vectors>(header: &Self::Header, index: usize) -> Scales<V> {
        // SAFETY: handed down.
        unsafe { header.scales(index) }
    }
}

impl Stored for Q5K {
    const BYTES: usize = 176;

    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]) {
        header.read(bytes, lane);
        let (highest, values) = bytes[16..].split_at(32);
        for (values, q) in values.chunks_exact(32).zip(q.chunks_exact_mut(64)) {
            fours(values, q);
        }
        for (group, q) in q.chunks_exact_mut(32).enumerate() {
            for (q, byte) in q.iter_mut().zip(highest) {
                *q |= (byte >> group & 1) << 4;
            }
        }
    }
}

/// `d·s·q − e·m`, with s and m of four bits for 16 values.
#[derive(Clone)]
pub(super) struct Q2K;

/// Scales of eight blocks.
#[derive(Clone, Copy)]
pub(super) struct HeaderQ2K {
    d: Halves,
    d_min: Halves,
    /// Of the halves of each block: the factor in the low bits, the shift in the high ones.
    blocks: [[[u8; LANES]; 2]; 8],
}

impl Format for Q2K {
    type Block = [Line; 2];
    type Header = HeaderQ2K;
    const EMPTY: (Self::Block, Self::Header) = (
        [ZEROS; 2],
        HeaderQ2K {
            d: NO_SCALES,
            d_min: NO_SCALES,
            blocks: [[[0; LANES]; 2]; 8],
        },
    );
    const BLOCKS: usize = 8;
    const SPLIT: bool = true;
    const SHIFTED: bool = true;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_two(block, lane, column, q);
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>([first, second]: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe { unpack_two::<V>(first, second) }
    }

    #[inline(always)]
    unsafe fn scales<V: Vectors>(header: &Self::Header, index: usize) -> Scales<V> {
        let [first, second] = &header.blocks[index];
        // SAFETY: handed down.
        unsafe {
            let (d, d_min) = (V::halves(&header.d), V::halves(&header.d_min));
            let factor = |both: &[u8; LANES]| V::mul(d, V::unsigned(&both.map(|both| both & 15)));
            let shift = |both: &[u8; LANES]| {
                let min = V::mul(d_min, V::unsigned(&both.map(|both| both >> 4)));
                V::sub(V::splat(0.0), min)
            };
            Scales {
                factors: [factor(first), factor(second)],
                shifts: [shift(first), shift(second)],
            }
        }
    }
}

impl Stored for Q2K {
    const BYTES: usize = 84;

    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]) {
        half(bytes, 80, lane, &mut header.d);
        half(bytes, 82, lane, &mut header.d_min);
        for (i, byte) in bytes[..16].iter().enumerate() {
            header.blocks[i / 2][i % 2][lane] = *byte;
        }
        for (bytes, q) in bytes[16..80].chunks_exact(32).zip(q.chunks_exact_mut(128)) {
            twos(bytes, q);
        }
    }
}

/// `d·(s − 32)·(q − 4)`, with s of six bits for 16 values.
#[derive(Clone)]
pub(super) struct Q3K;

/// Scales of eight blocks.
#[derive(Clone, Copy)]
pub(super) struct HeaderQ3K {
    d: Halves,
    /// Factors of the halves of each block, in units of `d`.
    blocks: [[[i8; LANES]; 2]; 8],
}

impl Format for Q3K {
    type Block = [Line; 3];
    type Header = HeaderQ3K;
    const EMPTY: (Self::Block, Self::Header) = (
        [ZEROS; 3],
        HeaderQ3K {
            d: NO_SCALES,
            blocks: [[[0; LANES]; 2]; 8],
        },
    );
    const BLOCKS: usize = 8;
    const SPLIT: bool = true;
    const OFFSET: i32 = 4;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_two(block, lane, column, q & 3);
        put_bit(&mut block[2], lane, column, q >> 2);
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>([first, second, highest]: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe { with_bits::<V>(unpack_two::<V>(first, second), highest, 2) }
    }

    #[inline(always)]
    unsafe fn scales<V: Vectors>(header: &Self::Header, index: usize) -> Scales<V> {
        let [first, second] = &header.blocks[index];
        // SAFETY: handed down.
        unsafe {
            let d = V::halves(&header.d);
            Scales {
                factors: [V::mul(d, V::signed(first)), V::mul(d, V::signed(second))],
                shifts: [V::splat(0.0); 2],
            }
        }
    }
}

impl Stored for Q3K {
    const BYTES: usize = 110;

    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]) {
        half(bytes, 108, lane, &mut header.d);
        let scales = &bytes[96..108];
        for i in 0..16 {
            let low = match i {
                0..8 => scales[i] & 15,
                _ => scales[i - 8] >> 4,
            };
            let high = scales[8 + i % 4] >> (2 * (i / 4)) & 3;
            header.blocks[i / 2][i % 2][lane] = (low | high << 4).cast_signed() - 32;
        }
        for (bytes, q) in bytes[32..96].chunks_exact(32).zip(q.chunks_exact_mut(128)) {
            twos(bytes, q);
        }
        for (group, q) in q.chunks_exact_mut(32).enumerate() {
            for (q, byte) in q.iter_mut().zip(&bytes[..32]) {
                *q |= (byte >> group & 1) << 2;
            }
        }
    }
}

/// Factor and shift of eight blocks as in `Q4K`.
impl HeaderQ4K {
    pub(super) const EMPTY: Self = Self {
        d: NO_SCALES,
        d_min: NO_SCALES,
        blocks: [[[0; LANES]; 2]; 8],
    };

    /// Reads the first 16 bytes of a block.
    pub(super) fn read(&mut self, bytes: &[u8], lane: usize) {
        half(bytes, 0, lane, &mut self.d);
        half(bytes, 2, lane, &mut self.d_min);
        for (b, [factor, shift]) in self.blocks.iter_mut().enumerate() {
            (factor[lane], shift[lane]) = six_bits(&bytes[4..16], b);
        }
    }

    /// # Safety
    /// The machine must have the instructions of `V`.
    #[inline(always)]
    pub(super) unsafe fn scales<V: Vectors>(&self, index: usize) -> Scales<V> {
        let [factors, shifts] = &self.blocks[index];
        // SAFETY: handed down.
        unsafe {
            let factors = V::mul(V::halves(&self.d), V::unsigned(factors));
            let shifts = V::mul(V::halves(&self.d_min), V::unsigned(shifts));
            Scales {
                factors: [factors; 2],
                shifts: [V::sub(V::splat(0.0), shifts); 2],
            }
        }
    }
}
