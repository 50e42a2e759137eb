//! Convolutions of bf16 values.

use std::arch::x86_64::*;

use super::dots::{Dot, Sums, dots};
use super::tile::{Product, tile_rows};
use crate::simd::Simd;

/// Sixteen f32 sums, or sixteen units of two bf16 values.
#[derive(Clone, Copy)]
pub(super) struct Pairs(__m512);

// SAFETY of all bodies: callers promise AVX-512 with BF16, and that places are readable or writable.
impl Simd for Pairs {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    /// Units times units, both halves of each lane added to its sum.
    #[inline(always)]
    unsafe fn mul_add(self, by: Self, to: Self) -> Self {
        // SAFETY: see above; all types are 512 plain bits.
        unsafe {
            let [one, other] =
                [self, by].map(|units| std::mem::transmute::<__m512, __m512bh>(units.0));
            Self(_mm512_dpbf16_ps(to.0, one, other))
        }
    }

    #[inline(always)]
    unsafe fn add(self, to: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_add_ps(self.0, to.0) })
    }

    #[inline(always)]
    unsafe fn add_products<const N: usize>(sums: &mut [Self; N], by: *const f32, read: [Self; N]) {
        // SAFETY: handed down.
        unsafe {
            if let ([a, b, c], [x, y, z]) = (&mut sums[..], &read[..]) {
                return add_three([a, b, c], by, [*x, *y, *z]);
            }
            let by = Self::splat(*by);
            for (sum, read) in sums.iter_mut().zip(read) {
                *sum = Simd::mul_add(by, read, *sum);
            }
        }
    }
}

/// [`Simd::add_products`] for three sums, by hand: the compiler reads all factors of a step first, and then has too few registers
/// for 24 sums.
///
/// # Safety
/// The machine must have AVX-512 with BF16; `by` can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
unsafe fn add_three([a, b, c]: [&mut Pairs; 3], by: *const f32, [x, y, z]: [Pairs; 3]) {
    let _factor: __m512;
    // SAFETY: promised.
    unsafe {
        std::arch::asm!(
            "vbroadcastss {factor}, dword ptr [{by}]",
            "vdpbf16ps {a}, {factor}, {x}",
            "vdpbf16ps {b}, {factor}, {y}",
            "vdpbf16ps {c}, {factor}, {z}",
            by = in(reg) by,
            factor = out(zmm_reg) _factor,
            a = inout(zmm_reg) a.0,
            b = inout(zmm_reg) b.0,
            c = inout(zmm_reg) c.0,
            x = in(zmm_reg) x.0,
            y = in(zmm_reg) y.0,
            z = in(zmm_reg) z.0,
            options(readonly, nostack, preserves_flags),
        );
    }
}

/// The product of a block whose operands are units.
///
/// # Safety
/// As for [`super::tile::multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
pub(super) unsafe fn multiply_pairs(product: &Product<'_>) {
    // SAFETY: handed down.
    unsafe { tile_rows::<Pairs, 8, 3>(product) }
}

/// Thirty-two bf16 values.
#[derive(Clone, Copy)]
pub(super) struct Halves(__m512);

// SAFETY of all bodies: as above.
impl Dot for Halves {
    type Value = u16;
    const VALUES: usize = 32;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn load(from: *const u16) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_loadu_ps(from.cast()) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, by: Self, to: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { Simd::mul_add(Pairs(self.0), Pairs(by.0), Pairs(to.0)) }.0)
    }

    #[inline(always)]
    unsafe fn total(self) -> f32 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
}

/// Sums of products of bf16 values.
///
/// # Safety
/// As for [`super::dots::dots`], and the machine must have AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
pub(super) unsafe fn dots_halves(sums: &Sums<'_, u16>, out: &mut [f32]) {
    // SAFETY: handed down.
    unsafe { dots::<Halves, 8, 3>(sums, out) }
}

/// Rounding two vectors gives the sixteen of the first, then those of the second: this is where units find them.
pub(super) const ORDER: [u16; 32] = {
    let mut order = [0; 32];
    let mut i = 0;
    while i < 32 {
        order[i] = (i / 2 + i % 2 * 16) as u16;
        i += 1;
    }
    order
};

/// Units of two rows, of which the second may be absent: then it is zero.
///
/// # Safety
/// The machine must have AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
pub(super) unsafe fn interleave(first: &[f32], second: Option<&[f32]>, to: &mut [f32]) {
    let first = &first[..to.len()];
    let second = second.map(|second| &second[..to.len()]);
    // SAFETY: all vectors lie inside the rows: the masks cover what is left of them.
    unsafe {
        let order = _mm512_loadu_si512(ORDER.as_ptr().cast());
        let mut done = 0;
        while done < to.len() {
            let left = (to.len() - done).min(16);
            let mask = u16::MAX >> (16 - left);
            let low = _mm512_maskz_loadu_ps(mask, first.as_ptr().add(done));
            let high = match second {
                Some(second) => _mm512_maskz_loadu_ps(mask, second.as_ptr().add(done)),
                None => _mm512_setzero_ps(),
            };
            let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            let units = _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, both));
            _mm512_mask_storeu_ps(to.as_mut_ptr().add(done), mask, units);
            done += 16;
        }
    }
}

/// Rounds values, `step` apart, to bf16.
///
/// # Safety
/// The machine must have AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
pub(super) unsafe fn round(from: &[f32], step: usize, to: &mut [u16]) {
    let from = &from[..(to.len() - 1) * step + 1];
    for (i, to) in to.chunks_mut(16).enumerate() {
        let mut lanes = [0.0; 16];
        let values = if step == 1 {
            let mask = u16::MAX >> (16 - to.len());
            // SAFETY: the mask covers what is left of the row.
            unsafe { _mm512_maskz_loadu_ps(mask, from.as_ptr().add(i * 16)) }
        } else {
            for (l, lane) in lanes.iter_mut().take(to.len()).enumerate() {
                *lane = from[(i * 16 + l) * step];
            }
            // SAFETY: sixteen values are there.
            unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
        };
        // SAFETY: both types are 256 plain bits.
        let halves =
            unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values)) };
        // SAFETY: the mask covers the places of `to`.
        unsafe {
            let mask = u16::MAX >> (16 - to.len());
            _mm256_mask_storeu_epi16(to.as_mut_ptr().cast(), mask, halves);
        }
    }
}
