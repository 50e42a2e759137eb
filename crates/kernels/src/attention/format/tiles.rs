//! Products of a head's pairs of bf16 by the tiles of AMX, where whole tiles fit.

use super::Format;
use super::x86::Wide;
use crate::amx::{self, Block, Tiles};
use crate::math::LANES;
use crate::tile::{Left, Out, Right};

/// Most places along the summed axis of a left operand that is turned.
const PLACES: usize = 64;
/// Columns of a panel.
const COLUMNS: usize = amx::COLUMNS;

/// What nothing was before: one row for all.
static NOTHING: [f32; COLUMNS] = [0.0; COLUMNS];

/// Rows of a left operand one by one.
#[repr(align(64))]
struct Turned([f32; amx::ROWS * PLACES]);

/// How many rows of `a` tiles are fit for, from the first on.
#[inline(always)]
pub(super) fn rows(a: &Left<'_>, b: &Right<'_>) -> usize {
    let read = a.column == 1 || (a.row == 1 && b.count <= PLACES);
    let whole = b.count > 0 && b.count.is_multiple_of(amx::STEP);
    match read && whole && b.width > 0 && amx::available() {
        true => a.rows / amx::ROWS * amx::ROWS,
        false => 0,
    }
}

/// `out = a · b`, or `out += a · b` where `ADD`, for the first `rows` rows, as many as [`rows`] said.
///
/// # Safety
/// The machine must have AVX-512, and [`rows`] must have given `rows`, which is not zero.
#[inline(always)]
pub(super) unsafe fn product<const ADD: bool>(
    a: Left<'_>,
    b: Right<'_>,
    out: Out<'_>,
    rows: usize,
) {
    assert!(b.width.is_multiple_of(LANES) && b.width <= out.row && rows <= a.rows);
    assert!(b.first + b.count <= b.inner && b.values.len() >= b.inner * b.width);
    assert!((rows - 1) * out.row + b.width <= out.values.len());
    assert!((rows - 1) * a.row + (b.count - 1) * a.column < a.values.len());
    // SAFETY: `rows` found tiles.
    let tiles = unsafe { Tiles::new() };
    let mut turned = Turned([0.0; amx::ROWS * PLACES]);
    for row in (0..rows).step_by(amx::ROWS) {
        let (left, left_step) = match a.column {
            1 => (a.values[row * a.row..].as_ptr(), a.row),
            _ => {
                // SAFETY: promised; sixteen places at a time lie inside, as asserted.
                unsafe { turn(&a, row, b.count, &mut turned.0) };
                (turned.0.as_ptr(), b.count)
            }
        };
        for column in (0..b.width).step_by(COLUMNS) {
            let columns = COLUMNS.min(b.width - column);
            // SAFETY: the assertions bound every place: whole blocks of rows, panels of whole lanes, whole steps of `count`.
            unsafe {
                let place = out.values.as_mut_ptr().add(row * out.row + column);
                let (before, before_step) = match ADD {
                    true => (place.cast_const(), out.row),
                    false => (NOTHING.as_ptr(), 0),
                };
                let right = b.values.as_ptr().add(column * b.inner + b.first * columns);
                tiles.block(&Block {
                    left: left.cast(),
                    left_step,
                    right: right.cast(),
                    right_step: columns,
                    wide: columns == COLUMNS,
                    steps: b.count / amx::STEP,
                    before,
                    before_step,
                    out: place,
                    out_step: out.row,
                });
            }
        }
    }
}

/// Writes rows of `a`, whose rows lie together, from `row` on to `[rows of a block, count]`.
///
/// # Safety
/// The machine must have AVX-512; `a` must hold `count` places of a block's rows.
#[inline(always)]
unsafe fn turn(a: &Left<'_>, row: usize, count: usize, to: &mut [f32]) {
    for first in (0..amx::ROWS).step_by(LANES) {
        for place in (0..count).step_by(LANES) {
            let block = std::array::from_fn(|p| {
                let from = &a.values[(place + p) * a.column + row + first..];
                std::array::from_fn(|l| from[l])
            });
            // SAFETY: promised.
            let block = unsafe { Wide::transpose(block) };
            for (i, values) in block.iter().enumerate() {
                to[(first + i) * count + place..][..LANES].copy_from_slice(values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::x86::Bf16;
    use super::*;
    use crate::attention::format::x86::by_vectors;

    /// Places of two small numbers, which both ways multiply and add exactly.
    fn noise(count: usize, salt: u32) -> Vec<f32> {
        let half = |at: u32| {
            let number = (at.wrapping_mul(2_654_435_761) >> 20) % 9;
            (number as f32 - 4.0).to_bits() >> 16
        };
        let place = |at: u32| half(2 * at + salt) | half(2 * at + 1 + salt) << 16;
        (0..count as u32)
            .map(|at| f32::from_bits(place(at)))
            .collect()
    }

    #[test]
    fn tiles_give_what_vectors_give() {
        if !amx::available() {
            return;
        }
        for (rows, inner, first, count, width) in [
            (32, 16, 0, 16, 16),
            (33, 32, 16, 16, 48),
            (64, 64, 0, 64, 64),
            (100, 48, 16, 32, 80),
            (31, 16, 0, 16, 32),
            (64, 40, 0, 40, 32),
        ] {
            for along in [true, false] {
                let values = noise(rows * inner, 1);
                let right = noise(inner * width, 7);
                let (row, column) = if along { (inner, 1) } else { (1, rows) };
                let a = Left {
                    values: &values,
                    rows,
                    row,
                    column,
                };
                let b = Right {
                    values: &right,
                    inner,
                    first,
                    count,
                    width,
                };
                let before: Vec<f32> = (0..rows * width).map(|at| (at % 7) as f32).collect();
                let (mut found, mut want) = (before.clone(), before);
                fn out(values: &mut [f32], row: usize) -> Out<'_> {
                    Out { values, row }
                }
                // SAFETY: a machine with tiles has all that the format needs.
                unsafe {
                    Bf16::product::<true>(a, b, out(&mut found, width));
                    by_vectors::<true>(a, b, out(&mut want, width));
                    assert!(found == want, "{rows} {count} {width}: added");
                    Bf16::product::<false>(a, b, out(&mut found, width));
                    by_vectors::<false>(a, b, out(&mut want, width));
                }
                assert!(found == want, "{rows} {count} {width}");
            }
        }
    }
}
