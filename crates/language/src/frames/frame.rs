//! Frames: ordered columns of token vectors.

use super::linalg::dot;

/// A matrix `[width, columns]`, one column a token. Columns of zeros stand for tokens that are not there.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    width: usize,
    /// Column after column, `[columns, width]`.
    values: Vec<f32>,
}

impl Frame {
    /// A frame of zeros.
    pub fn zeros(width: usize, columns: usize) -> Self {
        Self {
            width,
            values: vec![0.0; width * columns],
        }
    }

    /// A frame of `columns`, each `width` values, one after the other.
    pub fn from_columns(width: usize, values: Vec<f32>) -> Self {
        debug_assert!(values.len().is_multiple_of(width.max(1)));
        Self { width, values }
    }

    /// A frame of the rows of a matrix `[width, columns]` in row-major order, as files hold it.
    pub fn from_matrix(columns: usize, matrix: &[f32]) -> Self {
        let width = matrix.len() / columns.max(1);
        let mut frame = Self::zeros(width, columns);
        for (row, values) in matrix.chunks_exact(columns.max(1)).enumerate() {
            for (column, value) in values.iter().enumerate() {
                frame.values[column * width + row] = *value;
            }
        }
        frame
    }

    /// `[width, columns]` in row-major order.
    pub fn to_matrix(&self) -> Vec<f32> {
        let columns = self.columns();
        let mut matrix = vec![0.0; self.values.len()];
        for (at, value) in self.values.iter().enumerate() {
            matrix[at % self.width * columns + at / self.width] = *value;
        }
        matrix
    }

    /// Values of a column.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Columns, those of zeros included.
    pub fn columns(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Column number `column`.
    pub fn column(&self, column: usize) -> &[f32] {
        &self.values[column * self.width..][..self.width]
    }

    /// Column number `column`, to be changed.
    pub fn column_mut(&mut self, column: usize) -> &mut [f32] {
        &mut self.values[column * self.width..][..self.width]
    }

    /// Number of columns that are not all zeros: the paper's stand-in for the rank.
    pub fn rank(&self) -> usize {
        let columns = self.values.chunks_exact(self.width.max(1));
        columns
            .filter(|column| column.iter().any(|x| *x != 0.0))
            .count()
    }

    /// Adds `other` column by column; columns that this frame lacks are left out.
    pub fn add(&mut self, other: &Self) {
        for (x, y) in self.values.iter_mut().zip(&other.values) {
            *x += y;
        }
    }

    /// `self − other`, as wide in columns as the wider one.
    pub fn minus(&self, other: &Self) -> Self {
        let mut difference = self.clone();
        let len = self.values.len().max(other.values.len());
        difference.values.resize(len, 0.0);
        for (x, y) in difference.values.iter_mut().zip(&other.values) {
            *x -= y;
        }
        difference
    }

    /// `Σⱼ ⟨aⱼ, bⱼ⟩ / √(r(A) r(B))`: the correlation of frames of unit columns, the *projection* otherwise. The sum ends
    /// with the shorter frame. NaN where either has no columns.
    pub fn correlation(&self, other: &Self) -> f64 {
        let pairs = self.values.chunks_exact(self.width.max(1));
        let pairs = pairs.zip(other.values.chunks_exact(other.width.max(1)));
        let sum: f64 = pairs.map(|(a, b)| dot(a, b)).sum();
        sum / ((self.rank() * other.rank()) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_of_hand_made_frames() {
        let a = Frame::from_columns(2, vec![1.0, 0.0, 0.0, 1.0]);
        let b = Frame::from_columns(2, vec![1.0, 0.0, 0.0, 0.0]);
        assert_eq!((a.rank(), b.rank()), (2, 1));
        assert!((a.correlation(&b) - 1.0 / 2.0_f64.sqrt()).abs() < 1e-12);
        assert!(a.correlation(&Frame::zeros(2, 1)).is_nan());
        assert_eq!(Frame::from_matrix(2, &a.to_matrix()), a);
        assert_eq!(b.minus(&a).column(1), [0.0, -1.0]);
    }
}
