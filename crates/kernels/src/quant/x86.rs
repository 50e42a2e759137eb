//! Vectors of x86-64 processors.

use std::arch::x86_64::*;

use super::vectors::{Halves, LANES, Line, Vectors};

/// AVX-512 with VNNI.
pub(super) struct Avx512;

// SAFETY of all bodies: callers promise the instructions; places that are read belong to references.
impl Vectors for Avx512 {
    const ROWS: usize = 8;
    type Bytes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;

    #[inline(always)]
    unsafe fn load(from: &Line) -> Self::Bytes {
        // SAFETY: see above; a line is aligned.
        unsafe { _mm512_load_si512(std::ptr::from_ref(from).cast()) }
    }

    #[inline(always)]
    unsafe fn prefetch<T>(value: &T) {
        let start = std::ptr::from_ref(value).cast::<i8>();
        for at in (0..size_of::<T>()).step_by(size_of::<Line>()) {
            // SAFETY: a prefetch reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(at)) };
        }
    }

    #[inline(always)]
    unsafe fn low(bytes: Self::Bytes) -> Self::Bytes {
        // SAFETY: see above.
        unsafe { _mm512_and_si512(bytes, _mm512_set1_epi8(15)) }
    }

    #[inline(always)]
    unsafe fn high(bytes: Self::Bytes) -> Self::Bytes {
        // SAFETY: see above.
        unsafe { Self::low(_mm512_srli_epi16::<4>(bytes)) }
    }

    #[inline(always)]
    unsafe fn with_pair<const PAIR: usize>(low: Self::Bytes, bits: Self::Bytes) -> Self::Bytes {
        // SAFETY: see above.
        unsafe {
            let moved = match PAIR {
                0 => _mm512_slli_epi16::<4>(bits),
                1 => _mm512_slli_epi16::<2>(bits),
                2 => bits,
                _ => _mm512_srli_epi16::<2>(bits),
            };
            // low | (moved & 0x30)
            _mm512_ternarylogic_epi32::<0xf8>(low, moved, _mm512_set1_epi8(0x30))
        }
    }

    #[inline(always)]
    unsafe fn or(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        // SAFETY: see above.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn field(bytes: Self::Bytes, left: i32, mask: u8) -> Self::Bytes {
        // SAFETY: see above.
        unsafe {
            let count = _mm_cvtsi32_si128(left.abs());
            let moved = match left {
                0.. => _mm512_sll_epi16(bytes, count),
                _ => _mm512_srl_epi16(bytes, count),
            };
            _mm512_and_si512(moved, _mm512_set1_epi8(mask.cast_signed()))
        }
    }

