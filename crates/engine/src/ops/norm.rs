use burn::tensor::Tensor;

use super::custom_op;
use super::layer_norm::{Normed, Residual};
use super::rms_rope::RmsRope;

/// Layer norm without weights over the last dimension: `(x − mean) / √(var + eps)`, biased variance.
pub fn layer_norm<const D: usize>(x: Tensor<D>, eps: f32) -> Tensor<D> {
    custom_op::run(Normed { eps }, [x.clone().into_dispatch()]).unwrap_or_else(|| {
        let centred = x.clone() - x.mean_dim(D - 1);
        let var = centred.clone().square().mean_dim(D - 1);
        centred / (var + eps).sqrt()
    })
}

/// `layer_norm(x) · (1 + scale) + shift`: adaptive layer norm.
///
/// `x` is `[batch, tokens, width]`, `shift` and `scale` `[batch, width]`.
pub fn modulated_layer_norm(
    x: Tensor<3>,
    shift: Tensor<2>,
    scale: Tensor<2>,
    eps: f32,
) -> Tensor<3> {
    let inputs = [
        x.clone().into_dispatch(),
        shift.clone().into_dispatch(),
        scale.clone().into_dispatch(),
    ];
    custom_op::run(Normed { eps }, inputs).unwrap_or_else(|| {
        layer_norm(x, eps) * (scale + 1.0).unsqueeze_dim(1) + shift.unsqueeze_dim(1)
    })
}

/// `x + gate · layer_norm(y)`: the closing half of a sandwich norm, with its residual.
///
/// `x` and `y` are `[batch, tokens, width]`, `gate` `[batch, width]` (absent: 1).
pub fn add_gated_layer_norm(
    x: Tensor<3>,
    y: Tensor<3>,
    gate: Option<Tensor<2>>,
    eps: f32,
) -> Tensor<3> {
    let [to, from] = [x.clone().into_dispatch(), y.clone().into_dispatch()];
    let fused = match &gate {
        Some(gate) => custom_op::run(Residual { eps }, [to, from, gate.clone().into_dispatch()]),
        None => custom_op::run(Residual { eps }, [to, from]),
    };
    fused.unwrap_or_else(|| {
        let y = layer_norm(y, eps);
        match gate {
            Some(gate) => x + y * gate.unsqueeze_dim(1),
            None => x + y,
        }
    })
}

/// RMS norm over the last dimension: `weight · x / √(mean(x²) + eps)`; `weight` is `[last]`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, eps: f32) -> Tensor<D> {
    let width = x.dims()[D - 1];
    let rows = x.shape().num_elements() / width.max(1);
    let kernel = RmsRope {
        dims: [1, rows, 1, width],
        eps,
        angles: None,
    };
    let inputs = [x.clone().into_dispatch(), weight.clone().into_dispatch()];
    custom_op::run(kernel, inputs).unwrap_or_else(|| {
        let mean_square = x.clone().square().mean_dim(D - 1);
        x / (mean_square + eps).sqrt() * weight.unsqueeze()
    })
}
