//! A video as the encoder sees it: one vector a frame.

use super::{LearningError, Result};

/// Vectors of one width, one a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    values: Vec<f64>,
    width: usize,
}

impl Embeddings {
    /// From rows written one after another.
    ///
    /// # Errors
    /// No row at all, rows that are cut off, values that are not finite.
    pub fn new(values: Vec<f64>, width: usize) -> Result<Self> {
        if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
            return Err(LearningError::invalid(format!(
                "{} values are not rows of {width}: give at least one whole row",
                values.len()
            )));
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(LearningError::invalid(
                "an embedding is not finite: the encoder's weights or its input are broken",
            ));
        }
        Ok(Self { values, width })
    }

    /// Zeros like another.
    pub fn zeros_like(other: &Self) -> Self {
        Self {
            values: vec![0.0; other.values.len()],
            width: other.width,
        }
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.values.len() / self.width
    }

    /// Length of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vector of frame `at`.
    pub fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.width..(at + 1) * self.width]
    }

    /// The vector of frame `at`, to change.
    pub fn row_mut(&mut self, at: usize) -> &mut [f64] {
        &mut self.values[at * self.width..(at + 1) * self.width]
    }

    /// All vectors.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.width)
    }

    /// All values, frame by frame.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Every `stride`-th frame, from the first.
    pub fn strided(&self, stride: usize) -> Self {
        let rows = self.rows().step_by(stride.max(1));
        Self {
            values: rows.flatten().copied().collect(),
            width: self.width,
        }
    }

    /// Adds `scale` times another of the same shape.
    pub fn add(&mut self, other: &Self, scale: f64) {
        for (value, more) in self.values.iter_mut().zip(&other.values) {
            *value += scale * more;
        }
    }
}

/// Scalar product.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Squared Euclidean distance.
pub(super) fn distance_squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
