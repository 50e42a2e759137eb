//! Products with a weight matrix, by the `gemm` crate with strides: no transposed copy is made.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::parallel::{Fresh, collect, rows_per_task};

/// Rows that one task handles where there are many: its results stay in the cache.
const ROWS: usize = 512;
/// Rows over which one task sums the gradient of a weight.
const SUMMED: usize = 1024;
/// Rows of a weight's gradient that one task adds up.
const OUTPUTS: usize = 48;
/// Multiplications from which a product is worth several threads.
const LARGE: usize = 128 * 128 * 128;

/// Sizes of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearDims {
    /// Rows of the input.
    pub rows: usize,
    /// Values of a row before.
    pub input: usize,
    /// Values of a row after.
    pub output: usize,
}

/// `x · weightᵀ + bias`, `[rows, output]`: `x` is `[rows, input]`, `weight` `[output, input]`, `bias` `[output]`.
pub fn linear(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    dims: LinearDims,
) -> Result<Vec<f32>, ShapeError> {
    let LinearDims {
        rows,
        input,
        output,
    } = dims;
    expect("x", x.len(), rows * input)?;
    expect("weight", weight.len(), output * input)?;
    if let Some(bias) = bias {
        expect("bias", bias.len(), output)?;
    }
    if rows * output == 0 {
        return Ok(Vec::new());
    }
    let by_rows = |x: &[f32], y: &mut Fresh, parallelism| {
        if let Some(bias) = bias {
            for row in y.chunks_exact_mut(output) {
                row.write_copy_of_slice(bias);
            }
        }
        let product = Product {
            size: [y.len() / output, output, input],
            lhs: (x, [input, 1]),
            rhs: (weight, [1, input]),
            add: bias.is_some(),
        };
        product.write(y, parallelism);
    };
    // SAFETY: `Product::write` writes every value; the chunks cover all rows.
    Ok(unsafe {
        collect(rows * output, |y| {
            if rows < 2 * ROWS || input == 0 {
                by_rows(x, y, threads(rows * input * output));
            } else {
                y.par_chunks_mut(ROWS * output)
                    .zip(x.par_chunks(ROWS * input))
                    .for_each(|(y, x)| by_rows(x, y, Parallelism::None));
            }
        })
    })
}

/// Gradient of the input of [`linear`], `[rows, input]`: `grad · weight`, with `grad` `[rows, output]`.
pub fn linear_backward_input(
    grad: &[f32],
    weight: &[f32],
    dims: LinearDims,
) -> Result<Vec<f32>, ShapeError> {
    let LinearDims {
        rows,
        input,
        output,
    } = dims;
    expect("grad", grad.len(), rows * output)?;
    expect("weight", weight.len(), output * input)?;
    let product = Product {
        size: [rows, input, output],
        lhs: (grad, [output, 1]),
        rhs: (weight, [input, 1]),
        add: false,
    };
    // SAFETY: `Product::write` writes every value.
    Ok(unsafe {
        collect(rows * input, |dx| {
            product.write(dx, threads(rows * input * output));
        })
    })
}

/// Gradient of the weight of [`linear`], `[output, input]`: `gradᵀ · x`, with `grad` `[rows, output]` and `x`
/// `[rows, input]`.
pub fn linear_backward_weight(
    grad: &[f32],
    x: &[f32],
    dims: LinearDims,
) -> Result<Vec<f32>, ShapeError> {
    let LinearDims {
        rows,
        input,
        output,
    } = dims;
    expect("grad", grad.len(), rows * output)?;
    expect("x", x.len(), rows * input)?;
    if input * output == 0 {
        return Ok(Vec::new());
    }
    let over_rows = |grad: &[f32], x: &[f32], parallelism| {
        let product = Product {
            size: [output, input, x.len() / input],
            lhs: (grad, [1, output]),
            rhs: (x, [input, 1]),
            add: false,
        };
        // SAFETY: `Product::write` writes every value.
        unsafe { collect(output * input, |dw| product.write(dw, parallelism)) }
    };
    if rows < 2 * SUMMED {
        return Ok(over_rows(grad, x, threads(rows * input * output)));
    }
    // Sums over parts of the rows, added up in order: each part of `x` and `grad` is read by one task alone.
    let mut parts = grad
        .par_chunks(SUMMED * output)
        .zip(x.par_chunks(SUMMED * input))
        .map(|(grad, x)| over_rows(grad, x, Parallelism::None))
        .collect::<Vec<_>>()
        .into_iter();
    let mut sum = parts.next().unwrap_or_default();
    let parts: Vec<Vec<f32>> = parts.collect();
    sum.par_chunks_mut(OUTPUTS * input)
        .enumerate()
        .for_each(|(i, sum)| {
            for part in &parts {
                add(sum, &part[i * OUTPUTS * input..][..sum.len()]);
            }
        });
    Ok(sum)
}

/// Sums over the rows of `x` `[rows, width]`: the gradient of a bias.
pub fn column_sums(x: &[f32], width: usize) -> Result<Vec<f32>, ShapeError> {
    crate::error::rows("x", x.len(), width)?;
    let mut sums = vec![0.0; width];
    if x.is_empty() {
        return Ok(sums);
    }
    let task = rows_per_task(width) * width;
    let partial: Vec<Vec<f32>> = x
        .par_chunks(task)
        .map(|x| {
            let mut sums = vec![0.0; width];
            for row in x.chunks_exact(width) {
                add(&mut sums, row);
            }
            sums
        })
        .collect();
    for partial in &partial {
        add(&mut sums, partial);
    }
    Ok(sums)
}

fn add(to: &mut [f32], what: &[f32]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
    }
}

/// All threads for a large product. Its bits do not depend on their number: `gemm` splits over rows and columns.
fn threads(multiplications: usize) -> Parallelism {
    if multiplications < LARGE {
        Parallelism::None
    } else {
        Parallelism::Rayon(0)
    }
}

/// `lhs · rhs` of `[m, k]` and `[k, n]`, each with its strides between rows and between columns.
struct Product<'a> {
    size: [usize; 3],
    lhs: (&'a [f32], [usize; 2]),
    rhs: (&'a [f32], [usize; 2]),
    add: bool,
}

impl Product<'_> {
    /// Writes the product to the dense `out`, or adds it to what was written there before.
    fn write(&self, out: &mut Fresh, parallelism: Parallelism) {
        let [m, n, k] = self.size;
        let fits = |len: usize, [rows, columns]: [usize; 2], [row, column]: [usize; 2]| {
            rows == 0 || columns == 0 || (rows - 1) * row + (columns - 1) * column < len
        };
        assert!(out.len() == m * n);
        assert!(fits(self.lhs.0.len(), [m, k], self.lhs.1));
        assert!(fits(self.rhs.0.len(), [k, n], self.rhs.1));
        let [lhs_row, lhs_column] = self.lhs.1.map(|stride| stride as isize);
        let [rhs_row, rhs_column] = self.rhs.1.map(|stride| stride as isize);
        // SAFETY: the assertions above keep every element inside its slice; `out` is only read where `add` says
        // that it was written.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr().cast::<f32>(),
                1,
                n as isize,
                self.add,
                self.lhs.0.as_ptr(),
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
                parallelism,
            );
        }
    }
}
