//! The number formats and instructions that a pass may run with.
//!
//! Operands of products lie in 32-bit *places*: one f32 value, or two bf16 values that follow one another along the
//! summed axis, the earlier one in the low half.

#[cfg(target_arch = "x86_64")]
mod tiles;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

#[cfg(target_arch = "x86_64")]
use crate::level::Kind;
use crate::level::{Level, PORTABLE_FMA};
use crate::math::LANES;
use crate::product::Precision;
use crate::simd::Portable;
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
    Bf16,
}

impl Machine {
    /// The one for this precision: f32 where there are no products of bf16.
    pub(super) fn new(level: Level, precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        if precision == Precision::Bf16 && level.0 == Kind::Avx512 && crate::bf16::available() {
            return Self::Bf16;
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

    /// Places of a row of `values`, zeros at its end included.
    #[inline(always)]
    fn places(values: usize) -> usize {
        values.div_ceil(Self::VALUES)
    }

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
            fn bf16($($arg: $ty),*) {
                // SAFETY: the attribute stands for the instructions.
                unsafe { $body::<x86::Bf16>($($arg),*) }
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
                Machine::Bf16 => unsafe { bf16($($arg),*) },
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
