//! Splitting work at fixed places, and writing fresh memory without clearing it first.

use rayon::prelude::*;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Memory to be written for the first time.
pub(crate) type Fresh = [MaybeUninit<f32>];

/// Values that one task handles, about: 64 KiB a stream, so that a row read twice is still in the cache.
pub(crate) const TASK: usize = portion(16 * 1024, 32);

/// `usual`, or `small` under Miri: tests take small shapes there, which several tasks must still share.
pub(crate) const fn portion(usual: usize, small: usize) -> usize {
    if cfg!(miri) { small } else { usual }
}

/// Rows of `width` values that one task handles.
pub(crate) fn rows_per_task(width: usize) -> usize {
    (TASK / width.max(1)).max(1)
}

/// A vector of `len` values that `fill` writes.
///
/// # Safety
/// `fill` must initialise every value.
pub(crate) unsafe fn collect(len: usize, fill: impl FnOnce(&mut Fresh)) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    fill(&mut values.spare_capacity_mut()[..len]);
    // SAFETY: the caller promises that `fill` initialised all of them.
    unsafe { values.set_len(len) };
    values
}

/// Calls `work(x, out)` on pieces of equal place and length of the two slices, in parallel.
pub(crate) fn map(x: &[f32], out: &mut Fresh, work: impl Fn(&[f32], &mut Fresh) + Sync) {
    if out.len() <= 2 * TASK {
        return work(x, out);
    }
    out.par_chunks_mut(TASK)
        .zip(x.par_chunks(TASK))
        .for_each(|(out, x)| work(x, out));
}

/// As [`map`], with two inputs.
pub(crate) fn map2(
    x: &[f32],
    y: &[f32],
    out: &mut Fresh,
    work: impl Fn(&[f32], &[f32], &mut Fresh) + Sync,
) {
    if out.len() <= 2 * TASK {
        return work(x, y, out);
    }
    out.par_chunks_mut(TASK)
        .zip(x.par_chunks(TASK).zip(y.par_chunks(TASK)))
        .for_each(|(out, (x, y))| work(x, y, out));
}

/// Fresh memory that several tasks write at once, each its own places.
pub(crate) struct Strips<'a> {
    start: *mut MaybeUninit<f32>,
    len: usize,
    memory: PhantomData<&'a mut Fresh>,
}

// SAFETY: access goes through `row`, whose callers promise that no two of them hold the same place.
unsafe impl Sync for Strips<'_> {}

impl<'a> Strips<'a> {
    pub(crate) fn new(memory: &'a mut Fresh) -> Self {
        Self {
            start: memory.as_mut_ptr(),
            len: memory.len(),
            memory: PhantomData,
        }
    }

    /// `len` places from `from` on.
    ///
    /// # Safety
    /// While the result lives, nobody else may hold any of these places.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn row(&self, from: usize, len: usize) -> &mut Fresh {
        assert!(from + len <= self.len);
        // SAFETY: inside the memory by the assertion, not shared by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}

/// A slice whose parts several tasks write at once, each its own.
pub(crate) struct Places<'a, T> {
    start: *mut T,
    len: usize,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `slice`, whose callers promise that no two of them hold the same place.
unsafe impl<T: Send> Sync for Places<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Places<'_, T> {}

impl<'a, T> Places<'a, T> {
    pub(crate) fn new(memory: &'a mut [T]) -> Self {
        Self {
            start: memory.as_mut_ptr(),
            len: memory.len(),
            memory: PhantomData,
        }
    }

    /// `len` places from `from` on.
    ///
    /// # Safety
    /// While the result lives, nobody else may hold any of these places.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn slice(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from + len <= self.len);
        // SAFETY: inside the memory by the assertion, not shared by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}
