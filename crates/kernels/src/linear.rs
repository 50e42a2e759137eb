//! Products with a weight matrix. No transposed copy is made.

use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::parallel::{portion, rows_per_task};
use crate::product::{Precision, Product};

/// Rows over which one task sums the gradient of a weight.
const SUMMED: usize = portion(1024, 8);
/// Rows of a weight's gradient that one task adds up.
const OUTPUTS: usize = portion(48, 2);

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
    precision: Precision,
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
    let product = Product {
        size: [rows, output, input],
        lhs: (x, [input, 1]),
        rhs: (weight, [1, input]),
        bias,
    };
    Ok(product.compute(precision, true))
}

/// Gradient of the input of [`linear`], `[rows, input]`: `grad · weight`, with `grad` `[rows, output]`.
pub fn linear_backward_input(
    precision: Precision,
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
        bias: None,
    };
    Ok(product.compute(precision, true))
}

/// Gradient of the weight of [`linear`], `[output, input]`: `gradᵀ · x`, with `grad` `[rows, output]` and `x`
/// `[rows, input]`.
pub fn linear_backward_weight(
    precision: Precision,
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
    let over_rows = |grad: &[f32], x: &[f32], parallel| {
        let product = Product {
            size: [output, input, x.len() / input],
            lhs: (grad, [1, output]),
            rhs: (x, [input, 1]),
            bias: None,
        };
        product.compute(precision, parallel)
    };
    if rows < 2 * SUMMED {
        return Ok(over_rows(grad, x, true));
    }
    // Sums over parts of the rows, added up in order: each part of `x` and `grad` is read by one task alone.
    let mut parts = grad
        .par_chunks(SUMMED * output)
        .zip(x.par_chunks(SUMMED * input))
        .map(|(grad, x)| over_rows(grad, x, false))
        .collect::<Vec<_>>()
        .into_iter();
    let mut sum = parts.next().unwrap_or_default();
    let parts: Vec<Vec<f32>> = parts.collect();
    sum.par_chunks_mut(OUTPUTS * input)
        .enumerate()
        .for_each(|(i, sum)| {
            for part in &parts {
                plus(sum, &part[i * OUTPUTS * input..][..sum.len()]);
            }
        });
    Ok(sum)
}

/// Adds `what` to `to`, value by value.
pub fn add(to: &mut [f32], what: &[f32]) -> Result<(), ShapeError> {
    expect("what", what.len(), to.len())?;
    let task = rows_per_task(1);
    to.par_chunks_mut(task)
        .zip(what.par_chunks(task))
        .for_each(|(to, what)| plus(to, what));
    Ok(())
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
                plus(&mut sums, row);
            }
            sums
        })
        .collect();
    for partial in &partial {
        plus(&mut sums, partial);
    }
    Ok(sums)
}

fn plus(to: &mut [f32], what: &[f32]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
    }
}
