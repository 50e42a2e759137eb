//! Working memory that starts on a cache line, so that no vector crosses one.

use std::ops::{Deref, DerefMut};

use crate::math::LANES;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// Places in memory, a multiple of the lanes.
#[derive(Default)]
pub(super) struct Buffer(Vec<Line>);

impl Buffer {
    /// Makes room for `len` places; what was there may stay.
    #[inline(always)]
    pub(super) fn grow(&mut self, len: usize) {
        if self.len() < len {
            self.zeros(len);
        }
    }

    /// Makes room for `len` places, and sets them to zero.
    pub(super) fn zeros(&mut self, len: usize) {
        self.0.clear();
        self.0.resize(len.div_ceil(LANES), Line([0.0; LANES]));
    }
}

impl Deref for Buffer {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        // SAFETY: a line is sixteen values without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }
}

impl DerefMut for Buffer {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}
