use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::{Level, ShapeError};

use super::custom_op::{self, Kernel, dense, tensor, values};
use super::silu;

/// `silu(gate) · up`, the gate of a feed-forward layer; equal shapes.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    let inputs = [gate.clone().into_dispatch(), up.clone().into_dispatch()];
    custom_op::run(Gate, inputs).unwrap_or_else(|| silu(gate) * up)
}

/// Inputs `[gate, up]`.
#[derive(Clone, Debug)]
struct Gate;

impl Kernel<2> for Gate {
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: &[FlexTensor; 2]) -> Result<(FlexTensor, Self::Saved), ShapeError> {
        let [gate, up] = inputs.each_ref().map(dense);
        let y = kernels::swiglu(Level::best(), values(&gate), values(&up))?;
        Ok((tensor(y, gate.shape()), [gate, up]))
    }

    fn backward(
        &self,
        [gate, up]: Self::Saved,
        grad: FlexTensor,
        _: [bool; 2],
    ) -> Result<[Option<FlexTensor>; 2], ShapeError> {
        let grad = dense(&grad);
        let [of, by, from] = [&gate, &up, &grad].map(values);
        let (d_gate, d_up) = kernels::swiglu_backward(Level::best(), of, by, from)?;
        Ok([
            Some(tensor(d_gate, gate.shape())),
            Some(tensor(d_up, up.shape())),
        ])
    }
}
