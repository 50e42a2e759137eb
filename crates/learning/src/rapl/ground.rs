//! What pairs of frames of two videos cost.

use super::embeddings::{Embeddings, distance_squared, dot};
use super::{LearningError, Result};

/// What a pair of frames costs.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// 1 − cosine of the embeddings, in 0..=2.
    #[default]
    Cosine,
    /// Squared Euclidean distance.
    #[serde(rename = "sqeuclidean")]
    #[value(name = "sqeuclidean")]
    SquaredEuclidean,
}

/// A table of `rows × columns` values, row after row: costs, or how much mass goes from row to column.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Frames of the first video.
    pub rows: usize,
    /// Frames of the second video.
    pub columns: usize,
    /// Row after row.
    pub values: Vec<f64>,
}

impl Table {
    /// A row.
    pub fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.columns..(at + 1) * self.columns]
    }

    /// Sum of products with another table of the same size.
    pub fn dot(&self, other: &Self) -> f64 {
        dot(&self.values, &other.values)
    }

    /// Rows become columns.
    pub(super) fn transposed(&self) -> Self {
        let cells = (0..self.columns).flat_map(|j| (0..self.rows).map(move |i| (i, j)));
        Self {
            rows: self.columns,
            columns: self.rows,
            values: cells
                .map(|(i, j)| self.values[i * self.columns + j])
                .collect(),
        }
    }

    /// The table itself, or transposed.
    pub(super) fn turned(self, turn: bool) -> Self {
        match turn {
            true => self.transposed(),
            false => self,
        }
    }

    /// The greatest value.
    pub fn greatest(&self) -> f64 {
        self.values
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// `Σ p log p` of a plan: near `−log(rows · columns)` when it is flat, greater when it is sharp.
    pub fn sharpness(&self) -> f64 {
        let parts = self.values.iter().filter(|p| **p > 0.0);
        parts.map(|p| p * libm::log(*p)).sum()
    }
}

impl Ground {
    /// The costs of all pairs of frames.
    ///
    /// # Errors
    /// Embeddings of different widths; with cosines, an embedding that is zero.
    pub fn costs(self, x: &Embeddings, y: &Embeddings) -> Result<Table> {
        if x.width() != y.width() {
            return Err(LearningError::invalid(format!(
                "embeddings of widths {} and {} cannot be compared: use one encoder for both videos",
                x.width(),
                y.width()
            )));
        }
        let values = match self {
            Self::SquaredEuclidean => x
                .rows()
                .flat_map(|x| y.rows().map(move |y| distance_squared(x, y)))
                .collect(),
            Self::Cosine => {
                let (x, y) = (units(x)?, units(y)?);
                let pairs = x
                    .rows()
                    .flat_map(|x| y.rows().map(move |y| 1.0 - dot(x, y)));
                pairs.collect()
            }
        };
        Ok(Table {
            rows: x.frames(),
            columns: y.frames(),
            values,
        })
    }

    /// The gradients of `Σ weight · cost` for both videos.
    ///
    /// # Errors
    /// As [`Ground::costs`].
    pub fn gradients(
        self,
        x: &Embeddings,
        y: &Embeddings,
        weights: &Table,
    ) -> Result<[Embeddings; 2]> {
        let mut gradients = [Embeddings::zeros_like(x), Embeddings::zeros_like(y)];
        match self {
            Self::SquaredEuclidean => {
                for i in 0..weights.rows {
                    for (j, weight) in weights.row(i).iter().enumerate() {
                        for at in 0..x.width() {
                            let part = 2.0 * weight * (x.row(i)[at] - y.row(j)[at]);
                            gradients[0].row_mut(i)[at] += part;
                            gradients[1].row_mut(j)[at] -= part;
                        }
                    }
                }
            }
            Self::Cosine => {
                let (u, v) = (units(x)?, units(y)?);
                for i in 0..weights.rows {
                    for (j, weight) in weights.row(i).iter().enumerate() {
                        let cosine = dot(u.row(i), v.row(j));
                        for at in 0..x.width() {
                            let (a, b) = (u.row(i)[at], v.row(j)[at]);
                            gradients[0].row_mut(i)[at] -= weight * (b - cosine * a);
                            gradients[1].row_mut(j)[at] -= weight * (a - cosine * b);
                        }
                    }
                }
                for (gradient, from) in gradients.iter_mut().zip([x, y]) {
                    for at in 0..from.frames() {
                        let length = dot(from.row(at), from.row(at)).sqrt();
                        gradient.row_mut(at).iter_mut().for_each(|g| *g /= length);
                    }
                }
            }
        }
        Ok(gradients)
    }
}

/// The vectors at length 1.
fn units(x: &Embeddings) -> Result<Embeddings> {
    let mut out = x.clone();
    for at in 0..x.frames() {
        let row = out.row_mut(at);
        let length = dot(row, row).sqrt();
        if length == 0.0 {
            return Err(LearningError::invalid(
                "an embedding is zero and has no cosine: use the squared Euclidean cost",
            ));
        }
        row.iter_mut().for_each(|value| *value /= length);
    }
    Ok(out)
}
