//! A dense matrix on plain values, for what needs no gradient.

use burn::tensor::{Device, Tensor, TensorData};
use kernels::{LinearDims, Precision};

/// Rows × columns, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// The values, `rows · columns`.
    pub values: Vec<f32>,
}

impl Matrix {
    /// A matrix of `values`; none where they do not fill it.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Option<Self> {
        (rows * columns == values.len()).then_some(Self {
            rows,
            columns,
            values,
        })
    }

    /// The product `self · other`; zeros where the sizes do not agree on the inner side.
    pub fn times(&self, other: &Self) -> Self {
        let dims = LinearDims {
            rows: self.rows,
            output: self.columns,
            input: other.columns,
        };
        let product =
            kernels::linear_backward_input(Precision::F32, &self.values, &other.values, dims);
        Self {
            rows: self.rows,
            columns: other.columns,
            values: product.unwrap_or_else(|_| vec![0.0; self.rows * other.columns]),
        }
    }

    /// Every value through `f`.
    pub fn map(mut self, f: impl Fn(f32) -> f32) -> Self {
        self.values.iter_mut().for_each(|value| *value = f(*value));
        self
    }

    /// Column `j` times `factors[j]`.
    pub fn scale_columns(mut self, factors: &[f32]) -> Self {
        for row in self.values.chunks_exact_mut(self.columns.max(1)) {
            for (value, factor) in row.iter_mut().zip(factors) {
                *value *= factor;
            }
        }
        self
    }

    /// `self` above `other`.
    pub fn above(mut self, other: &Self) -> Self {
        self.values.extend_from_slice(&other.values);
        self.rows += other.rows;
        self
    }

    /// `self` left of `other`.
    pub fn beside(&self, other: &Self) -> Self {
        let columns = self.columns + other.columns;
        let mut values = Vec::with_capacity(self.rows * columns);
        for row in 0..self.rows {
            values.extend_from_slice(&self.values[row * self.columns..][..self.columns]);
            values.extend_from_slice(&other.values[row * other.columns..][..other.columns]);
        }
        Self {
            rows: self.rows,
            columns,
            values,
        }
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let at = |column: usize| (0..self.rows).map(move |row| row * self.columns + column);
        Self {
            rows: self.columns,
            columns: self.rows,
            values: (0..self.columns)
                .flat_map(at)
                .map(|index| self.values[index])
                .collect(),
        }
    }

    /// The root of the sum of squares.
    pub fn norm(&self) -> f64 {
        let squares = self.values.iter().map(|value| f64::from(*value).powi(2));
        squares.sum::<f64>().sqrt()
    }

    /// The same on a device, `[rows, columns]`.
    pub fn tensor(&self, device: &Device) -> Tensor<2> {
        let data = TensorData::new(self.values.clone(), [self.rows, self.columns]);
        Tensor::from_data(data, device)
    }
}
