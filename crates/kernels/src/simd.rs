//! Sixteen values in vector registers, for loops that the compiler would arrange badly by itself.

use crate::math::{LANES, mul_add};

/// Sixteen values.
pub(crate) trait Simd: Copy {
    /// All zero.
    ///
    /// # Safety
    /// For this and the other functions: the machine must have the instructions of the type.
    unsafe fn zero() -> Self;

    /// One value in every lane.
    ///
    /// # Safety
    /// See [`Simd::zero`].
    unsafe fn splat(value: f32) -> Self;

    /// Sixteen values from `from` on, which need no alignment.
    ///
    /// # Safety
    /// See [`Simd::zero`]; the values must be readable.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes the values from `to` on.
    ///
    /// # Safety
    /// See [`Simd::zero`]; the places must be writable.
    unsafe fn store(self, to: *mut f32);

    /// `self · by + to`.
    ///
    /// # Safety
    /// See [`Simd::zero`].
    unsafe fn mul_add(self, by: Self, to: Self) -> Self;

    /// `self + to`.
    ///
    /// # Safety
    /// See [`Simd::zero`].
    unsafe fn add(self, to: Self) -> Self;

    /// `sums[i] += by · read[i]`, where `by` points at one value.
    ///
    /// # Safety
    /// See [`Simd::zero`]; the value must be readable.
    #[inline(always)]
    unsafe fn add_products<const N: usize>(sums: &mut [Self; N], by: *const f32, read: [Self; N]) {
        // SAFETY: handed down.
        unsafe {
            let by = Self::splat(*by);
            for (sum, read) in sums.iter_mut().zip(read) {
                *sum = by.mul_add(read, *sum);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    // SAFETY of all bodies: callers promise the instructions, and that places are readable or writable.
    impl Simd for __m512 {
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: see above.
            unsafe { _mm512_setzero_ps() }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn mul_add(self, by: Self, to: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_fmadd_ps(self, by, to) }
        }

        #[inline(always)]
        unsafe fn add(self, to: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_add_ps(self, to) }
        }
    }

    impl Simd for [__m256; 2] {
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: see above.
            unsafe { [_mm256_setzero_ps(); 2] }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: see above.
            unsafe { [_mm256_set1_ps(value); 2] }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: see above.
            unsafe {
                _mm256_storeu_ps(to, self[0]);
                _mm256_storeu_ps(to.add(8), self[1]);
            }
        }

        #[inline(always)]
        unsafe fn mul_add(self, by: Self, to: Self) -> Self {
            // SAFETY: see above.
            unsafe {
                [
                    _mm256_fmadd_ps(self[0], by[0], to[0]),
                    _mm256_fmadd_ps(self[1], by[1], to[1]),
                ]
            }
        }

        #[inline(always)]
        unsafe fn add(self, to: Self) -> Self {
            // SAFETY: see above.
            unsafe { [_mm256_add_ps(self[0], to[0]), _mm256_add_ps(self[1], to[1])] }
        }
    }
}

/// Sixteen values in an array, for any machine.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const FMA: bool>([f32; LANES]);

impl<const FMA: bool> Simd for Portable<FMA> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises that the values are readable.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises that the places are writable.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(mut self, by: Self, to: Self) -> Self {
        for l in 0..LANES {
            self.0[l] = mul_add::<FMA>(self.0[l], by.0[l], to.0[l]);
        }
        self
    }

    #[inline(always)]
    unsafe fn add(mut self, to: Self) -> Self {
        for l in 0..LANES {
            self.0[l] += to.0[l];
        }
        self
    }
}

/// Rows and columns of a block changed.
///
/// # Safety
/// The machine must have AVX-512 F.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn transpose(
    rows: [std::arch::x86_64::__m512; LANES],
) -> [std::arch::x86_64::__m512; LANES] {
    use std::arch::x86_64::*;
    // SAFETY: promised.
    unsafe {
        let mut fours = [_mm512_setzero_ps(); LANES];
        for g in (0..LANES).step_by(4) {
            let low = [0, 2].map(|i| _mm512_unpacklo_ps(rows[g + i], rows[g + i + 1]));
            let high = [0, 2].map(|i| _mm512_unpackhi_ps(rows[g + i], rows[g + i + 1]));
            let [a, b] = low.map(|x| _mm512_castps_pd(x));
            let [c, d] = high.map(|x| _mm512_castps_pd(x));
            fours[g] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            fours[g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
            fours[g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
            fours[g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
        }
        // A quarter `l` of `fours[g + c]` is column `4 l + c` of the rows from `g` on.
        let mut columns = rows;
        for c in 0..4 {
            let [a, b, x, y] = [0, 4, 8, 12].map(|g| fours[g + c]);
            let even = [
                _mm512_shuffle_f32x4::<0x88>(a, b),
                _mm512_shuffle_f32x4::<0x88>(x, y),
            ];
            let odd = [
                _mm512_shuffle_f32x4::<0xdd>(a, b),
                _mm512_shuffle_f32x4::<0xdd>(x, y),
            ];
            columns[c] = _mm512_shuffle_f32x4::<0x88>(even[0], even[1]);
            columns[c + 4] = _mm512_shuffle_f32x4::<0x88>(odd[0], odd[1]);
            columns[c + 8] = _mm512_shuffle_f32x4::<0xdd>(even[0], even[1]);
            columns[c + 12] = _mm512_shuffle_f32x4::<0xdd>(odd[0], odd[1]);
        }
        columns
    }
}
