use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::tensor::{Int, Tensor};
use burn_flex::FlexTensor;
use kernels::{CrossEntropy, Level, LinearDims, Precision, ShapeError};

use super::custom_op::{self, Kernel, dense, tensor, unfit, values};
use super::linear::precision;
use super::{CrossEntropyOptions, cross_entropy, linear};

/// Logits that are in memory at one time: 16 MB, which the allocator keeps for the next rows.
const AT_ONCE: usize = 1 << 22;

/// `cross_entropy(linear(x, weight, None), targets, options)` whose logits are never all in memory: rows by parts, each with its
/// gradients at once, as the gradient of a mean is known but for one factor.
///
/// `x` is `[batch, tokens, width]`, `weight` `[classes, width]`, `targets` `[batch, tokens]`; the result is `[1]`.
///
/// # Panics
/// As [`cross_entropy`].
pub fn linear_cross_entropy(
    x: Tensor<3>,
    weight: Tensor<2>,
    targets: Tensor<2, Int>,
    options: CrossEntropyOptions,
) -> Tensor<1> {
    let [classes, _] = weight.dims();
    let fused = custom_op::integers(targets.clone().into_dispatch()).and_then(|targets| {
        let kernel = Parts {
            loss: CrossEntropy {
                classes,
                ignore: options.ignore,
                smoothing: options.smoothing,
            },
            targets,
            precision: precision(),
            wanted: [x.is_tracked(), weight.is_tracked()],
        };
        let inputs = [x.clone().into_dispatch(), weight.clone().into_dispatch()];
        custom_op::run(kernel, inputs)
    });
    fused.unwrap_or_else(|| cross_entropy(linear(x, weight, None), targets, options))
}

/// Inputs `[x, weight]`.
#[derive(Clone, Debug)]
struct Parts {
    loss: CrossEntropy,
    targets: Arc<[i64]>,
    precision: Precision,
    /// Which gradients.
    wanted: [bool; 2],
}

impl Kernel<2> for Parts {
    /// Gradients, as if that of the result were 1.
    type Saved = [Option<FlexTensor>; 2];

    fn forward(
        &self,
        [x, weight]: &[FlexTensor; 2],
    ) -> Result<(FlexTensor, Self::Saved), ShapeError> {
        let (x, weight) = (dense(x), dense(weight));
        let (all, by) = (values(&x), values(&weight));
        let [classes, width]: [usize; 2] = weight.shape().dims();
        let counts = |target: &&i64| self.loss.ignore != Some(**target);
        let share = (self.targets.iter().filter(counts).count().max(1) as f32).recip();
        let rows = (AT_ONCE / classes.max(1)).max(1);
        let (level, mut sum) = (Level::best(), 0f64);
        let (mut dx, mut dw) = (Vec::new(), Vec::new());
        if all.len() != self.targets.len() * width {
            return Err(ShapeError {
                name: "x",
                expected: self.targets.len() * width,
                found: all.len(),
            });
        }
        for (targets, x) in self
            .targets
            .chunks(rows)
            .zip(all.chunks((rows * width).max(1)))
        {
            let dims = LinearDims {
                rows: targets.len(),
                input: width,
                output: classes,
            };
            let logits = kernels::linear(self.precision, x, by, None, dims)?;
            let (losses, sums) =
                kernels::cross_entropy(level, &self.loss, &logits, targets).map_err(unfit)?;
            sum += losses.into_iter().map(f64::from).sum::<f64>();
            if self.wanted == [false; 2] {
                continue;
            }
            let grads = vec![share; targets.len()];
            let grad =
                kernels::cross_entropy_backward(level, &self.loss, &logits, targets, &sums, &grads);
            let grad = grad.map_err(unfit)?;
            drop(logits);
            if self.wanted[0] {
                let part = kernels::linear_backward_input(self.precision, &grad, by, dims)?;
                dx.extend(part);
            }
            if self.wanted[1] {
                let part = kernels::linear_backward_weight(self.precision, &grad, x, dims)?;
                match dw.is_empty() {
                    true => dw = part,
                    false => kernels::add(&mut dw, &part)?,
                }
            }
        }
        let [dx_wanted, dw_wanted] = self.wanted;
        let saved = [
            dx_wanted.then(|| tensor(dx, x.shape())),
            dw_wanted.then(|| tensor(dw, weight.shape())),
        ];
        Ok((tensor(vec![sum as f32 * share], [1]), saved))
    }

    fn backward(
        &self,
        saved: Self::Saved,
        grad: FlexTensor,
        _: [bool; 2],
    ) -> Result<[Option<FlexTensor>; 2], ShapeError> {
        let factor = values(&dense(&grad)).iter().sum::<f32>();
        Ok(saved.map(|saved| {
            let mut saved = saved?;
            if factor != 1.0 {
                let all = custom_op::values_mut(&mut saved);
                all.iter_mut().for_each(|value| *value *= factor);
            }
            Some(saved)
        }))
    }
}
