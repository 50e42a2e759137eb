//! What the products are made of: a lane for each of the sixteen rows of a panel.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Rows of a panel.
pub(super) const LANES: usize = 16;

/// Four bytes for each lane.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 4 * LANES]);

/// An f16 for each lane.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(super) struct Halves(pub(super) [f16; LANES]);

/// Vectors of a machine.
///
/// Float operations round once each and are never fused: that gives every machine the same bits.
///
/// # Safety
/// Of all functions: the machine must have the instructions of the type.
pub(super) trait Vectors {
    /// Rows of the input that a tile takes, at most 8.
    const ROWS: usize;
    type Bytes: Copy;
    type Ints: Copy;
    type Floats: Copy;

    unsafe fn load(from: &Line) -> Self::Bytes;

    /// Asks for the cache lines of a value, in order: where loads come in whatever order the processor likes, memory
    /// is read a third slower.
    #[inline(always)]
    unsafe fn prefetch<T>(_: &T) {}

    /// The low four bits of each byte.
    unsafe fn low(bytes: Self::Bytes) -> Self::Bytes;

    /// The high four bits of each byte.
    unsafe fn high(bytes: Self::Bytes) -> Self::Bytes;

    /// Bits `2·PAIR` and `2·PAIR + 1` of each byte of `bits`, as bits 4 and 5 above `low`.
    unsafe fn with_pair<const PAIR: usize>(low: Self::Bytes, bits: Self::Bytes) -> Self::Bytes;

    /// Both.
    unsafe fn or(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;

    /// Each pair of bytes moved `left` bits (right where negative), then those of `mask` in each byte. `left` is
    /// known to the compiler, and bits that cross bytes are masked.
    unsafe fn field(bytes: Self::Bytes, left: i32, mask: u8) -> Self::Bytes;

    /// What sums of products start from: `start` is minus the offset of the weights times the sum of the input.
    unsafe fn start(start: i32, wide: bool) -> Self::Ints;

    /// Adds to each lane the products of its four bytes, unsigned, with those of `x`; bytes below 64 unless `wide`.
    unsafe fn dot(sums: Self::Ints, bytes: Self::Bytes, x: [i8; 4], wide: bool) -> Self::Ints;

    unsafe fn floats(ints: Self::Ints) -> Self::Floats;

    /// Byte `BYTE` of each lane.
    unsafe fn byte<const BYTE: usize>(bytes: Self::Bytes) -> Self::Floats;

    unsafe fn halves(from: &Halves) -> Self::Floats;

    unsafe fn unsigned(from: &[u8; LANES]) -> Self::Floats;

    unsafe fn signed(from: &[i8; LANES]) -> Self::Floats;

    unsafe fn splat(value: f32) -> Self::Floats;

    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;

    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats;

    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;

    unsafe fn array(floats: Self::Floats) -> [f32; LANES];
}

/// Arrays, for any machine.
pub(super) struct Portable;

impl Vectors for Portable {
    const ROWS: usize = 4;
    type Bytes = [u8; 4 * LANES];
    type Ints = [i32; LANES];
    type Floats = [f32; LANES];

    #[inline(always)]
    unsafe fn load(from: &Line) -> Self::Bytes {
        from.0
    }

    #[inline(always)]
    unsafe fn low(bytes: Self::Bytes) -> Self::Bytes {
        bytes.map(|byte| byte & 15)
    }

    #[inline(always)]
    unsafe fn high(bytes: Self::Bytes) -> Self::Bytes {
        bytes.map(|byte| byte >> 4)
    }

    #[inline(always)]
    unsafe fn with_pair<const PAIR: usize>(mut low: Self::Bytes, bits: Self::Bytes) -> Self::Bytes {
        for (low, bits) in low.iter_mut().zip(bits) {
            *low |= (bits >> (2 * PAIR) & 3) << 4;
        }
        low
    }

    #[inline(always)]
    unsafe fn or(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        std::array::from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    unsafe fn field(bytes: Self::Bytes, left: i32, mask: u8) -> Self::Bytes {
        bytes.map(|byte| {
            let moved = match left {
                0.. => byte << left,
                _ => byte >> -left,
            };
            moved & mask
        })
    }

    #[inline(always)]
    unsafe fn start(start: i32, _: bool) -> Self::Ints {
        [start; LANES]
    }

    #[inline(always)]
    unsafe fn dot(mut sums: Self::Ints, bytes: Self::Bytes, x: [i8; 4], _: bool) -> Self::Ints {
        for (l, sum) in sums.iter_mut().enumerate() {
            for (j, &x) in x.iter().enumerate() {
                *sum += i32::from(bytes[4 * l + j]) * i32::from(x);
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn floats(ints: Self::Ints) -> Self::Floats {
        ints.map(|int| int as f32)
    }

    #[inline(always)]
    unsafe fn byte<const BYTE: usize>(bytes: Self::Bytes) -> Self::Floats {
        std::array::from_fn(|l| f32::from(bytes[4 * l + BYTE]))
    }

    #[inline(always)]
    unsafe fn halves(from: &Halves) -> Self::Floats {
        let mut floats = [0.0; LANES];
        from.0.convert_to_f32_slice(&mut floats);
        floats
    }

    #[inline(always)]
    unsafe fn unsigned(from: &[u8; LANES]) -> Self::Floats {
        from.map(f32::from)
    }

    #[inline(always)]
    unsafe fn signed(from: &[i8; LANES]) -> Self::Floats {
        from.map(f32::from)
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::Floats {
        [value; LANES]
    }

    #[inline(always)]
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|l| a[l] + b[l])
    }

    #[inline(always)]
    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|l| a[l] - b[l])
    }

    #[inline(always)]
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|l| a[l] * b[l])
    }

    #[inline(always)]
    unsafe fn array(floats: Self::Floats) -> [f32; LANES] {
        floats
    }
}
