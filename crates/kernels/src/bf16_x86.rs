//! The instructions of bf16: rounding and the tile of a product.

use std::arch::x86_64::*;

/// One tile of a product and where its operands are.
pub(crate) struct Tile {
    /// Units of the left operand, with the distance between rows and between units.
    pub(crate) left: *const u32,
    pub(crate) row_step: usize,
    pub(crate) unit_step: usize,
    /// Units of the right operand, `[depth, stride]`, `stride` a multiple of 16.
    pub(crate) panel: *const u32,
    pub(crate) stride: usize,
    pub(crate) depth: usize,
    /// The result, with the distance between rows.
    pub(crate) out: *mut f32,
    pub(crate) out_step: usize,
    /// At most 6.
    pub(crate) rows: usize,
    /// At most 64.
    pub(crate) columns: usize,
    /// What the product is added to, nothing where null, with the distance between rows.
    pub(crate) before: (*const f32, usize),
}

/// Computes a tile.
///
/// # Safety
/// The machine must have AVX-512 with BF16; all places that the tile speaks of must be there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) unsafe fn tile(tile: Tile) {
    let mut row = 0;
    while row < tile.rows {
        // SAFETY: handed down.
        unsafe {
            let rest = Tile {
                left: tile.left.add(row * tile.row_step),
                out: tile.out.add(row * tile.out_step),
                before: (
                    tile.before.0.wrapping_add(row * tile.before.1),
                    tile.before.1,
                ),
                ..tile
            };
            row += match tile.rows - row {
                6.. => rows::<6>(rest),
                4.. => rows::<4>(rest),
                2.. => rows::<2>(rest),
                _ => rows::<1>(rest),
            };
        }
    }
}

/// The first `ROWS` rows of a tile; gives their number.
///
/// # Safety
/// As for [`tile`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn rows<const ROWS: usize>(tile: Tile) -> usize {
    // SAFETY: handed down.
    unsafe {
        match tile.columns.div_ceil(16) {
            4 => sized::<ROWS, 4>(tile),
            3 => sized::<ROWS, 3>(tile),
            2 => sized::<ROWS, 2>(tile),
            _ => sized::<ROWS, 1>(tile),
        }
    }
    ROWS
}

/// A tile of known size; the last vector may hold fewer than 16 columns.
///
/// # Safety
/// As for [`tile`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn sized<const ROWS: usize, const VECTORS: usize>(tile: Tile) {
    // SAFETY: the caller promises that all places are there.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
        for u in 0..tile.depth {
            let mut right = [_mm512_setzero_si512(); VECTORS];
            for (v, right) in right.iter_mut().enumerate() {
                *right = _mm512_loadu_si512(tile.panel.add(u * tile.stride + v * 16).cast());
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let unit = *tile.left.add(i * tile.row_step + u * tile.unit_step);
                let left = _mm512_set1_epi32(unit.cast_signed());
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = _mm512_dpbf16_ps(*sum, as_bf16(left), as_bf16(right));
                }
            }
        }
        let last = tile.columns - (VECTORS - 1) * 16;
        for (i, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let mask = if v + 1 == VECTORS {
                    u16::MAX >> (16 - last)
                } else {
                    u16::MAX
                };
                let to = tile.out.add(i * tile.out_step + v * 16);
                let before = if tile.before.0.is_null() {
                    _mm512_setzero_ps()
                } else {
                    _mm512_maskz_loadu_ps(mask, tile.before.0.add(i * tile.before.1 + v * 16))
                };
                _mm512_mask_storeu_ps(to, mask, _mm512_add_ps(*sum, before));
            }
        }
    }
}

/// The same bits as bf16 values.
#[target_feature(enable = "avx512f,avx512bf16")]
fn as_bf16(units: __m512i) -> __m512bh {
    // SAFETY: both types are 512 plain bits.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(units) }
}

