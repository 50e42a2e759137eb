//! Sums of products over the results of a block.

use super::input_tile::Reach;
use crate::level::leveled;
use crate::math::{LANES, fold};
use crate::simd::{Portable, Simd};

/// A vector of factors, or of sums.
pub(super) trait Dot: Copy {
    type Value;
    /// Factors in a vector.
    const VALUES: usize;

    /// # Safety
    /// For this and the other functions: the machine must have the instructions of the type.
    unsafe fn zero() -> Self;

    /// # Safety
    /// See [`Dot::zero`]; the values must be readable.
    unsafe fn load(from: *const Self::Value) -> Self;

    /// `to` and the products of `self` and `by`.
    ///
    /// # Safety
    /// See [`Dot::zero`].
    unsafe fn mul_add(self, by: Self, to: Self) -> Self;

    /// The sum of all sums.
    ///
    /// # Safety
    /// See [`Dot::zero`].
    unsafe fn total(self) -> f32;
}

impl<V: Simd> Dot for V {
    type Value = f32;
    const VALUES: usize = LANES;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: handed down.
        unsafe { <V as Simd>::zero() }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: handed down.
        unsafe { <V as Simd>::load(from) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, by: Self, to: Self) -> Self {
        // SAFETY: handed down.
        unsafe { <V as Simd>::mul_add(self, by, to) }
    }

    #[inline(always)]
    unsafe fn total(self) -> f32 {
        let mut lanes = [0.0; LANES];
        // SAFETY: handed down; there is room for sixteen values.
        unsafe { self.store(lanes.as_mut_ptr()) };
        fold(lanes)
    }
}

/// A block of results and what it was made of.
pub(super) struct Sums<'a, T> {
    /// Gradients, `[rows, length]`, laid out as the input tile, zero where no result is.
    pub(super) grad: &'a [T],
    pub(super) rows: usize,
    pub(super) length: usize,
    /// The input tile, and the distance between its channels.
    pub(super) source: &'a [T],
    pub(super) channels: usize,
    pub(super) channel_step: usize,
    pub(super) reaches: &'a [Reach],
    /// Taps of a channel's weight.
    pub(super) taps: usize,
}

impl<T> Sums<'_, T> {
    /// Panics unless the slices hold what is read and written.
    fn check(&self, values: usize, out: &[f32]) {
        assert!(self.length.is_multiple_of(values) && self.grad.len() >= self.rows * self.length);
        let offset = self.reaches.iter().map(|reach| reach.offset).max();
        let last = (self.channels - 1) * self.channel_step + offset.unwrap_or(0) + self.length;
        assert!(last <= self.source.len());
        assert!(self.reaches.iter().all(|reach| reach.index < self.taps));
        assert!(out.len() == self.rows * self.channels * self.taps);
    }
}

leveled! {
    pub(super) fn dots_values(sums: &Sums<'_, f32>, out: &mut [f32]) {
        // SAFETY: `WIDE` and `FMA` are set where the instructions exist.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{__m256, __m512};
                if WIDE {
                    return dots::<__m512, 8, 3>(sums, out);
                }
                if FMA {
                    return dots::<[__m256; 2], 2, 2>(sums, out);
                }
            }
            dots::<Portable<FMA>, 2, 2>(sums, out);
        }
    }
}

/// Adds to `out` `[rows, channels, taps]` the sums over the block.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn dots<V: Dot, const R: usize, const C: usize>(
    sums: &Sums<'_, V::Value>,
    out: &mut [f32],
) {
    sums.check(V::VALUES, out);
    let mut row = 0;
    // SAFETY: handed down; rows lie inside.
    unsafe {
        while row + R <= sums.rows {
            columns::<V, R, C>(sums, row, out);
            row += R;
        }
        if R > 4 && row + 4 <= sums.rows {
            columns::<V, 4, C>(sums, row, out);
            row += 4;
        }
        if R > 2 && row + 2 <= sums.rows {
            columns::<V, 2, C>(sums, row, out);
            row += 2;
        }
        if row < sums.rows {
            columns::<V, 1, 5>(sums, row, out);
        }
    }
}

/// The sums of `R` rows.
///
/// # Safety
/// As for [`dots`].
#[inline(always)]
unsafe fn columns<V: Dot, const R: usize, const C: usize>(
    sums: &Sums<'_, V::Value>,
    row: usize,
    out: &mut [f32],
) {
    let taps = sums.reaches.len();
    let mut column = 0;
    // SAFETY: handed down.
    unsafe {
        while column + C <= sums.channels * taps {
            tile::<V, R, C>(sums, row, column, out);
            column += C;
        }
        while column < sums.channels * taps {
            tile::<V, R, 1>(sums, row, column, out);
            column += 1;
        }
    }
}

/// The sums of `R` rows and `C` pairs of a channel and a tap.
///
/// # Safety
/// As for [`dots`].
#[inline(always)]
unsafe fn tile<V: Dot, const R: usize, const C: usize>(
    sums: &Sums<'_, V::Value>,
    row: usize,
    column: usize,
    out: &mut [f32],
) {
    let taps = sums.reaches.len();
    let at = |c: usize| ((column + c) / taps, sums.reaches[(column + c) % taps]);
    let starts: [usize; C] = std::array::from_fn(|c| {
        let (channel, reach) = at(c);
        channel * sums.channel_step + reach.offset
    });
    // SAFETY: `check` bounded all places that are read.
    unsafe {
        let mut totals = [[V::zero(); C]; R];
        let grad = sums.grad.as_ptr().wrapping_add(row * sums.length);
        let source = sums.source.as_ptr();
        for i in (0..sums.length).step_by(V::VALUES) {
            let mut read = [V::zero(); C];
            for (read, start) in read.iter_mut().zip(starts) {
                *read = V::load(source.wrapping_add(start + i));
            }
            for (r, totals) in totals.iter_mut().enumerate() {
                let by = V::load(grad.wrapping_add(r * sums.length + i));
                for (total, read) in totals.iter_mut().zip(read) {
                    *total = by.mul_add(read, *total);
                }
            }
        }
        for (r, totals) in totals.into_iter().enumerate() {
            for (c, total) in totals.into_iter().enumerate() {
                let (channel, reach) = at(c);
                let place = ((row + r) * sums.channels + channel) * sums.taps + reach.index;
                out[place] += total.total();
            }
        }
    }
}
