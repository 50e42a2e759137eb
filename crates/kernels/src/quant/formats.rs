//! The formats as they are kept in memory: what lies in a panel, and how products read it.

use half::f16;

use super::vectors::{Halves, LANES, Line, Vectors};

/// Steps of a block: each takes four values of a row.
pub(super) const STEPS: usize = super::BLOCK / 4;

/// Factors for the first and the second half of a block, and what is added to each value of them.
pub(super) struct Scales<V: Vectors> {
    pub(super) factors: [V::Floats; 2],
    pub(super) shifts: [V::Floats; 2],
}

/// A format. A value is `factor · (q − OFFSET) + shift`, with q unsigned.
pub(super) trait Format: Send + Sync + 'static {
    /// Quantised values of 32 columns of a panel.
    type Block: Copy + Send + Sync;
    /// Scales of `BLOCKS` blocks of a panel.
    type Header: Copy + Send + Sync;
    const EMPTY: (Self::Block, Self::Header);
    /// Blocks that have one header; a block of the file holds as many.
    const BLOCKS: usize;
    /// Whether the halves of a block have factors of their own.
    const SPLIT: bool = false;
    /// Whether there are shifts.
    const SHIFTED: bool = false;
    /// Whether q takes more than six bits.
    const WIDE: bool = false;
    const OFFSET: i32 = 0;

    /// Writes q of a row (`lane`) and a column.
    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8);

    /// All q of a block: for each step, four bytes a lane.
    ///
    /// # Safety
    /// The machine must have the instructions of `V`.
    unsafe fn unpack<V: Vectors>(block: &Self::Block) -> [V::Bytes; STEPS];

    /// Scales of block number `index` of the header.
    ///
    /// # Safety
    /// As for [`Format::unpack`].
    unsafe fn scales<V: Vectors>(header: &Self::Header, index: usize) -> Scales<V>;
}

pub(super) const ZEROS: Line = Line([0; 4 * LANES]);
pub(super) const NO_SCALES: Halves = Halves([f16::ZERO; LANES]);

/// The byte of a line that belongs to a row and a column.
pub(super) fn place(lane: usize, column: usize) -> usize {
    4 * lane + column % 4
}

/// Writes four bits: those of the first sixteen columns are the low ones of a byte.
pub(super) fn put_four(lines: &mut [Line], lane: usize, column: usize, q: u8) {
    let byte = &mut lines[column / 4 % 4].0[place(lane, column)];
    *byte |= q << (4 * (column / 16));
}

/// Bytes made of four bits.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn unpack_four<V: Vectors>(lines: [&Line; 4]) -> [V::Bytes; STEPS] {
    // SAFETY: handed down.
    unsafe {
        let [a, b, c, d] = [
            V::load(lines[0]),
            V::load(lines[1]),
            V::load(lines[2]),
            V::load(lines[3]),
        ];
        [
            V::low(a),
            V::low(b),
            V::low(c),
            V::low(d),
            V::high(a),
            V::high(b),
            V::high(c),
            V::high(d),
        ]
    }
}

/// One factor for the whole block, and no shift.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn plain<V: Vectors>(factors: &Halves) -> Scales<V> {
    // SAFETY: handed down.
    unsafe {
        Scales {
            factors: [V::halves(factors); 2],
            shifts: [V::splat(0.0); 2],
        }
    }
}

/// Bytes as they are.
#[derive(Clone)]
pub(super) struct Q8_0;

impl Format for Q8_0 {
    type Block = [Line; STEPS];
    type Header = Halves;
    const EMPTY: (Self::Block, Self::Header) = ([ZEROS; STEPS], NO_SCALES);
    const BLOCKS: usize = 1;
    const WIDE: bool = true;
    const OFFSET: i32 = 128;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        block[column / 4].0[place(lane, column)] = q;
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>(block: &Self::Block) -> [V::Bytes; STEPS] {
        let [a, b, c, d, e, f, g, h] = block;
        // SAFETY: handed down.
        unsafe {
            [
                V::load(a),
                V::load(b),
                V::load(c),
                V::load(d),
                V::load(e),
                V::load(f),
                V::load(g),
                V::load(h),
            ]
        }
    }

    #[inline(always)]
    unsafe fn scales<V: Vectors>(header: &Self::Header, _: usize) -> Scales<V> {
        // SAFETY: handed down.
        unsafe { plain(header) }
    }
}

