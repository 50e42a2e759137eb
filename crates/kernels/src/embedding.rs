//! Rows picked from a table.

use rayon::prelude::*;

use crate::error::{expect, rows};
use crate::input_error::{InputError, index};
use crate::level::{Level, leveled};
use crate::parallel::{collect, rows_per_task};

/// The rows of `table` `[rows, width]` that `indices` name, `[indices, width]`.
pub fn embedding(table: &[f32], indices: &[i64], width: usize) -> Result<Vec<f32>, InputError> {
    let rows = rows("table", table.len(), width)?;
    let places = places(indices, rows)?;
    if width == 0 {
        return Ok(Vec::new());
    }
    let task = rows_per_task(width);
    // SAFETY: every row is written; the chunks cover all rows.
    Ok(unsafe {
        collect(places.len() * width, |out| {
            out.par_chunks_mut(task * width)
                .zip(places.par_chunks(task))
                .for_each(|(out, places)| {
                    for (out, place) in out.chunks_exact_mut(width).zip(places) {
                        out.write_copy_of_slice(&table[place * width..][..width]);
                    }
                });
        })
    })
}

/// Gradient of the table of [`embedding`], `[rows, width]`, from `grad` `[indices, width]`: each row is the sum, in
/// order, of the gradients of the places where it was picked.
pub fn embedding_backward(
    level: Level,
    grad: &[f32],
    indices: &[i64],
    [rows, width]: [usize; 2],
) -> Result<Vec<f32>, InputError> {
    expect("grad", grad.len(), indices.len().saturating_mul(width))?;
    let places = places(indices, rows)?;
    if rows.saturating_mul(width) > isize::MAX as usize / 4 {
        return Err(InputError::Setting {
            name: "rows",
            range: "small enough for memory",
            found: rows as f64,
        });
    }
    let mut sums = vec![0.0; rows * width];
    if grad.is_empty() {
        return Ok(sums);
    }
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&i| places[i]);
    let task = rows_per_task(width);
    sums.par_chunks_mut(task * width)
        .enumerate()
        .for_each(|(i, sums)| {
            let first = i * task;
            let start = order.partition_point(|&i| places[i] < first);
            let end = order.partition_point(|&i| places[i] < first + task);
            for &i in &order[start..end] {
                let to = &mut sums[(places[i] - first) * width..][..width];
                add_block(level, &grad[i * width..][..width], to);
            }
        });
    Ok(sums)
}

fn places(indices: &[i64], rows: usize) -> Result<Vec<usize>, InputError> {
    let checked = indices.iter().enumerate();
    checked
        .map(|(place, &found)| index("indices", place, found, rows))
        .collect()
}

leveled! {
    fn add_block(what: &[f32], to: &mut [f32]) {
        for (to, what) in to.iter_mut().zip(what) {
            *to += what;
        }
    }
}
