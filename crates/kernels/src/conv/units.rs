//! Values as products read them: f32, or units of two bf16 values of two channels.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::level::Level;
use crate::product::Precision;

/// Whether values are rounded to bf16.
pub(super) fn rounded(level: Level, precision: Precision) -> bool {
    #[cfg(target_arch = "x86_64")]
    if level.0 == crate::level::Kind::Avx512 && precision == Precision::Bf16 {
        return crate::bf16::available();
    }
    let _ = (level, precision);
    false
}

/// Weights as the product reads them.
pub(super) struct Weights<'a> {
    /// As they are, or units of two channels.
    pub(super) values: Cow<'a, [f32]>,
    /// Whether products are of units.
    pub(super) pairs: bool,
    /// Whether products are worked out by tiles, which are made of the values as they are.
    pub(super) tiles: bool,
    /// The weights for tiles, where they were made before; `values` is empty then.
    #[cfg(target_arch = "x86_64")]
    pub(super) ready: Option<&'a super::tiles::TileWeights>,
    /// Channels over which a sum runs; a unit counts as one.
    pub(super) channels: usize,
}

impl<'a> Weights<'a> {
    /// Of blocks of `[channels, width]` that give `rows` results. A unit is made of a channel and of the one half of them
    /// later.
    pub(super) fn new(
        level: Level,
        precision: Precision,
        weight: &'a [f32],
        [channels, width]: [usize; 2],
        rows: usize,
    ) -> Self {
        let pairs = channels > 1 && rounded(level, precision);
        let half = channels.div_ceil(2);
        #[cfg(target_arch = "x86_64")]
        let tiles = pairs && super::tiles::fit([channels, rows]);
        #[cfg(not(target_arch = "x86_64"))]
        let (tiles, _) = (false, rows);
        if !pairs || tiles {
            return Self {
                values: Cow::Borrowed(weight),
                pairs,
                tiles,
                #[cfg(target_arch = "x86_64")]
                ready: None,
                channels: if tiles { half } else { channels },
            };
        }
        let mut units = vec![0.0; weight.len() / channels * half];
        units
            .par_chunks_exact_mut(half * width)
            .with_min_len((32 * 1024 / (half * width)).max(1))
            .zip(weight.par_chunks_exact(channels * width))
            .for_each(|(to, from)| {
                let (first, second) = from.split_at(half * width);
                let (both, alone) = to.split_at_mut(second.len());
                let (paired, single) = first.split_at(second.len());
                interleave([Some(paired), Some(second)], 1, both);
                interleave([Some(single), None], 1, alone);
            });
        Self {
            values: Cow::Owned(units),
            pairs,
            tiles,
            #[cfg(target_arch = "x86_64")]
            ready: None,
            channels: half,
        }
    }
}

impl Weights<'_> {
    /// Channels of a block of `values`, made of `channels`.
    pub(super) fn stored(&self, channels: usize) -> usize {
        if self.tiles { channels } else { self.channels }
    }
}

/// The first or the second value of a unit.
pub(super) fn half(unit: u32, second: bool) -> f32 {
    f32::from_bits(if second {
        unit & 0xffff_0000
    } else {
        unit << 16
    })
}

/// Writes units of two rows, whose values are `step` apart. Called where the machine multiplies bf16 values.
pub(super) fn interleave([first, second]: [Option<&[f32]>; 2], step: usize, to: &mut [f32]) {
    if to.is_empty() {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if crate::bf16::available() {
        if let (Some(first), 1) = (first, step) {
            // SAFETY: just asked.
            return unsafe { super::x86::interleave(first, second, to) };
        }
        // SAFETY: the types have the same size and alignment, and any bits are values of both.
        let to = unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), to.len()) };
        // SAFETY: asked above.
        return unsafe { crate::bf16_x86::interleave(first, second, step, to) };
    }
    let _ = (first, second, step);
}

/// Copies values that are `step` apart.
pub(super) fn copy(from: &[f32], step: usize, to: &mut [f32]) {
    let (pairs, rest) = from.as_chunks::<2>();
    match step {
        1 => to.copy_from_slice(&from[..to.len()]),
        2 => {
            // Written for the compiler's vectors; a value may stand alone at the end.
            for (to, pair) in to.iter_mut().zip(pairs) {
                *to = pair[0];
            }
            if let (Some(to), Some(last)) = (to.get_mut(pairs.len()), rest.first()) {
                *to = *last;
            }
        }
        _ => {
            for (to, from) in to.iter_mut().zip(from.iter().step_by(step)) {
                *to = *from;
            }
        }
    }
}
