//! The number formats and instructions that a pass may run with.
//!
//! Operands of products lie in 32-bit *places*: one f32 value, or two bf16 values that follow one another along the
//! summed axis, the earlier one in the low half.

use crate::lanes::{Lanes, Portable};
use crate::level::{Kind, Level, PORTABLE_FMA};
use crate::math::LANES;
use crate::product::Precision;
use crate::tile::{Left, Out, Right, product};

/// Sixteen places.
pub(super) type Vector = [f32; LANES];

/// What a pass runs with; a value proves that the machine has it.
#[derive(Clone, Copy)]
pub(super) enum Machine {
    /// f32 values.
    Exact(Level),
    /// Pairs of bf16 values, by AVX-512.
    #[cfg(target_arch = "x86_64")]
    Reduced,
}

impl Machine {
    /// The one for this precision: f32 where there are no products of bf16.
    pub(super) fn new(level: Level, precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        if precision == Precision::Bf16 && level.0 == Kind::Avx512 && crate::reduced::available() {
            return Self::Reduced;
        }
        let _ = precision;
        Self::Exact(level)
    }
}

/// A number format with its instructions.
pub(super) trait Format {
    /// Whether a fused multiply-add is one instruction.
    const FMA: bool;
    /// Values of a place.
    const VALUES: usize;
    /// Columns of a panel of a right operand.
    const COLUMNS: usize;

    /// `out = a · b`, or `out += a · b` where `ADD`; the results are f32.
    ///
    /// # Safety
    /// For this and the other functions: the machine must have the instructions.
    unsafe fn product<const ADD: bool>(a: Left<'_>, b: Right<'_>, out: Out<'_>);

    /// The larger value of each lane; the one of `b` where that of `a` is NaN.
    ///
    /// # Safety
    /// See [`Format::product`].
    unsafe fn max(a: Vector, b: Vector) -> Vector;

    /// Changes rows and columns.
    ///
    /// # Safety
    /// See [`Format::product`].
    #[inline(always)]
    unsafe fn transpose(block: [Vector; LANES]) -> [Vector; LANES] {
        std::array::from_fn(|i| std::array::from_fn(|j| block[j][i]))
    }

    /// Places of two rows that follow one another, lane by lane. Where a place has one value, the first row.
    ///
    /// # Safety
    /// See [`Format::product`].
    #[inline(always)]
    unsafe fn across(first: Vector, _: Vector) -> Vector {
        first
    }

    /// Values as products read them.
    ///
    /// # Safety
    /// See [`Format::product`].
    #[inline(always)]
    unsafe fn rounded(values: Vector) -> Vector {
        values
    }

    /// Places of 32 values of one row. Where a place has one value, the first 16.
    ///
    /// # Safety
    /// See [`Format::product`].
    #[inline(always)]
    unsafe fn along(first: Vector, _: Vector) -> Vector {
        first
    }
}

/// f32 in any registers.
pub(super) struct Plain;

impl Format for Plain {
    const FMA: bool = PORTABLE_FMA;
    const VALUES: usize = 1;
    const COLUMNS: usize = 16;

    #[inline(always)]
    unsafe fn product<const ADD: bool>(a: Left<'_>, b: Right<'_>, out: Out<'_>) {
        // SAFETY: no special instructions.
        unsafe { product::<Portable<PORTABLE_FMA>, 4, 1, ADD>(a, b, out) }
    }

    #[inline(always)]
    unsafe fn max(a: Vector, b: Vector) -> Vector {
        let mut larger = b;
        for l in 0..LANES {
            larger[l] = if a[l] > b[l] { a[l] } else { b[l] };
        }
        larger
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    use super::*;

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
                transmute::<[__m512; LANES], [Vector; LANES]>(columns)
            }
        }
    }

    /// Pairs of bf16 by AVX-512.
    pub(in super::super) struct Reduced;

    impl Format for Reduced {
        const FMA: bool = true;
        const VALUES: usize = 2;
        const COLUMNS: usize = 32;

        #[inline(always)]
        unsafe fn product<const ADD: bool>(a: Left<'_>, b: Right<'_>, out: Out<'_>) {
            // SAFETY: promised.
            unsafe { product::<Pairs, 8, 2, ADD>(a, b, out) }
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
    impl Lanes for Pairs {
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
}

/// Makes `fn name(machine, ..)` from a function generic over its [`Format`], compiled once for each machine.
macro_rules! for_each_machine {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(machine: $crate::attention::format::Machine, $($arg: $ty),*) {
            use $crate::attention::format::*;

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn reduced($($arg: $ty),*) {
                // SAFETY: the attribute stands for the instructions.
                unsafe { $body::<x86::Reduced>($($arg),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx512($($arg: $ty),*) {
                // SAFETY: as above.
                unsafe { $body::<x86::Wide>($($arg),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx2($($arg: $ty),*) {
                // SAFETY: as above.
                unsafe { $body::<x86::Narrow>($($arg),*) }
            }

            match machine {
                // SAFETY: a `Machine` of this kind exists only where these instructions were detected.
                #[cfg(target_arch = "x86_64")]
                Machine::Reduced => unsafe { reduced($($arg),*) },
                Machine::Exact(level) => match level.0 {
                    // SAFETY: a `Level` of this kind exists only where these instructions were detected.
                    #[cfg(target_arch = "x86_64")]
                    $crate::level::Kind::Avx512 => unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    $crate::level::Kind::Avx2 => unsafe { avx2($($arg),*) },
                    // SAFETY: no special instructions.
                    $crate::level::Kind::Portable => unsafe { $body::<Plain>($($arg),*) },
                },
            }
        }
    };
}
pub(super) use for_each_machine;
