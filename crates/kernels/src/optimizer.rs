//! One step of an optimiser over the values of a parameter.

use rayon::prelude::*;

use crate::error::expect;
use crate::input_error::InputError;
use crate::level::{Level, leveled};
use crate::math::mul_add;
use crate::parallel::rows_per_task;

/// AdamW: Adam whose weight decay does not go through the moments (Loshchilov and Hutter, 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Share of the old mean, and of the old mean square, that is kept; each from 0 to below 1.
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    pub eps: f64,
    /// Share of the parameter, times the learning rate, that is taken away.
    pub decay: f64,
    /// Every gradient is multiplied by this before anything else: below 1 where gradients are clipped.
    pub scale: f64,
    /// Number of this step, from 1.
    pub step: u64,
}

/// Takes one step in place: `parameter`, the mean `mean` of its gradients and the mean `square` of their squares, from
/// the gradient `grad`. Equal lengths. A NaN in the gradient makes its own value and means NaN, and no other.
pub fn adamw(
    level: Level,
    adam: &AdamW,
    grad: &[f32],
    parameter: &mut [f32],
    mean: &mut [f32],
    square: &mut [f32],
) -> Result<(), InputError> {
    let len = parameter.len();
    expect("grad", grad.len(), len)?;
    expect("mean", mean.len(), len)?;
    expect("square", square.len(), len)?;
    let setting = |name, range, found: f64| InputError::Setting { name, range, found };
    if adam.step == 0 {
        return Err(setting("step", "at least 1", 0.0));
    }
    for beta in adam.betas {
        if !(0.0..1.0).contains(&beta) {
            return Err(setting("betas", "from 0 to below 1", beta));
        }
    }
    let [first, second] = adam.betas.map(|beta| 1.0 - beta.powf(adam.step as f64));
    let rates = Rates {
        gradient: adam.scale as f32,
        keep: (1.0 - adam.lr * adam.decay) as f32,
        fresh: adam.betas.map(|beta| (1.0 - beta) as f32),
        second: adam.betas[1] as f32,
        rate: (adam.lr / first) as f32,
        scale: second.sqrt().recip() as f32,
        eps: adam.eps as f32,
    };
    let task = rows_per_task(1);
    if len <= task {
        // Biases and the like: handing them to another thread takes longer than the step.
        step_block(level, &rates, grad, parameter, mean, square);
        return Ok(());
    }
    parameter
        .par_chunks_mut(task)
        .zip(mean.par_chunks_mut(task).zip(square.par_chunks_mut(task)))
        .zip(grad.par_chunks(task))
        .for_each(|((parameter, (mean, square)), grad)| {
            step_block(level, &rates, grad, parameter, mean, square);
        });
    Ok(())
}

/// What all values of a step have in common.
struct Rates {
    /// What multiplies the gradient.
    gradient: f32,
    /// Share of the parameter that stays.
    keep: f32,
    /// Share of the gradient in the mean, and of its square in the mean square.
    fresh: [f32; 2],
    /// Share of the old mean square.
    second: f32,
    /// Learning rate over the bias of the mean.
    rate: f32,
    /// One over the root of the bias of the mean square.
    scale: f32,
    eps: f32,
}

leveled! {
    fn step_block(
        rates: &Rates,
        grad: &[f32],
        parameter: &mut [f32],
        mean: &mut [f32],
        square: &mut [f32],
    ) {
        let Rates { gradient, keep, fresh: [own, own_square], second, rate, scale, eps } = *rates;
        let means = mean.iter_mut().zip(square);
        for ((p, (m, v)), g) in parameter.iter_mut().zip(means).zip(grad) {
            let g = g * gradient;
            *m = mul_add::<FMA>(g - *m, own, *m);
            *v = mul_add::<FMA>(g * g, own_square, *v * second);
            let size = mul_add::<FMA>(v.sqrt(), scale, eps);
            *p = *p * keep - rate * (*m / size);
        }
    }
}
