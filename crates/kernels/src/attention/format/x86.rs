//! The formats of x86: f32 by AVX2 and AVX-512, pairs of bf16 by AVX-512.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{Format, Vector, tiles};
use crate::amx;
use crate::math::LANES;
use crate::simd::Simd;
use crate::tile::{Left, Out, Right, product};

/// f32 by AVX2 and FMA.
pub(in super::super) struct Narrow;

impl Format for Narrow {
    const FMA: bool = true;
    const VALUES: usize = 1;
    const COLUMNS: usize = 16;

    #[inline(always)]
    unsafe fn product<const ADD: bool>(a: Left<'_>, b: Right<'_>, out: Out<'_>) {
        // SAFETY: promised.
        unsafe { product::<[__m256; 2], 6, 1, ADD>(a, b, out) }
    }

    #[inline(always)]
    unsafe fn max(a: Vector, b: Vector) -> Vector {
        // SAFETY: promised; all types are plain bits of one size.
        unsafe {
            let [a, b] = [a, b].map(|x| transmute::<Vector, [__m256; 2]>(x));
            let larger = [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])];
            transmute::<[__m256; 2], Vector>(larger)
        }
    }
}

/// f32 by AVX-512.
pub(in super::super) struct Wide;

impl Format for Wide {
    const FMA: bool = true;
    const VALUES: usize = 1;
    const COLUMNS: usize = 32;

    #[inline(always)]
    unsafe fn product<const ADD: bool>(a: Left<'_>, b: Right<'_>, out: Out<'_>) {
        // SAFETY: promised.
        unsafe { product::<__m512, 8, 2, ADD>(a, b, out) }
    }

    #[inline(always)]
    unsafe fn max(a: Vector, b: Vector) -> Vector {
        // SAFETY: promised; all types are plain bits of one size.
        unsafe {
            let [a, b] = [a, b].map(|x| transmute::<Vector, __m512>(x));
            transmute::<__m512, Vector>(_mm512_max_ps(a, b))
        }
    }

    #[inline(always)]
    unsafe fn transpose(block: [Vector; LANES]) -> [Vector; LANES] {
        // SAFETY: promised; all types are plain bits of one size.
        unsafe {
            let rows = transmute::<[Vector; LANES], [__m512; LANES]>(block);
            transmute::<[__m512; LANES], [Vector; LANES]>(crate::simd::transpose(rows))
        }
    }
}

/// Pairs of bf16 by AVX-512, and by tiles where they fit.
pub(in super::super) struct Bf16;

/// A product without tiles.
///
/// # Safety
/// The machine must have AVX-512 with BF16.
#[inline(always)]
pub(super) unsafe fn by_vectors<const ADD: bool>(a: Left<'_>, b: Right<'_>, out: Out<'_>) {
    // SAFETY: promised.
    unsafe { product::<Pairs, 8, 2, ADD>(a, b, out) }
}

impl Format for Bf16 {
    const FMA: bool = true;
    const VALUES: usize = 2;
    const COLUMNS: usize = 32;

    /// Whole steps of tiles, where there are some.
    #[inline(always)]
    fn places(values: usize) -> usize {
        let places = values.div_ceil(Self::VALUES);
        match amx::available() {
            true => places.next_multiple_of(amx::STEP),
            false => places,
        }
    }

    #[inline(always)]
    unsafe fn product<const ADD: bool>(a: Left<'_>, b: Right<'_>, out: Out<'_>) {
        let rows = tiles::rows(&a, &b);
        let rest = Left {
            values: a.values.get(rows * a.row..).unwrap_or_default(),
            rows: a.rows - rows,
            ..a
        };
        let row = out.row;
        // SAFETY: promised; tiles do as many rows as they are fit for.
        unsafe {
            if rows > 0 {
                let values = &mut *out.values;
                tiles::product::<ADD>(a, b, Out { values, row }, rows);
            }
            if rest.rows > 0 {
                let values = &mut out.values[rows * row..];
                by_vectors::<ADD>(rest, b, Out { values, row });
            }
        }
    }

    #[inline(always)]
    unsafe fn max(a: Vector, b: Vector) -> Vector {
        // SAFETY: handed down.
        unsafe { Wide::max(a, b) }
    }

    #[inline(always)]
    unsafe fn transpose(block: [Vector; LANES]) -> [Vector; LANES] {
        // SAFETY: handed down.
        unsafe { Wide::transpose(block) }
    }

    #[inline(always)]
    unsafe fn across(first: Vector, second: Vector) -> Vector {
        // SAFETY: promised; all types are plain bits of one size.
        unsafe {
            let [first, second] = [first, second].map(|row| {
                let halves = _mm512_cvtneps_pbh(transmute::<Vector, __m512>(row));
                _mm512_cvtepu16_epi32(transmute::<__m256bh, __m256i>(halves))
            });
            let both = _mm512_or_si512(first, _mm512_slli_epi32::<16>(second));
            transmute::<__m512i, Vector>(both)
        }
    }

    #[inline(always)]
    unsafe fn rounded(values: Vector) -> Vector {
        // SAFETY: promised; all types are plain bits of one size.
        unsafe {
            let places = transmute::<Vector, __m512i>(Self::across(values, [0.0; LANES]));
            transmute::<__m512i, Vector>(_mm512_slli_epi32::<16>(places))
        }
    }

    #[inline(always)]
    unsafe fn along(first: Vector, second: Vector) -> Vector {
        // SAFETY: promised; all types are plain bits of one size.
        unsafe {
            let [first, second] = [first, second].map(|row| transmute::<Vector, __m512>(row));
            transmute::<__m512bh, Vector>(_mm512_cvtne2ps_pbh(second, first))
        }
    }
}

/// Sixteen f32 sums, or sixteen pairs of bf16 where they are multiplied.
#[derive(Clone, Copy)]
pub(in super::super) struct Pairs(__m512);

// SAFETY of all bodies: callers promise the instructions, and that places are readable or writable.
impl Simd for Pairs {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { __m512::zero() })
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { __m512::splat(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { __m512::load(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see above.
        unsafe { self.0.store(to) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, by: Self, to: Self) -> Self {
        // SAFETY: see above; the types are plain bits of one size.
        unsafe {
            let [a, b] = [self, by].map(|pairs| transmute::<__m512, __m512bh>(pairs.0));
            Self(_mm512_dpbf16_ps(to.0, a, b))
        }
    }

    #[inline(always)]
    unsafe fn add(self, to: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { self.0.add(to.0) })
    }
}
