//! The linear algebra of frames: orthogonal factors, ranks, inverse square roots.

use nalgebra::{DMatrix, SymmetricEigen};

use super::frame::Frame;

/// Singular values below this share of the largest count as zero.
const NEGLIGIBLE: f64 = 1e-4;
/// Norm up to which a vector counts as a combination of those before it, as in the official code.
const DEPENDENT: f64 = 1e-3;

/// What becomes of directions in which a frame has no extent. They are not unique in `U Vᵀ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Degenerate {
    /// They are left out: the result does not depend on an arbitrary choice.
    #[default]
    Drop,
    /// Some orthonormal ones take their place, as in the official code, whose choice is that of its library.
    Complete,
}

/// The inner product.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (heads, tails) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = heads
        .remainder()
        .iter()
        .zip(tails.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in heads.zip(tails) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + f64::from(rest)
}

/// The orthogonal factor `U Vᵀ` of the singular value decomposition `U Σ Vᵀ` of a frame: the nearest frame of
/// orthonormal columns, and of a sum of frames their mean under the Procrustes distance. Columns of zeros
/// stay zeros under [`Degenerate::Drop`]. NaN where the frame holds values that are not finite.
pub fn procrustes(frame: &Frame, degenerate: Degenerate) -> Frame {
    let (width, columns) = (frame.width(), frame.columns());
    let used: Vec<usize> = (0..columns)
        .filter(|j| frame.column(*j).iter().any(|x| *x != 0.0))
        .collect();
    let Some(Singular { values, right }) = singular(frame, &used) else {
        return Frame::from_columns(width, vec![f32::NAN; width * columns]);
    };
    let largest = values.first().copied().unwrap_or(0.0);
    // Left and right singular vectors of what is kept.
    let mut left: Vec<Vec<f64>> = Vec::with_capacity(columns);
    let mut turns: Vec<Vec<f64>> = Vec::with_capacity(columns);
    for (value, turn) in values.iter().zip(&right) {
        if *value > NEGLIGIBLE * largest {
            let mut u = vec![0.0; width];
            let mut v = vec![0.0; columns];
            for (share, &j) in turn.iter().zip(&used) {
                v[j] = *share;
                add_scaled(
                    &mut u,
                    frame.column(j).iter().map(|x| f64::from(*x)),
                    share / value,
                );
            }
            left.push(u);
            turns.push(v);
        }
    }
    if degenerate == Degenerate::Complete {
        complete(&mut left, columns.min(width), width);
        complete(&mut turns, columns.min(width), columns);
    }
    let mut result = Frame::zeros(width, columns);
    for j in 0..columns {
        let mut column = vec![0.0; width];
        for (u, v) in left.iter().zip(&turns) {
            add_scaled(&mut column, u.iter().copied(), v[j]);
        }
        for (x, value) in result.column_mut(j).iter_mut().zip(column) {
            *x = value as f32;
        }
    }
    result
}

/// Singular values, largest first, and right singular vectors over the chosen columns.
struct Singular {
    values: Vec<f64>,
    right: Vec<Vec<f64>>,
}

/// From the eigenvalues of `MᵀM`, in f64; none where they are not finite.
fn singular(frame: &Frame, used: &[usize]) -> Option<Singular> {
    let gram = DMatrix::from_fn(used.len(), used.len(), |i, j| {
        let pairs = frame.column(used[i]).iter().zip(frame.column(used[j]));
        pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    });
    let (eigenvalues, vectors) = symmetric_eigen(gram)?;
    let mut order: Vec<usize> = (0..used.len()).collect();
    order.sort_by(|a, b| eigenvalues[*b].total_cmp(&eigenvalues[*a]));
    Some(Singular {
        values: order
            .iter()
            .map(|i| eigenvalues[*i].max(0.0).sqrt())
            .collect(),
        right: order
            .iter()
            .map(|i| vectors.column(*i).iter().copied().collect())
            .collect(),
    })
}

