//! Transposed copies against their definition.
#![allow(clippy::unwrap_used)]

mod common;

use common::{noise, sized};
use kernels::{Level, transpose};

#[test]
fn rows_and_columns_change_places() {
    let all = [
        [1, 1, 1],
        [2, 3, 5],
        [1, 16, 16],
        [3, 49, 33],
        [2, 196, 160],
        [1, 7, 70_000],
        [0, 4, 4],
        [2, 0, 3],
        [2, 3, 0],
    ];
    for level in Level::all() {
        for &[batch, rows, columns] in sized(&all[..], &all[..3]) {
            let x = noise(batch * rows * columns, 1);
            let y = transpose(level, &x, [batch, rows, columns]).unwrap();
            assert_eq!(y.len(), x.len());
            for (i, value) in y.iter().enumerate() {
                let (row, column, b) = (i % rows, i / rows % columns, i / (rows * columns));
                assert_eq!(
                    *value,
                    x[(b * rows + row) * columns + column],
                    "{batch} {rows} {columns} at {i}"
                );
            }
        }
    }
    assert!(transpose(Level::best(), &[0.0; 5], [1, 2, 3]).is_err());
}