/// Sixteen values rounded to bf16, one in the low half of each lane.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn rounded(values: __m512) -> __m512i {
    let halves = _mm512_cvtneps_pbh(values);
    // SAFETY: both types are 256 plain bits.
    _mm512_cvtepu16_epi32(unsafe { std::mem::transmute::<__m256bh, __m256i>(halves) })
}

/// Units of one row of values: `to` holds half as many, rounded up.
///
/// # Safety
/// The machine must have AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) unsafe fn pairs(from: &[f32], to: &mut [u32]) {
    assert!(to.len() == from.len().div_ceil(2));
    let mut done = 0;
    // SAFETY: every vector lies inside the slices: the masks cover what is left of them.
    unsafe {
        while done < from.len() {
            let left = from.len() - done;
            let start = from.as_ptr().add(done);
            let low = _mm512_maskz_loadu_ps(mask(left), start);
            let high = if left > 16 {
                _mm512_maskz_loadu_ps(mask(left - 16), start.add(16))
            } else {
                _mm512_setzero_ps()
            };
            let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            let place = to.as_mut_ptr().add(done / 2).cast();
            _mm512_mask_storeu_epi32(place, mask(left.div_ceil(2)), both);
            done += 32;
        }
    }
}

/// Units of two rows, lane by lane; values of a row are `step` apart, an absent row is zero.
///
/// # Safety
/// The machine must have AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) unsafe fn interleave(
    first: Option<&[f32]>,
    second: Option<&[f32]>,
    step: usize,
    to: &mut [u32],
) {
    let [first, second] =
        [first, second].map(|row| row.map(|row| &row[..(to.len() - 1) * step + 1]));
    let mut done = 0;
    if let (Some(first), Some(second), 1) = (first, second, step) {
        // Lane by lane: the first row's values are in the lower half.
        let order = std::array::from_fn::<u16, 32, _>(|at| (at / 2 + at % 2 * 16) as u16);
        // SAFETY: both rows were cut to hold as many values as `to`; only whole vectors are read and written.
        unsafe {
            let order = _mm512_loadu_epi16(order.as_ptr().cast());
            while done + 16 <= to.len() {
                let low = _mm512_loadu_ps(first.as_ptr().add(done));
                let high = _mm512_loadu_ps(second.as_ptr().add(done));
                let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                let units = _mm512_permutexvar_epi16(order, both);
                _mm512_storeu_epi32(to.as_mut_ptr().add(done).cast(), units);
                done += 16;
            }
        }
    }
    for (i, to) in (done / 16..).zip(to[done..].chunks_mut(16)) {
        let mask = mask(to.len());
        let [low, high] = [first, second].map(|row| match row {
            None => _mm512_setzero_si512(),
            Some(row) if step == 1 => {
                // SAFETY: the row was cut to hold every lane of `to`; the mask covers what is left of it.
                rounded(unsafe { _mm512_maskz_loadu_ps(mask, row.as_ptr().add(i * 16)) })
            }
            Some(row) => {
                let mut lanes = [0.0; 16];
                for (l, lane) in lanes.iter_mut().take(to.len()).enumerate() {
                    *lane = row[(i * 16 + l) * step];
                }
                // SAFETY: sixteen values are there.
                rounded(unsafe { _mm512_loadu_ps(lanes.as_ptr()) })
            }
        });
        let units = _mm512_or_si512(low, _mm512_slli_epi32::<16>(high));
        // SAFETY: the mask covers the places of `to`.
        unsafe { _mm512_mask_storeu_epi32(to.as_mut_ptr().cast(), mask, units) };
    }
}

/// The first `count` lanes, at most all 16.
fn mask(count: usize) -> u16 {
    if count >= 16 {
        u16::MAX
    } else {
        (1 << count) - 1
    }
}

/// Asks for the first `count` values of a row.
#[inline]
pub(crate) fn prefetch(row: &[f32], count: usize) {
    for line in row[..count.min(row.len())].chunks(16) {
        // SAFETY: a prefetch reads nothing; the address is that of a value.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}
