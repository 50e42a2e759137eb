//! Blocks as they lie in a GGUF file. Numbers are little-endian.

use half::f16;

use super::formats::{Format, Q4_0, Q4_1, Q4K, Q6K, Q8_0};
use super::vectors::Halves;

/// How a format lies in a file.
pub(super) trait Stored: Format {
    /// Bytes of a block of the file.
    const BYTES: usize;

    /// Reads a block of one row: its scales into the lane of the header, its q (unsigned) into `q`, which holds as
    /// many values as the block.
    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]);
}

/// Writes the f16 at `at` into a lane.
pub(super) fn half(bytes: &[u8], at: usize, lane: usize, to: &mut Halves) {
    to.0[lane] = f16::from_le_bytes([bytes[at], bytes[at + 1]]);
}

/// Low four bits, then high ones.
pub(super) fn fours(bytes: &[u8], q: &mut [u8]) {
    let (low, high) = q.split_at_mut(bytes.len());
    for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
        *low = byte & 15;
        *high = byte >> 4;
    }
}

impl Stored for Q8_0 {
    const BYTES: usize = 34;

    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]) {
        half(bytes, 0, lane, header);
        for (q, byte) in q.iter_mut().zip(&bytes[2..]) {
            // From signed to unsigned: plus 128.
            *q = byte ^ 0x80;
        }
    }
}

impl Stored for Q4_0 {
    const BYTES: usize = 18;

    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]) {
        half(bytes, 0, lane, header);
        fours(&bytes[2..], q);
    }
}

impl Stored for Q4_1 {
    const BYTES: usize = 20;

    fn read(bytes: &[u8], lane: usize, [factors, shifts]: &mut Self::Header, q: &mut [u8]) {
        half(bytes, 0, lane, factors);
        half(bytes, 2, lane, shifts);
        fours(&bytes[4..], q);
    }
}

impl Stored for Q4K {
    const BYTES: usize = 144;

    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]) {
        header.read(bytes, lane);
        // 64 columns share 32 bytes.
        for (values, q) in bytes[16..].chunks_exact(32).zip(q.chunks_exact_mut(64)) {
            fours(values, q);
        }
    }
}

/// Factor and shift of block `b`: whole in the first eight bytes for the first four blocks; for the others, four
/// bits in the last four bytes and two on top of the first eight.
pub(super) fn six_bits(scales: &[u8], b: usize) -> (u8, u8) {
    if b < 4 {
        return (scales[b] & 63, scales[b + 4] & 63);
    }
    let low = scales[b + 4];
    (
        low & 15 | scales[b - 4] >> 6 << 4,
        low >> 4 | scales[b] >> 6 << 4,
    )
}

impl Stored for Q6K {
    const BYTES: usize = 210;

    fn read(bytes: &[u8], lane: usize, header: &mut Self::Header, q: &mut [u8]) {
        half(bytes, 208, lane, &mut header.d);
        for (i, byte) in bytes[192..208].iter().enumerate() {
            header.blocks[i / 2][i % 2][lane] = byte.cast_signed();
        }
        // 128 columns share 64 bytes of low bits and 32 of high ones.
        for (half, q) in q.chunks_exact_mut(128).enumerate() {
            fours(&bytes[half * 64..][..64], q);
            let high = &bytes[128 + half * 32..][..32];
            for (pair, q) in q.chunks_exact_mut(32).enumerate() {
                for (q, high) in q.iter_mut().zip(high) {
                    *q |= (high >> (2 * pair) & 3) << 4;
                }
            }
        }
    }
}
