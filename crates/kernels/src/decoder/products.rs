//! Products with several weights in one operation.

use super::dense::{DensePlan, DenseRows};
use crate::error::{ShapeError, expect};
use crate::level::Level;
use crate::quant::{QuantMatrix, QuantPlan, QuantRows};
use crate::team::Team;

/// Products that start together.
const TOGETHER: usize = 8;

/// A weight `[outputs, inputs]`.
#[derive(Clone, Copy, Debug)]
pub enum WeightRows<'a> {
    /// Quantised blocks; the input is rounded to eight bits, as in [`crate::quant_linear`].
    Quant(&'a QuantMatrix),
    /// Dense values; the input stays f32.
    Dense(DenseRows<'a>),
}

impl WeightRows<'_> {
    /// `[outputs, inputs]`.
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::Quant(matrix) => [matrix.rows(), matrix.columns()],
            Self::Dense(matrix) => matrix.shape(),
        }
    }
}

/// Rows that are multiplied.
#[derive(Clone, Copy)]
pub struct RowInput<'a> {
    /// `[rows, inputs]`.
    pub values: &'a [f32],
    /// The same rounded, for quantised weights; not read for dense ones.
    pub rounded: &'a QuantRows,
    /// Number of rows.
    pub rows: usize,
}

/// `out = input · weightᵀ`.
pub struct RowProduct<'a> {
    /// The rows.
    pub input: RowInput<'a>,
    /// The weight.
    pub weight: WeightRows<'a>,
    /// `[rows, outputs]`.
    pub out: &'a mut [f32],
}

enum Plan<'a> {
    Quant(QuantPlan<'a>),
    Dense(DensePlan<'a>),
}

/// Computes all products; independent of one another, they share the threads.
pub fn row_products(
    team: &Team<'_>,
    level: Level,
    products: &mut [RowProduct<'_>],
) -> Result<(), ShapeError> {
    for products in products.chunks_mut(TOGETHER) {
        let mut plans: [Option<Plan<'_>>; TOGETHER] = std::array::from_fn(|_| None);
        let mut ends = [0; TOGETHER];
        let mut total = 0;
        for (i, product) in products.iter_mut().enumerate() {
            let RowInput {
                values,
                rounded,
                rows,
            } = product.input;
            let [outputs, inputs] = product.weight.shape();
            expect("out", product.out.len(), rows * outputs)?;
            let plan = match product.weight {
                WeightRows::Quant(weight) => {
                    Plan::Quant(QuantPlan::new(level, weight, rounded, rows, product.out)?)
                }
                WeightRows::Dense(weight) => {
                    expect("values", values.len(), rows * inputs)?;
                    Plan::Dense(DensePlan::new(weight, values, rows, product.out))
                }
            };
            total += match &plan {
                Plan::Quant(plan) => plan.len(),
                Plan::Dense(plan) => plan.len(),
            };
            plans[i] = Some(plan);
            ends[i] = total;
        }
        team.run(total, |task| {
            let i = ends.iter().position(|&end| task < end).unwrap_or(0);
            let task = task - if i == 0 { 0 } else { ends[i - 1] };
            // SAFETY: each task is run once; products write their own results.
            unsafe {
                match &plans[i] {
                    Some(Plan::Quant(plan)) => plan.compute(task),
                    Some(Plan::Dense(plan)) => plan.compute(level, task),
                    None => {}
                }
            }
        });
    }
    Ok(())
}
