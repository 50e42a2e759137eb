use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::{GroupNorm, Level, ShapeError};

use super::custom_op::{self, Kernel, dense, tensor, values};

/// Group norm with weights: `weight · (x − mean) / √(var + eps) + bias`, mean and biased variance over the channels of a
/// group and all axes behind them.
///
/// `x` is `[batch, channels, axes..]`, `weight` and `bias` are `[channels]`; `groups` divides the channels.
pub fn group_norm<const D: usize>(
    x: Tensor<D>,
    groups: usize,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f32,
) -> Tensor<D> {
    let inputs = [
        x.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
    ];
    custom_op::run(Grouped { groups, eps }, inputs).unwrap_or_else(|| {
        let dims = x.dims();
        let (batch, channels) = (dims[0], dims[1]);
        let group = x.shape().num_elements() / (batch * groups).max(1);
        let flat = super::layer_norm(x.reshape([batch, groups, group]), eps);
        let pixels = dims[2..].iter().product::<usize>();
        let [weight, bias] = [weight, bias].map(|values| values.reshape([1, channels, 1]));
        (flat.reshape([batch, channels, pixels]) * weight + bias).reshape(dims)
    })
}

/// Inputs `[x, weight, bias]`.
#[derive(Clone, Debug)]
struct Grouped {
    groups: usize,
    eps: f32,
}

/// The values, the weights, and mean and deviation of each group.
#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    weight: FlexTensor,
    stats: Vec<f32>,
}

impl Grouped {
    fn dims(&self, x: &FlexTensor) -> Result<[usize; 4], ShapeError> {
        let shape = x.shape();
        let (batch, channels) = (shape[0], shape[1]);
        match self.groups > 0 && channels.is_multiple_of(self.groups) {
            true => Ok([
                batch,
                self.groups,
                channels / self.groups,
                shape[2..].iter().product(),
            ]),
            false => Err(ShapeError {
                name: "groups",
                expected: channels,
                found: self.groups,
            }),
        }
    }
}

impl Kernel<3> for Grouped {
    type Saved = Saved;

    fn forward(
        &self,
        [x, weight, bias]: &[FlexTensor; 3],
    ) -> Result<(FlexTensor, Saved), ShapeError> {
        let [x, weight, bias] = [x, weight, bias].map(dense);
        let norm = GroupNorm {
            dims: self.dims(&x)?,
            eps: self.eps,
            factor: Some(values(&weight)),
            shift: Some(values(&bias)),
        };
        let (y, stats) = kernels::group_norm(Level::best(), values(&x), &norm)?;
        Ok((tensor(y, x.shape()), Saved { x, weight, stats }))
    }

    fn backward(
        &self,
        Saved { x, weight, stats }: Saved,
        grad: FlexTensor,
        _: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        let grad = dense(&grad);
        let norm = GroupNorm {
            dims: self.dims(&x)?,
            eps: self.eps,
            factor: Some(values(&weight)),
            shift: None,
        };
        let (of, by) = (values(&x), values(&grad));
        let grads = kernels::group_norm_backward(Level::best(), of, &stats, by, &norm)?;
        Ok([
            Some(tensor(grads.x, x.shape())),
            Some(tensor(grads.factor, weight.shape())),
            Some(tensor(grads.shift, weight.shape())),
        ])
    }
}
