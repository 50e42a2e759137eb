//! The kernel of RMS norm and rotation as a graph operation.

use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn_flex::{Flex, FlexTensor};
use kernels::{Level, RmsNorm, Rotation, ShapeError};

use super::Rope;
use super::custom_op::{Kernel, dense, tensor, values};

/// Inputs `[x]` (only rotated) or `[x, weight]`, with `x` `[batch, tokens, heads, head]`.
#[derive(Clone, Debug)]
pub(super) struct RmsRope {
    pub(super) dims: [usize; 4],
    pub(super) eps: f32,
    pub(super) angles: Option<Angles>,
}

/// Cosines and sines on the CPU, `[tokens, head]` each.
#[derive(Clone, Debug)]
pub(super) struct Angles {
    cos: FlexTensor,
    sin: FlexTensor,
    sections: usize,
}

impl Angles {
    /// The tables of `rope`; `None` where they do not sit on the CPU.
    pub(super) fn of(rope: &Rope) -> Option<Self> {
        Some(Self {
            cos: constant(&rope.cos)?,
            sin: constant(&rope.sin)?,
            sections: rope.sections,
        })
    }
}

fn constant(table: &Tensor<2>) -> Option<FlexTensor> {
    let table = table.clone().inner().try_into_primitive::<Flex>().ok()?;
    Some(dense(&table))
}

impl RmsRope {
    fn norm<'a>(&'a self, weight: Option<&'a FlexTensor>) -> RmsNorm<'a> {
        RmsNorm {
            dims: self.dims,
            weight: weight.map(values),
            eps: self.eps,
            rotation: self.angles.as_ref().map(|angles| Rotation {
                cos: values(&angles.cos),
                sin: values(&angles.sin),
                sections: angles.sections,
            }),
        }
    }
}

impl Kernel<1> for RmsRope {
    type Saved = ();

    fn forward(&self, [x]: &[FlexTensor; 1]) -> Result<(FlexTensor, ()), ShapeError> {
        let out = kernels::rms_norm(Level::best(), values(&dense(x)), &self.norm(None))?;
        Ok((tensor(out, x.shape()), ()))
    }

    fn backward(
        &self,
        (): (),
        grad: FlexTensor,
        _: [bool; 1],
    ) -> Result<[Option<FlexTensor>; 1], ShapeError> {
        // A rotation's gradient does not depend on what was rotated.
        let (shape, grad) = (grad.shape(), dense(&grad));
        let grad = values(&grad);
        let (dx, _) = kernels::rms_norm_backward(Level::best(), grad, &self.norm(None), grad)?;
        Ok([Some(tensor(dx, shape))])
    }
}

impl Kernel<2> for RmsRope {
    type Saved = [FlexTensor; 2];

    fn forward(
        &self,
        [x, weight]: &[FlexTensor; 2],
    ) -> Result<(FlexTensor, [FlexTensor; 2]), ShapeError> {
        let (x, weight) = (dense(x), dense(weight));
        let out = kernels::rms_norm(Level::best(), values(&x), &self.norm(Some(&weight)))?;
        Ok((tensor(out, x.shape()), [x, weight]))
    }

    fn backward(
        &self,
        [x, weight]: [FlexTensor; 2],
        grad: FlexTensor,
        _: [bool; 2],
    ) -> Result<[Option<FlexTensor>; 2], ShapeError> {
        let grad = dense(&grad);
        let norm = self.norm(Some(&weight));
        let (dx, d_weight) =
            kernels::rms_norm_backward(Level::best(), values(&x), &norm, values(&grad))?;
        let dx = tensor(dx, x.shape());
        Ok([Some(dx), Some(tensor(d_weight, weight.shape()))])
    }
}
