//! Matrices with rows and columns changed.

use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};
use crate::math::LANES;
use crate::parallel::{Fresh, Strips, TASK, collect};

/// `[batch, rows, columns]` → `[batch, columns, rows]`.
pub fn transpose(
    level: Level,
    x: &[f32],
    [batch, rows, columns]: [usize; 3],
) -> Result<Vec<f32>, ShapeError> {
    let size = rows.saturating_mul(columns);
    expect("x", x.len(), batch.saturating_mul(size))?;
    // Columns that one task handles.
    let columns_each = (TASK / rows.max(1)).next_multiple_of(LANES).max(LANES);
    let tasks = columns.div_ceil(columns_each);
    let task = |out: &Strips<'_>, task: usize| {
        let (b, first) = (task / tasks, task % tasks * columns_each);
        let count = columns_each.min(columns - first);
        // SAFETY: each task has rows of the result of its own.
        let to = unsafe { out.row(b * size + first * rows, count * rows) };
        turn(
            level,
            &x[b * size + first..(b + 1) * size],
            [rows, columns],
            to,
        );
    };
    // SAFETY: the tasks cover all columns of all matrices, and `turn` writes each of its places.
    Ok(unsafe {
        collect(x.len(), |out| {
            let large = out.len() > 2 * TASK;
            let out = Strips::new(out);
            match large {
                true => (0..batch * tasks)
                    .into_par_iter()
                    .for_each(|i| task(&out, i)),
                false => (0..batch * tasks).for_each(|i| task(&out, i)),
            }
        })
    })
}

leveled! {
    /// Writes the first columns of a matrix as rows, as many as `out` holds.
    fn turn(x: &[f32], size: [usize; 2], out: &mut Fresh) {
        let [rows, columns] = size;
        for (panel, out) in out.chunks_mut((LANES * rows).max(1)).enumerate() {
            let (at, lines) = (panel * LANES, out.len() / rows);
            let mut row = 0;
            while lines == LANES && row + LANES <= rows {
                let mut block = [[0.0; LANES]; LANES];
                for (i, to) in block.iter_mut().enumerate() {
                    to.copy_from_slice(&x[(row + i) * columns + at..][..LANES]);
                }
                for (j, line) in out.chunks_exact_mut(rows).enumerate() {
                    let turned: [f32; LANES] = std::array::from_fn(|i| block[i][j]);
                    line[row..][..LANES].write_copy_of_slice(&turned);
                }
                row += LANES;
            }
            for (j, line) in out.chunks_exact_mut(rows).enumerate() {
                for (row, to) in line.iter_mut().enumerate().skip(row) {
                    to.write(x[row * columns + at + j]);
                }
            }
        }
    }
}