    #[inline(always)]
    unsafe fn start(start: i32, _: bool) -> Self::Ints {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(start) }
    }

    #[inline(always)]
    unsafe fn dot(sums: Self::Ints, bytes: Self::Bytes, x: [i8; 4], _: bool) -> Self::Ints {
        // SAFETY: see above.
        unsafe { _mm512_dpbusd_epi32(sums, bytes, _mm512_set1_epi32(four(x))) }
    }

    #[inline(always)]
    unsafe fn floats(ints: Self::Ints) -> Self::Floats {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(ints) }
    }

    #[inline(always)]
    unsafe fn byte<const BYTE: usize>(bytes: Self::Bytes) -> Self::Floats {
        // SAFETY: see above.
        unsafe {
            let moved = match BYTE {
                0 => bytes,
                1 => _mm512_srli_epi32::<8>(bytes),
                2 => _mm512_srli_epi32::<16>(bytes),
                _ => _mm512_srli_epi32::<24>(bytes),
            };
            _mm512_cvtepi32_ps(_mm512_and_si512(moved, _mm512_set1_epi32(255)))
        }
    }

    #[inline(always)]
    unsafe fn halves(from: &Halves) -> Self::Floats {
        // SAFETY: see above; sixteen f16 are there, aligned.
        unsafe { _mm512_cvtph_ps(_mm256_load_si256(std::ptr::from_ref(from).cast())) }
    }

    #[inline(always)]
    unsafe fn unsigned(from: &[u8; LANES]) -> Self::Floats {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    unsafe fn signed(from: &[i8; LANES]) -> Self::Floats {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::Floats {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn array(floats: Self::Floats) -> [f32; LANES] {
        let mut array = [0.0; LANES];
        // SAFETY: see above; the array has sixteen places.
        unsafe { _mm512_storeu_ps(array.as_mut_ptr(), floats) };
        array
    }
}

/// AVX2 with F16C: the first and the last eight lanes.
pub(super) struct Avx2;

// SAFETY of all bodies: as above.
impl Vectors for Avx2 {
    const ROWS: usize = 4;
    type Bytes = [__m256i; 2];
    type Ints = [__m256i; 2];
    type Floats = [__m256; 2];

    #[inline(always)]
    unsafe fn load(from: &Line) -> Self::Bytes {
        let start = std::ptr::from_ref(from).cast::<__m256i>();
        // SAFETY: see above; a line is aligned and twice as long.
        unsafe { [_mm256_load_si256(start), _mm256_load_si256(start.add(1))] }
    }

    #[inline(always)]
    unsafe fn prefetch<T>(value: &T) {
        let start = std::ptr::from_ref(value).cast::<i8>();
        for at in (0..size_of::<T>()).step_by(size_of::<Line>()) {
            // SAFETY: a prefetch reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(at)) };
        }
    }

    #[inline(always)]
    unsafe fn low(bytes: Self::Bytes) -> Self::Bytes {
        // SAFETY: see above.
        bytes.map(|bytes| unsafe { _mm256_and_si256(bytes, _mm256_set1_epi8(15)) })
    }

    #[inline(always)]
    unsafe fn high(bytes: Self::Bytes) -> Self::Bytes {
        // SAFETY: see above.
        unsafe { Self::low(bytes.map(|bytes| _mm256_srli_epi16::<4>(bytes))) }
    }

    #[inline(always)]
    unsafe fn with_pair<const PAIR: usize>(low: Self::Bytes, bits: Self::Bytes) -> Self::Bytes {
        // SAFETY: see above.
        both(low, bits, |low, bits| unsafe {
            let moved = match PAIR {
                0 => _mm256_slli_epi16::<4>(bits),
                1 => _mm256_slli_epi16::<2>(bits),
                2 => bits,
                _ => _mm256_srli_epi16::<2>(bits),
            };
            _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8(0x30)))
        })
    }

    #[inline(always)]
    unsafe fn or(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { _mm256_or_si256(a, b) })
    }

    #[inline(always)]
    unsafe fn field(bytes: Self::Bytes, left: i32, mask: u8) -> Self::Bytes {
        // SAFETY: see above.
        bytes.map(|bytes| unsafe {
            let count = _mm_cvtsi32_si128(left.abs());
            let moved = match left {
                0.. => _mm256_sll_epi16(bytes, count),
                _ => _mm256_srl_epi16(bytes, count),
            };
            _mm256_and_si256(moved, _mm256_set1_epi8(mask.cast_signed()))
        })
    }

    #[inline(always)]
    unsafe fn start(start: i32, wide: bool) -> Self::Ints {
        // `dot` takes the offset of wide weights away by itself.
        // SAFETY: see above.
        unsafe { [_mm256_set1_epi32(if wide { 0 } else { start }); 2] }
    }

    #[inline(always)]
    unsafe fn dot(sums: Self::Ints, bytes: Self::Bytes, x: [i8; 4], wide: bool) -> Self::Ints {
        // SAFETY: see above.
        both(sums, bytes, |sums, bytes| unsafe {
            let x = _mm256_set1_epi32(four(x));
            // Sums of two products must fit 16 bits: those of magnitudes up to 128 with ±127 do.
            let pairs = if wide {
                let weights = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
                _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights))
            } else {
                _mm256_maddubs_epi16(bytes, x)
            };
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        })
    }

    #[inline(always)]
    unsafe fn floats(ints: Self::Ints) -> Self::Floats {
        // SAFETY: see above.
        ints.map(|ints| unsafe { _mm256_cvtepi32_ps(ints) })
    }

    #[inline(always)]
    unsafe fn byte<const BYTE: usize>(bytes: Self::Bytes) -> Self::Floats {
        // SAFETY: see above.
        bytes.map(|bytes| unsafe {
            let moved = match BYTE {
                0 => bytes,
                1 => _mm256_srli_epi32::<8>(bytes),
                2 => _mm256_srli_epi32::<16>(bytes),
                _ => _mm256_srli_epi32::<24>(bytes),
            };
            _mm256_cvtepi32_ps(_mm256_and_si256(moved, _mm256_set1_epi32(255)))
        })
    }

    #[inline(always)]
    unsafe fn halves(from: &Halves) -> Self::Floats {
        let start = std::ptr::from_ref(from).cast::<__m128i>();
        // SAFETY: see above; sixteen f16 are there, aligned.
        [0, 1].map(|half| unsafe { _mm256_cvtph_ps(_mm_load_si128(start.add(half))) })
    }

    #[inline(always)]
    unsafe fn unsigned(from: &[u8; LANES]) -> Self::Floats {
        // SAFETY: see above; both halves lie inside the array.
        [0, 8].map(|half| unsafe {
            let bytes = _mm_loadl_epi64(from.as_ptr().add(half).cast());
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))
        })
    }

    #[inline(always)]
    unsafe fn signed(from: &[i8; LANES]) -> Self::Floats {
        // SAFETY: see above; both halves lie inside the array.
        [0, 8].map(|half| unsafe {
            let bytes = _mm_loadl_epi64(from.as_ptr().add(half).cast());
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
        })
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::Floats {
        // SAFETY: see above.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { _mm256_add_ps(a, b) })
    }

    #[inline(always)]
    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { _mm256_sub_ps(a, b) })
    }

    #[inline(always)]
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { _mm256_mul_ps(a, b) })
    }

    #[inline(always)]
    unsafe fn array(floats: Self::Floats) -> [f32; LANES] {
        let mut array = [0.0; LANES];
        // SAFETY: see above; the array has sixteen places.
        unsafe {
            _mm256_storeu_ps(array.as_mut_ptr(), floats[0]);
            _mm256_storeu_ps(array.as_mut_ptr().add(8), floats[1]);
        }
        array
    }
}

/// The same operation on both halves.
#[inline(always)]
fn both<A: Copy, B: Copy>(a: [A; 2], b: [B; 2], apply: impl Fn(A, B) -> A) -> [A; 2] {
    [apply(a[0], b[0]), apply(a[1], b[1])]
}

/// Four values in one lane, the first in the lowest byte.
#[inline(always)]
fn four(x: [i8; 4]) -> i32 {
    i32::from_le_bytes(x.map(i8::cast_unsigned))
}
