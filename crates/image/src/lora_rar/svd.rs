//! The nearest matrix of lower rank.

use base::rng::Rng;
use nalgebra::DMatrix;

use super::matrix::Matrix;

/// Up to this many rows or columns the decomposition is exact.
const EXACT: usize = 256;
/// Directions beside those asked for, and rounds of the subspace iteration above [`EXACT`].
const EXTRA: usize = 16;
const ROUNDS: usize = 4;

/// Factors `(U·S, Vᵀ)` of `rank` of the matrix nearest to `dense`; fewer where it has fewer rows or columns. Small matrices are
/// decomposed exactly, large ones by subspace iteration from fixed random directions (Halko, Martinsson and Tropp, 2011,
/// algorithm 4.4).
pub fn truncated(dense: &Matrix, rank: usize) -> (Matrix, Matrix) {
    let rank = rank.min(dense.rows).min(dense.columns);
    if dense.rows.min(dense.columns) <= EXACT.max(rank + EXTRA) {
        return exact(dense, rank);
    }
    let mut rng = Rng::new(0).child("subspace");
    let width = rank + EXTRA;
    let start = Matrix {
        rows: dense.columns,
        columns: width,
        values: rng.normals(dense.columns * width),
    };
    let transposed = dense.transposed();
    let mut basis = orthonormal(dense.times(&start));
    for _ in 0..ROUNDS {
        let back = orthonormal(transposed.times(&basis));
        basis = orthonormal(dense.times(&back));
    }
    let (up, down) = exact(&basis.transposed().times(dense), rank);
    (basis.times(&up), down)
}

fn exact(dense: &Matrix, rank: usize) -> (Matrix, Matrix) {
    let svd = of(dense).svd(true, true);
    let (Some(u), Some(v)) = (svd.u, svd.v_t) else {
        return Default::default();
    };
    let mut order: Vec<usize> = (0..svd.singular_values.len()).collect();
    order.sort_by(|a, b| svd.singular_values[*b].total_cmp(&svd.singular_values[*a]));
    order.truncate(rank);
    let up = (0..dense.rows)
        .flat_map(|row| order.iter().map(move |at| (row, *at)))
        .map(|(row, at)| u[(row, at)] * svd.singular_values[at]);
    let up = up.collect();
    let down = order
        .iter()
        .flat_map(|at| v.row(*at).iter().copied().collect::<Vec<f32>>())
        .collect();
    let rank = order.len();
    (
        Matrix {
            rows: dense.rows,
            columns: rank,
            values: up,
        },
        Matrix {
            rows: rank,
            columns: dense.columns,
            values: down,
        },
    )
}

fn of(matrix: &Matrix) -> DMatrix<f32> {
    DMatrix::from_row_slice(matrix.rows, matrix.columns, &matrix.values)
}

/// Orthonormal columns that span those of `matrix`.
fn orthonormal(matrix: Matrix) -> Matrix {
    let q = of(&matrix).qr().q();
    Matrix {
        rows: q.nrows(),
        columns: q.ncols(),
        values: q.transpose().as_slice().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_matrix_of_low_rank_is_found_again_and_no_other_rank_does_it() {
        let mut rng = Rng::new(1);
        let mut drawn = |rows, columns| Matrix {
            rows,
            columns,
            values: rng.normals(rows * columns),
        };
        let dense = drawn(400, 7).times(&drawn(7, 300));
        let off = |rank| {
            let (up, down) = truncated(&dense, rank);
            let found = up.times(&down);
            let pairs = dense.values.iter().zip(&found.values);
            let squares: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
            squares.sqrt() / dense.norm()
        };
        assert!(off(7) < 1e-5, "{}", off(7));
        assert!(off(6) > 0.1, "{}", off(6));
    }
}
