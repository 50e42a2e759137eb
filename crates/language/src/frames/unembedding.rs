//! Rows of an unembedding, and what is measured on them: mean, covariance, fingerprints.

use base::hash::{FNV_START, fnv1a};
use engine::models::decoder::Table;
use kernels::{LinearDims, Precision as Product, linear_backward_weight};

use engine::SystemError;

/// Rows that are read at a time.
pub(super) const BLOCK: usize = 2048;

/// Rows of an unembedding.
pub trait Rows {
    /// `[vocab, width]`.
    fn shape(&self) -> [usize; 2];
    /// Writes rows from `first` on, as many as fit and are there; gives how many.
    fn read(&self, first: usize, values: &mut [f32]) -> usize;
}

impl Rows for Table<'_> {
    fn shape(&self) -> [usize; 2] {
        Table::shape(self)
    }

    fn read(&self, first: usize, values: &mut [f32]) -> usize {
        Table::read(self, first, values)
    }
}

/// A matrix in memory, `[vocab, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// All values.
    pub values: &'a [f32],
    /// Values of a row.
    pub width: usize,
}

impl Rows for Matrix<'_> {
    fn shape(&self) -> [usize; 2] {
        [self.values.len() / self.width, self.width]
    }

    fn read(&self, first: usize, values: &mut [f32]) -> usize {
        let rest = self.values.get(first * self.width..).unwrap_or_default();
        let count = rest.len().min(values.len()) / self.width;
        values[..count * self.width].copy_from_slice(&rest[..count * self.width]);
        count
    }
}

/// All rows that are not skipped, in blocks `[rows, width]`.
fn blocks(
    table: &dyn Rows,
    skip: &[u32],
    mut take: impl FnMut(&mut Vec<f32>) -> Result<(), SystemError>,
) -> Result<(), SystemError> {
    let [vocab, width] = table.shape();
    for first in (0..vocab).step_by(BLOCK) {
        let mut values = vec![0.0; BLOCK.min(vocab - first) * width];
        let count = table.read(first, &mut values);
        let kept = (0..count).filter(|row| !skip.contains(&((first + row) as u32)));
        let mut rows = 0;
        for row in kept.collect::<Vec<_>>() {
            values.copy_within(row * width..(row + 1) * width, rows * width);
            rows += 1;
        }
        values.truncate(rows * width);
        take(&mut values)?;
    }
    Ok(())
}

/// The mean row, and the unbiased covariance of rows `[width, width]`.
///
/// # Errors
/// [`SystemError::Input`] below two rows.
pub fn covariance(table: &dyn Rows, skip: &[u32]) -> Result<(Vec<f64>, Vec<f64>), SystemError> {
    let width = table.shape()[1];
    let mut mean = vec![0.0; width];
    let mut count = 0;
    blocks(table, skip, |values| {
        count += values.len() / width;
        for row in values.chunks_exact(width) {
            for (sum, x) in mean.iter_mut().zip(row) {
                *sum += f64::from(*x);
            }
        }
        Ok(())
    })?;
    if count < 2 {
        return Err(SystemError::Input(
            "a covariance needs two tokens at least: skip fewer".into(),
        ));
    }
    mean.iter_mut().for_each(|x| *x /= count as f64);
    let mut sums = vec![0.0_f64; width * width];
    blocks(table, skip, |values| {
        for row in values.chunks_exact_mut(width) {
            for (x, mean) in row.iter_mut().zip(&mean) {
                *x = (f64::from(*x) - mean) as f32;
            }
        }
        let dims = LinearDims {
            rows: values.len() / width,
            input: width,
            output: width,
        };
        let products = linear_backward_weight(Product::F32, values, values, dims)?;
        for (sum, product) in sums.iter_mut().zip(products) {
            *sum += f64::from(product);
        }
        Ok(())
    })?;
    sums.iter_mut().for_each(|x| *x /= (count - 1) as f64);
    Ok((mean, sums))
}

/// Tells models apart by a few rows of their unembeddings.
pub fn sample_fingerprint(table: &dyn Rows) -> u64 {
    let [vocab, width] = table.shape();
    let mut hash = fnv1a(
        FNV_START,
        [vocab, width]
            .map(|it| it as u64)
            .iter()
            .flat_map(|it| it.to_le_bytes()),
    );
    let mut row = vec![0.0; width];
    for token in (0..vocab).step_by((vocab / 64).max(1)) {
        table.read(token, &mut row);
        hash = fnv1a(hash, row.iter().flat_map(|x| x.to_le_bytes()));
    }
    hash
}

/// Tells unembeddings and masks apart by all values.
pub fn fingerprint(table: &dyn Rows, skip: &[u32]) -> u64 {
    let mut hash = fnv1a(FNV_START, skip.iter().flat_map(|token| token.to_le_bytes()));
    // A block is always read whole, so this cannot fail.
    let _ = blocks(table, &[], |values| {
        hash = fnv1a(hash, values.iter().flat_map(|x| x.to_le_bytes()));
        Ok(())
    });
    hash
}
