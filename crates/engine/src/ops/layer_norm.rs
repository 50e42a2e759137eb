//! The layer-norm kernel as graph operations.

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use kernels::{LayerNorm, Level, ShapeError};

use super::custom_op::{Kernel, dense, tensor, values};

/// Inputs `[x]` of any rank, or `[x, shift, scale]` of `[batch, tokens, width]` and `[batch, width]`.
#[derive(Clone, Debug)]
pub(super) struct Normed {
    pub(super) eps: f32,
}

/// Inputs `[x, y]` or `[x, y, gate]`: `x + gate · layer_norm(y)`.
#[derive(Clone, Debug)]
pub(super) struct Residual {
    pub(super) eps: f32,
}

/// What the backward passes need: the normalised values before and their rows' statistics, and the factor.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    x: FlexTensor,
    stats: Vec<f32>,
    factor: Option<FlexTensor>,
}

impl Saved {
    /// Gradients of the values, the factor and the shift.
    fn backward(
        &self,
        grad: &FlexTensor,
        affine: bool,
    ) -> Result<(FlexTensor, Option<[FlexTensor; 2]>), ShapeError> {
        let shape = self.x.shape();
        let dims = dims(&shape, self.factor.is_some());
        let grads = kernels::layer_norm_backward(
            Level::best(),
            values(&self.x),
            &self.stats,
            self.factor.as_ref().map(values),
            values(&dense(grad)),
            dims,
            affine,
        )?;
        let affine = grads
            .affine
            .map(|(factor, shift)| [factor, shift].map(|d| tensor(d, [dims[0], dims[2]])));
        Ok((tensor(grads.x, shape), affine))
    }
}

/// `[batch, tokens, width]` of a tensor; the batch is 1 where no factor depends on it.
fn dims(shape: &Shape, per_batch: bool) -> [usize; 3] {
    let width = shape.last().copied().unwrap_or(1);
    let rows = shape.num_elements() / width.max(1);
    let batch = if per_batch { shape[0] } else { 1 };
    [batch, rows / batch.max(1), width]
}

impl Kernel<1> for Normed {
    type Saved = Saved;

    fn forward(&self, [x]: &[FlexTensor; 1]) -> Result<(FlexTensor, Saved), ShapeError> {
        let x = dense(x);
        let norm = LayerNorm {
            dims: dims(&x.shape(), false),
            eps: self.eps,
            factor: None,
            shift: None,
            residual: None,
        };
        let (out, stats) = kernels::layer_norm(Level::best(), values(&x), &norm)?;
        let out = tensor(out, x.shape());
        let factor = None;
        Ok((out, Saved { x, stats, factor }))
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        _: [bool; 1],
    ) -> Result<[Option<FlexTensor>; 1], ShapeError> {
        let (dx, _) = saved.backward(&grad, false)?;
        Ok([Some(dx)])
    }
}

impl Kernel<3> for Normed {
    type Saved = Saved;

    fn forward(
        &self,
        [x, shift, scale]: &[FlexTensor; 3],
    ) -> Result<(FlexTensor, Saved), ShapeError> {
        let (x, shift, scale) = (dense(x), dense(shift), dense(scale));
        let factor = values(&scale).iter().map(|scale| 1.0 + scale).collect();
        let factor = tensor(factor, scale.shape());
        let norm = LayerNorm {
            dims: dims(&x.shape(), true),
            eps: self.eps,
            factor: Some(values(&factor)),
            shift: Some(values(&shift)),
            residual: None,
        };
        let (out, stats) = kernels::layer_norm(Level::best(), values(&x), &norm)?;
        let out = tensor(out, x.shape());
        let factor = Some(factor);
        Ok((out, Saved { x, stats, factor }))
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        [_, shift, scale]: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        let (dx, affine) = saved.backward(&grad, shift || scale)?;
        let [d_scale, d_shift] = affine.map_or([None, None], |affine| affine.map(Some));
        Ok([Some(dx), d_shift, d_scale])
    }
}

impl Kernel<2> for Residual {
    type Saved = Saved;

    fn forward(&self, [x, y]: &[FlexTensor; 2]) -> Result<(FlexTensor, Saved), ShapeError> {
        self.apply(x, y, None)
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        [_, from]: [bool; 2],
    ) -> Result<[Option<FlexTensor>; 2], ShapeError> {
        let dy = if from {
            Some(saved.backward(&grad, false)?.0)
        } else {
            None
        };
        Ok([Some(grad), dy])
    }
}

impl Kernel<3> for Residual {
    type Saved = Saved;

    fn forward(&self, [x, y, gate]: &[FlexTensor; 3]) -> Result<(FlexTensor, Saved), ShapeError> {
        self.apply(x, y, Some(dense(gate)))
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        [_, from, gate]: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        if !from && !gate {
            return Ok([Some(grad), None, None]);
        }
        let (dy, affine) = saved.backward(&grad, gate)?;
        let d_gate = affine.map(|[factor, _]| factor);
        Ok([Some(grad), Some(dy), d_gate])
    }
}

impl Residual {
    fn apply(
        &self,
        x: &FlexTensor,
        y: &FlexTensor,
        gate: Option<FlexTensor>,
    ) -> Result<(FlexTensor, Saved), ShapeError> {
        let (x, y) = (dense(x), dense(y));
        let norm = LayerNorm {
            dims: dims(&y.shape(), gate.is_some()),
            eps: self.eps,
            factor: gate.as_ref().map(values),
            shift: None,
            residual: Some(values(&x)),
        };
        let (out, stats) = kernels::layer_norm(Level::best(), values(&y), &norm)?;
        let out = tensor(out, x.shape());
        let saved = Saved {
            x: y,
            stats,
            factor: gate,
        };
        Ok((out, saved))
    }
}
