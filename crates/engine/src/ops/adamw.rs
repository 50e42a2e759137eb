use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::{AdamW, Level};

use super::custom_op::{dense, give, take, values, values_mut};

/// Values, mean and mean square of a parameter after a step along `gradient`, from `state`, the three before it.
///
/// All are flat, of one length and without autodiff. On the CPU the step is one pass, in place where the tensors of
/// `state` are not shared.
pub(crate) fn adamw(adam: &AdamW, gradient: Tensor<1>, state: [Tensor<1>; 3]) -> [Tensor<1>; 3] {
    let [values, mean, square] = state;
    let (gradient, state) = match [gradient, values, mean, square].map(take) {
        [Ok(gradient), Ok(values), Ok(mean), Ok(square)] => {
            let mut state = [values, mean, square];
            if step(adam, &dense(&gradient), &mut state) {
                return state.map(give);
            }
            (give(gradient), state.map(give))
        }
        other => {
            let [gradient, state @ ..] = other.map(|tensor| tensor.map_or_else(|it| *it, give));
            (gradient, state)
        }
    };
    by_tensors(adam, gradient, state)
}

/// Whether the kernel took the step; it has changed nothing where it did not.
fn step(adam: &AdamW, gradient: &FlexTensor, state: &mut [FlexTensor; 3]) -> bool {
    let [parameter, mean, square] = state.each_mut().map(values_mut);
    kernels::adamw(
        Level::best(),
        adam,
        values(gradient),
        parameter,
        mean,
        square,
    )
    .is_ok()
}

/// [`adamw`] in Burn's own operations.
fn by_tensors(
    adam: &AdamW,
    gradient: Tensor<1>,
    [values, mean, square]: [Tensor<1>; 3],
) -> [Tensor<1>; 3] {
    let ([beta1, beta2], steps) = (adam.betas, adam.step as f64);
    let gradient = match adam.scale {
        1.0 => gradient,
        scale => gradient.mul_scalar(scale),
    };
    let squared = gradient.clone().mul(gradient.clone());
    let mean = mean.mul_scalar(beta1).add(gradient.mul_scalar(1.0 - beta1));
    let square = square
        .mul_scalar(beta2)
        .add(squared.mul_scalar(1.0 - beta2));
    let size = square
        .clone()
        .sqrt()
        .mul_scalar((1.0 - beta2.powf(steps)).sqrt().recip())
        .add_scalar(adam.eps);
    let change = mean
        .clone()
        .div(size)
        .mul_scalar(adam.lr / (1.0 - beta1.powf(steps)));
    let kept = match adam.decay {
        0.0 => values,
        decay => values.mul_scalar(1.0 - adam.lr * decay),
    };
    [kept.sub(change), mean, square]
}
