//! The adapter of LPM-ViT: `A(z) = z + LN(up(ReLU(down z)))`.

use kernels::{
    LinearDims, Precision, column_sums, linear, linear_backward_input, linear_backward_weight,
};

use super::norm::{norm, norm_backward};
use crate::error::Result;

/// Epsilon of its norm, PyTorch's default.
const EPS: f32 = 1e-5;

/// Generated parameters of one adapter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adapter<'a> {
    /// `[reduced, width]` and `[reduced]`.
    pub(super) down: [&'a [f32]; 2],
    /// `[width, reduced]` and `[width]`.
    pub(super) up: [&'a [f32]; 2],
    /// Factor and shift, `[width]`.
    pub(super) norm: [&'a [f32]; 2],
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    x: Vec<f32>,
    reduced: Vec<f32>,
    widened: Vec<f32>,
    stats: Vec<f32>,
}

/// Gradients in the order of [`Adapter`].
pub(super) type Grads = [[Vec<f32>; 2]; 3];

impl Adapter<'_> {
    fn dims(&self, x: &[f32]) -> [LinearDims; 2] {
        let (width, reduced) = (self.up[1].len(), self.down[1].len());
        let rows = x.len() / width.max(1);
        let dims = |input, output| LinearDims {
            rows,
            input,
            output,
        };
        [dims(width, reduced), dims(reduced, width)]
    }

    /// `[rows, width]` → the same.
    pub(super) fn forward(&self, x: Vec<f32>) -> Result<(Vec<f32>, Saved)> {
        let [down, up] = self.dims(&x);
        let mut reduced = linear(Precision::F32, &x, self.down[0], Some(self.down[1]), down)?;
        reduced.iter_mut().for_each(|value| *value = value.max(0.0));
        let widened = linear(Precision::F32, &reduced, self.up[0], Some(self.up[1]), up)?;
        let (mut out, stats) = norm(&widened, self.norm[0], self.norm[1], EPS)?;
        out.iter_mut().zip(&x).for_each(|(out, x)| *out += x);
        let saved = Saved {
            x,
            reduced,
            widened,
            stats,
        };
        Ok((out, saved))
    }

    /// Gradients of its input and of its parameters.
    pub(super) fn backward(&self, saved: &Saved, grad: &[f32]) -> Result<(Vec<f32>, Grads)> {
        let [down, up] = self.dims(&saved.x);
        let (of_widened, factor, shift) =
            norm_backward(&saved.widened, &saved.stats, self.norm[0], grad)?;
        let up_weight = linear_backward_weight(Precision::F32, &of_widened, &saved.reduced, up)?;
        let up_bias = column_sums(&of_widened, up.output)?;
        let mut of_reduced = linear_backward_input(Precision::F32, &of_widened, self.up[0], up)?;
        for (grad, value) in of_reduced.iter_mut().zip(&saved.reduced) {
            if *value <= 0.0 {
                *grad = 0.0;
            }
        }
        let down_weight = linear_backward_weight(Precision::F32, &of_reduced, &saved.x, down)?;
        let down_bias = column_sums(&of_reduced, down.output)?;
        let mut x = linear_backward_input(Precision::F32, &of_reduced, self.down[0], down)?;
        x.iter_mut().zip(grad).for_each(|(x, grad)| *x += grad);
        let grads = [
            [down_weight, down_bias],
            [up_weight, up_bias],
            [factor, shift],
        ];
        Ok((x, grads))
    }
}
