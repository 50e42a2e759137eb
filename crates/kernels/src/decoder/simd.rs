//! Sixteen weights of a file in vector registers, widened to f32.

use crate::math::LANES;
use crate::simd::{Portable, Simd};

/// Reads sixteen values of a dense format.
pub(super) trait Widen: Simd {
    /// Rows and outputs of the largest tile whose sums fit the registers.
    const WIDE: bool;

    /// Sixteen f16.
    ///
    /// # Safety
    /// The machine must have the instructions of the type; 32 bytes must be readable, aligned or not.
    unsafe fn load_f16(from: *const u8) -> Self;

    /// Sixteen bf16.
    ///
    /// # Safety
    /// As for [`Widen::load_f16`].
    unsafe fn load_bf16(from: *const u8) -> Self;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Widen;

    // SAFETY of all bodies: callers promise the instructions and that places are readable.
    impl Widen for __m512 {
        const WIDE: bool = true;

        #[inline(always)]
        unsafe fn load_f16(from: *const u8) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
        }

        #[inline(always)]
        unsafe fn load_bf16(from: *const u8) -> Self {
            // SAFETY: see above.
            unsafe {
                let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
            }
        }
    }

    impl Widen for [__m256; 2] {
        const WIDE: bool = false;

        #[inline(always)]
        unsafe fn load_f16(from: *const u8) -> Self {
            // SAFETY: see above.
            unsafe { [0, 16].map(|at| _mm256_cvtph_ps(_mm_loadu_si128(from.add(at).cast()))) }
        }

        #[inline(always)]
        unsafe fn load_bf16(from: *const u8) -> Self {
            // SAFETY: see above.
            unsafe {
                [0, 16].map(|at| {
                    let words = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(at).cast()));
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words))
                })
            }
        }
    }
}

impl<const FMA: bool> Widen for Portable<FMA> {
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self {
        // SAFETY: handed down.
        unsafe { widen(from, |bits| half::f16::from_bits(bits).to_f32()) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> Self {
        // SAFETY: handed down.
        unsafe { widen(from, |bits| f32::from_bits(u32::from(bits) << 16)) }
    }
}

/// Sixteen words through `value`.
///
/// # Safety
/// 32 bytes must be readable.
#[inline(always)]
unsafe fn widen<const FMA: bool>(from: *const u8, value: impl Fn(u16) -> f32) -> Portable<FMA> {
    // SAFETY: promised.
    let words = unsafe { from.cast::<[[u8; 2]; LANES]>().read_unaligned() };
    let values = words.map(|word| value(u16::from_le_bytes(word)));
    // SAFETY: sixteen values are there; portable code runs everywhere.
    unsafe { Simd::load(values.as_ptr()) }
}