/// Eigenvalues and eigenvectors; none where the matrix holds values that are not finite.
fn symmetric_eigen(matrix: DMatrix<f64>) -> Option<(Vec<f64>, DMatrix<f64>)> {
    if matrix.is_empty() {
        return Some((Vec::new(), matrix));
    }
    if !matrix.iter().all(|x| x.is_finite()) {
        return None;
    }
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = SymmetricEigen::new(matrix);
    Some((eigenvalues.iter().copied().collect(), eigenvectors))
}

/// Orthonormal vectors become `count`: unit vectors join where they are not combinations of those that are there.
fn complete(vectors: &mut Vec<Vec<f64>>, count: usize, width: usize) {
    for axis in 0..width {
        if vectors.len() >= count {
            return;
        }
        let mut candidate = vec![0.0; width];
        candidate[axis] = 1.0;
        let norm = reject(&mut candidate, vectors);
        // One of `width` axes has at least this much outside of fewer than `width` vectors.
        if norm > 0.5 / (width as f64).sqrt() {
            candidate.iter_mut().for_each(|x| *x /= norm);
            vectors.push(candidate);
        }
    }
}

/// Takes from `vector` its part within `basis`, orthonormal; gives the norm of what is left.
fn reject(vector: &mut [f64], basis: &[Vec<f64>]) -> f64 {
    for other in basis {
        let along: f64 = vector.iter().zip(other).map(|(x, y)| x * y).sum();
        add_scaled(vector, other.iter().copied(), -along);
    }
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn add_scaled(sum: &mut [f64], values: impl Iterator<Item = f64>, scale: f64) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += scale * value;
    }
}

/// Orthonormal vectors that span what `vectors` `[count, width]` span, one for each: zeros for combinations of those
/// before it (Gram-Schmidt).
pub fn gram_schmidt(vectors: &[f32], width: usize) -> Vec<f32> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut out = Vec::with_capacity(vectors.len());
    for vector in vectors.chunks_exact(width) {
        let mut rest: Vec<f64> = vector.iter().map(|x| f64::from(*x)).collect();
        let norm = reject(&mut rest, &basis);
        if norm <= DEPENDENT {
            out.extend(std::iter::repeat_n(0.0, width));
            continue;
        }
        rest.iter_mut().for_each(|x| *x /= norm);
        out.extend(rest.iter().map(|x| *x as f32));
        basis.push(rest);
    }
    out
}

/// The numerical rank: singular values above the largest times the longer side times the precision of f32.
pub fn matrix_rank(frame: &Frame) -> usize {
    let all: Vec<usize> = (0..frame.columns()).collect();
    let Some(Singular { values, .. }) = singular(frame, &all) else {
        return 0;
    };
    let largest = values.first().copied().unwrap_or(0.0);
    let side = frame.width().max(frame.columns()) as f64;
    let limit = largest * side * f64::from(f32::EPSILON);
    values.iter().filter(|value| **value > limit).count()
}

/// [`matrix_rank`] over the number of columns that are not zeros; NaN without any.
pub fn relative_rank(frame: &Frame) -> f64 {
    matrix_rank(frame) as f64 / frame.rank() as f64
}

/// `C^(−1/2)` of a symmetric matrix `[width, width]`; directions with eigenvalues up to `negligible` become zero. None
/// where it holds values that are not finite.
pub fn inverse_square_root(matrix: &[f64], width: usize, negligible: f64) -> Option<Vec<f32>> {
    let (values, vectors) = symmetric_eigen(DMatrix::from_row_slice(width, width, matrix))?;
    let mut scaled = vectors.clone();
    for (mut column, value) in scaled.column_iter_mut().zip(values) {
        column *= if value > negligible {
            1.0 / value.sqrt()
        } else {
            0.0
        };
    }
    let root = scaled * vectors.transpose();
    Some(root.iter().map(|x| *x as f32).collect())
}
