//! One step of orthogonalised momentum (Jordan et al. 2024, "Muon"), with the step size of Liu et al.
//! (arXiv:2502.16982).

use rayon::prelude::*;

use crate::error::expect;
use crate::input_error::InputError;
use crate::level::{Level, leveled};
use crate::math::{LANES, mul_add};
use crate::parallel::TASK;
use crate::product::{Operand, Precision, Product};

/// Muon: each step goes along the matrix nearest to orthogonal of the momentum, about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Muon {
    /// Learning rate.
    pub lr: f64,
    /// Share of the old momentum that is kept; from 0 to below 1.
    pub momentum: f64,
    /// Share of the parameter, times the learning rate, that is taken away.
    pub decay: f64,
    /// Every gradient is multiplied by this before anything else: below 1 where gradients are clipped.
    pub scale: f64,
    /// Newton–Schulz rounds.
    pub rounds: usize,
}

impl Muon {
    /// Coefficients of a round `a·X + (b·A + c·A²)·X`, `A = X·Xᵀ`: they take singular values near 1 in few rounds, without
    /// settling exactly there.
    pub const ROUND: [f64; 3] = [3.4445, -4.775, 2.0315];
    /// Root mean square of a step per unit of learning rate: about AdamW's, so that learning rates carry over.
    pub const SIZE: f64 = 0.2;

    /// What multiplies the orthogonalised momentum of a matrix of this shape.
    pub fn stride(&self, [height, width]: [usize; 2]) -> f64 {
        self.lr * Self::SIZE * (height.max(width) as f64).sqrt()
    }
}

/// Takes one step in place: a `parameter` of shape `[height, width]` and the momentum `mean` of its gradients, from the
/// gradient `grad`; equal lengths. Products are of `precision`. A NaN in the gradient makes all of the parameter NaN.
pub fn muon(
    level: Level,
    precision: Precision,
    muon: &Muon,
    shape: [usize; 2],
    grad: &[f32],
    parameter: &mut [f32],
    mean: &mut [f32],
) -> Result<(), InputError> {
    let len = shape[0] * shape[1];
    expect("grad", grad.len(), len)?;
    expect("parameter", parameter.len(), len)?;
    expect("mean", mean.len(), len)?;
    if !(0.0..1.0).contains(&muon.momentum) {
        return Err(InputError::Setting {
            name: "momentum",
            range: "from 0 to below 1",
            found: muon.momentum,
        });
    }
    // All in the pool at once: each product by itself would wait for its turn there.
    rayon::scope(|_| {
        let mut ahead = vec![0.0; len];
        let kept = [muon.momentum, muon.scale].map(|share| share as f32);
        let pieces = ahead.par_chunks_mut(TASK).zip(mean.par_chunks_mut(TASK));
        pieces
            .zip(grad.par_chunks(TASK))
            .for_each(|((ahead, mean), grad)| look_ahead(level, kept, grad, mean, ahead));
        let x = orthogonalised(level, precision, ahead, shape, muon.rounds);
        let keep = (1.0 - muon.lr * muon.decay) as f32;
        let stride = muon.stride(shape) as f32;
        blend(level, parameter, &x, [keep, -stride]);
    });
    Ok(())
}

/// The matrix nearest to orthogonal, about: `U·Vᵀ` of the singular value decomposition `U·S·Vᵀ`, with singular values
/// between 0.7 and 1.2. A matrix of zeros stays one.
fn orthogonalised(
    level: Level,
    precision: Precision,
    mut x: Vec<f32>,
    [height, width]: [usize; 2],
    rounds: usize,
) -> Vec<f32> {
    let sums: Vec<f64> = x
        .par_chunks(TASK)
        .map(|piece| square_sum(level, piece))
        .collect();
    let norm = sums.iter().sum::<f64>().sqrt();
    if norm == 0.0 {
        return x;
    }
    let shrink = (1.0 / (norm + 1e-7)) as f32;
    x.par_chunks_mut(TASK)
        .for_each(|piece| piece.iter_mut().for_each(|value| *value *= shrink));
    // `A` is the product over the longer side, so that it is the smaller one.
    let tall = height > width;
    let (short, long) = (height.min(width), height.max(width));
    let product = |size, lhs: Operand<'_>, rhs: Operand<'_>| {
        let product = Product {
            size,
            lhs,
            rhs,
            bias: None,
        };
        product.compute(precision, true)
    };
    let [a, b, c] = Muon::ROUND.map(|share| share as f32);
    for _ in 0..rounds {
        let (rows, columns) = ((&x[..], [width, 1]), (&x[..], [1, width]));
        let (lhs, rhs) = if tall {
            (columns, rows)
        } else {
            (rows, columns)
        };
        let mut gram = product([short, short, long], lhs, rhs);
        let square = product(
            [short, short, short],
            (&gram, [short, 1]),
            (&gram, [short, 1]),
        );
        blend(level, &mut gram, &square, [b, c]);
        let mix = (&gram[..], [short, 1]);
        let (lhs, rhs) = if tall { (rows, mix) } else { (mix, rows) };
        let mixed = product([height, width, short], lhs, rhs);
        blend(level, &mut x, &mixed, [a, 1.0]);
    }
    x
}

/// `x ← shares[0] · x + shares[1] · y`.
fn blend(level: Level, x: &mut [f32], y: &[f32], shares: [f32; 2]) {
    x.par_chunks_mut(TASK)
        .zip(y.par_chunks(TASK))
        .for_each(|(x, y)| blend_block(level, x, y, shares));
}

leveled! {
    /// The momentum after a gradient, and a look ahead along it (Nesterov).
    fn look_ahead(kept: [f32; 2], grad: &[f32], mean: &mut [f32], ahead: &mut [f32]) {
        let [momentum, scale] = kept;
        for ((ahead, mean), grad) in ahead.iter_mut().zip(mean).zip(grad) {
            let grad = grad * scale;
            *mean = mul_add::<FMA>(*mean, momentum, grad);
            *ahead = mul_add::<FMA>(*mean, momentum, grad);
        }
    }
}

leveled! {
    fn blend_block(x: &mut [f32], y: &[f32], shares: [f32; 2]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x = mul_add::<FMA>(*x, shares[0], y * shares[1]);
        }
    }
}

leveled! {
    /// The sum of the squares.
    fn square_sum(x: &[f32]) -> f64 {
        let mut total = 0.0;
        for piece in x.chunks(64 * LANES) {
            let mut sums = [0.0; LANES];
            let vectors = piece.chunks_exact(LANES);
            for (sum, x) in sums.iter_mut().zip(vectors.remainder()) {
                *sum = x * x;
            }
            for vector in vectors {
                for (sum, x) in sums.iter_mut().zip(vector) {
                    *sum = mul_add::<FMA>(*x, *x, *sum);
                }
            }
            total += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
        }
        total
    }
}