/// Two columns in a byte, sixteen apart.
#[derive(Clone)]
pub(super) struct Q4_0;

impl Format for Q4_0 {
    type Block = [Line; 4];
    type Header = Halves;
    const EMPTY: (Self::Block, Self::Header) = ([ZEROS; 4], NO_SCALES);
    const BLOCKS: usize = 1;
    const OFFSET: i32 = 8;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_four(block, lane, column, q);
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>(block: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe { unpack_four::<V>(block.each_ref()) }
    }

    #[inline(always)]
    unsafe fn scales<V: Vectors>(header: &Self::Header, _: usize) -> Scales<V> {
        // SAFETY: handed down.
        unsafe { plain(header) }
    }
}

/// As [`Q4_0`], with factors and shifts.
#[derive(Clone)]
pub(super) struct Q4_1;

impl Format for Q4_1 {
    type Block = [Line; 4];
    type Header = [Halves; 2];
    const EMPTY: (Self::Block, Self::Header) = ([ZEROS; 4], [NO_SCALES; 2]);
    const BLOCKS: usize = 1;
    const SHIFTED: bool = true;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_four(block, lane, column, q);
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>(block: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe { unpack_four::<V>(block.each_ref()) }
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

/// As [`Q4_0`], with integer factors and shifts for each block.
#[derive(Clone)]
pub(super) struct Q4K;

/// Scales of eight blocks.
#[derive(Clone, Copy)]
pub(super) struct HeaderQ4K {
    pub(super) d: Halves,
    pub(super) d_min: Halves,
    /// Factor and shift of each block, in units of `d` and `−d_min`.
    pub(super) blocks: [[[u8; LANES]; 2]; 8],
}

impl Format for Q4K {
    type Block = [Line; 4];
    type Header = HeaderQ4K;
    const EMPTY: (Self::Block, Self::Header) = ([ZEROS; 4], HeaderQ4K::EMPTY);
    const BLOCKS: usize = 8;
    const SHIFTED: bool = true;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_four(block, lane, column, q);
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>(block: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe { unpack_four::<V>(block.each_ref()) }
    }

    #[inline(always)]
    unsafe fn scales<V: Vectors>(header: &Self::Header, index: usize) -> Scales<V> {
        // SAFETY: handed down.
        unsafe { header.scales(index) }
    }
}

/// Four bits as in [`Q4_0`], then two lines with the upper two bits of four steps each.
#[derive(Clone)]
pub(super) struct Q6K;

/// Scales of eight blocks.
#[derive(Clone, Copy)]
pub(super) struct HeaderQ6K {
    pub(super) d: Halves,
    /// Factors of the halves of each block, in units of `d`.
    pub(super) blocks: [[[i8; LANES]; 2]; 8],
}

impl Format for Q6K {
    type Block = [Line; 6];
    type Header = HeaderQ6K;
    const EMPTY: (Self::Block, Self::Header) = (
        [ZEROS; 6],
        HeaderQ6K {
            d: NO_SCALES,
            blocks: [[[0; LANES]; 2]; 8],
        },
    );
    const BLOCKS: usize = 8;
    const SPLIT: bool = true;
    const OFFSET: i32 = 32;

    fn put(block: &mut Self::Block, lane: usize, column: usize, q: u8) {
        put_four(block, lane, column, q & 15);
        let byte = &mut block[4 + column / 16].0[place(lane, column)];
        *byte |= (q >> 4) << (2 * (column / 4 % 4));
    }

    #[inline(always)]
    unsafe fn unpack<V: Vectors>([a, b, c, d, e, f]: &Self::Block) -> [V::Bytes; STEPS] {
        // SAFETY: handed down.
        unsafe {
            let low = unpack_four::<V>([a, b, c, d]);
            let (first, second) = (V::load(e), V::load(f));
            [
                V::with_pair::<0>(low[0], first),
                V::with_pair::<1>(low[1], first),
                V::with_pair::<2>(low[2], first),
                V::with_pair::<3>(low[3], first),
                V::with_pair::<0>(low[4], second),
                V::with_pair::<1>(low[5], second),
                V::with_pair::<2>(low[6], second),
                V::with_pair::<3>(low[7], second),
            ]
        }
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
