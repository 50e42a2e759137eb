//! Products of two matrices: in f32 by the `gemm` crate, or of bf16 values where the machine has those.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::parallel::{Fresh, collect, portion};

/// How the values of a product are read. Sums are f32 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to bf16, 8 significant bits: about twice as fast. Stays f32 on machines without such products.
    Bf16,
}

/// Multiplications from which a product is worth several threads.
const LARGE: usize = portion(128 * 128 * 128, 256);
/// Rows that one task handles where there are many: its results stay in the cache.
const ROWS: usize = portion(512, 8);

/// A matrix: its values, and the distance between rows and between columns.
pub(crate) type Operand<'a> = (&'a [f32], [usize; 2]);

/// `lhs · rhs + bias` of `[m, k]`, `[k, n]` and `[n]`.
pub(crate) struct Product<'a> {
    /// m, n and k.
    pub(crate) size: [usize; 3],
    pub(crate) lhs: Operand<'a>,
    pub(crate) rhs: Operand<'a>,
    pub(crate) bias: Option<&'a [f32]>,
}

impl Product<'_> {
    /// The dense result, `[m, n]`; on several threads where `parallel` and the size allow it.
    pub(crate) fn compute(&self, precision: Precision, parallel: bool) -> Vec<f32> {
        let [m, n, k] = self.size;
        self.check();
        let parallel = parallel && m * n * k >= LARGE;
        // SAFETY: each way writes every value.
        unsafe {
            collect(m * n, |out| {
                #[cfg(target_arch = "x86_64")]
                if precision == Precision::Bf16 && k > 0 && crate::bf16::available() {
                    return crate::bf16::write(self, out, parallel);
                }
                let _ = precision;
                self.write(out, parallel);
            })
        }
    }

    /// Panics unless the operands hold their elements.
    fn check(&self) {
        let [m, n, k] = self.size;
        let holds = |(values, [row, column]): Operand<'_>, rows: usize, columns: usize| {
            rows * columns == 0 || (rows - 1) * row + (columns - 1) * column < values.len()
        };
        assert!(holds(self.lhs, m, k) && holds(self.rhs, k, n));
        assert!(self.bias.is_none_or(|bias| bias.len() == n));
    }

    /// Writes the product in f32 to `out` `[m, n]`. Its bits do not depend on the number of threads: `gemm` splits
    /// over rows and columns only.
    fn write(&self, out: &mut Fresh, parallel: bool) {
        let [m, n, k] = self.size;
        let (values, [row, _]) = self.lhs;
        if parallel && m >= 2 * ROWS && self.bias.is_some() && k > 0 {
            // The bias is still in the cache when the sums are added to it.
            return out
                .par_chunks_mut(ROWS * n)
                .enumerate()
                .for_each(|(i, out)| {
                    let lhs = &values[i * ROWS * row..];
                    self.write_rows(lhs, out, Parallelism::None);
                });
        }
        let threads = if parallel {
            Parallelism::Rayon(0)
        } else {
            Parallelism::None
        };
        self.write_rows(values, out, threads);
    }

    /// Writes the rows of `out` from the first row of `lhs` on.
    fn write_rows(&self, lhs: &[f32], out: &mut Fresh, threads: Parallelism) {
        let [_, n, k] = self.size;
        if out.is_empty() {
            return;
        }
        let rows = out.len() / n;
        if let Some(bias) = self.bias {
            for row in out.chunks_exact_mut(n) {
                row.write_copy_of_slice(bias);
            }
        }
        let [lhs_row, lhs_column] = self.lhs.1.map(|stride| stride as isize);
        let [rhs_row, rhs_column] = self.rhs.1.map(|stride| stride as isize);
        // SAFETY: `check` found every element inside its slice; `out` is read only where a bias was written.
        unsafe {
            gemm::gemm(
                rows,
                n,
                k,
                out.as_mut_ptr().cast::<f32>(),
                1,
                n as isize,
                self.bias.is_some(),
                lhs.as_ptr(),
                lhs_column,
                lhs_row,
                self.rhs.0.as_ptr(),
                rhs_column,
                rhs_row,
                1.0,
                1.0,
                false,
                false,
                false,
                threads,
            );
        }
    }
}
