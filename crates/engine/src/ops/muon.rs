use burn::tensor::Tensor;
use kernels::{Level, Muon};

use super::custom_op::{dense, give, take, values, values_mut};
use super::linear::{linear, precision};

/// Values and momentum of a matrix of `shape` after a step along `gradient`, from `state`, the two before it.
///
/// All are flat, of one length and without autodiff. Products are of the precision that
/// [`set_precision`](super::set_precision) sets. On the CPU the step is one kernel, in place where the tensors of `state` are
/// not shared.
pub(crate) fn muon(
    muon: &Muon,
    shape: [usize; 2],
    gradient: Tensor<1>,
    state: [Tensor<1>; 2],
) -> [Tensor<1>; 2] {
    let [parameter, mean] = state;
    let (gradient, state) = match [gradient, parameter, mean].map(take) {
        [Ok(gradient), Ok(parameter), Ok(mean)] => {
            let mut state = [parameter, mean];
            let [parameter, mean] = state.each_mut().map(values_mut);
            let (level, gradient) = (Level::best(), dense(&gradient));
            let grad = values(&gradient);
            if kernels::muon(level, precision(), muon, shape, grad, parameter, mean).is_ok() {
                return state.map(give);
            }
            (give(gradient), state.map(give))
        }
        other => {
            let [gradient, state @ ..] = other.map(|tensor| tensor.map_or_else(|it| *it, give));
            (gradient, state)
        }
    };
    by_tensors(muon, shape, gradient, state)
}

/// [`muon`] in Burn's own operations.
fn by_tensors(
    muon: &Muon,
    shape: [usize; 2],
    gradient: Tensor<1>,
    [values, mean]: [Tensor<1>; 2],
) -> [Tensor<1>; 2] {
    let gradient = gradient.mul_scalar(muon.scale);
    let mean = mean.mul_scalar(muon.momentum).add(gradient.clone());
    // Nesterov: a look ahead along the momentum.
    let ahead = mean.clone().mul_scalar(muon.momentum).add(gradient);
    let orthogonal = orthogonalised(ahead.reshape(shape), muon.rounds);
    let change = orthogonal
        .reshape([shape[0] * shape[1]])
        .mul_scalar(muon.stride(shape));
    [
        values.mul_scalar(1.0 - muon.lr * muon.decay).sub(change),
        mean,
    ]
}

/// The matrix nearest to orthogonal, about, as in [`kernels::muon`].
fn orthogonalised(matrix: Tensor<2>, rounds: usize) -> Tensor<2> {
    let [height, width] = matrix.dims();
    // Rows are the shorter side: `A` is the smaller product then.
    let tall = height > width;
    let x = if tall { matrix.transpose() } else { matrix };
    let norm = f64::from(x.clone().powi_scalar(2).sum().into_scalar::<f32>()).sqrt();
    if norm == 0.0 {
        return Tensor::zeros([height, width], &x.device());
    }
    let [a, b, c] = Muon::ROUND;
    let mut x = x.mul_scalar(1.0 / (norm + 1e-7));
    for _ in 0..rounds {
        // `linear(x, w)` is `x·wᵀ`, and both `A` and `A²` are symmetric.
        let gram = linear(x.clone(), x.clone(), None);
        let square = linear(gram.clone(), gram.clone(), None);
        let mix = gram.mul_scalar(b).add(square.mul_scalar(c));
        let mixed = linear(mix, x.clone().transpose(), None);
        x = x.mul_scalar(a).add(mixed);
    }
    if tall { x.transpose() } else { x }
}
