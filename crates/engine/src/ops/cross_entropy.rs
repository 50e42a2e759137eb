use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use burn_flex::FlexTensor;
use kernels::{CrossEntropy, Level, ShapeError};

use super::custom_op::{self, Kernel, dense, tensor, unfit, values};

/// Which rows [`cross_entropy`] counts and what it aims at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropyOptions {
    /// Rows with this target have no part in the loss.
    pub ignore: Option<i64>,
    /// From 0 to 1: this part of the target is spread evenly over all classes.
    pub smoothing: f32,
}

/// Mean cross-entropy, in nats, over the rows that are not ignored: `[1]`, and 0 where no row is left.
///
/// `logits` are `[rows.., classes]`, `targets` `[rows..]`, of one rank less.
///
/// # Panics
/// On the CPU, for a target outside `0..classes` that is not ignored; a GPU reads something else instead.
pub fn cross_entropy<const D: usize, const T: usize>(
    logits: Tensor<D>,
    targets: Tensor<T, Int>,
    options: CrossEntropyOptions,
) -> Tensor<1> {
    const { assert!(D == T + 1, "one rank less than the logits") };
    let classes = logits.dims()[D - 1];
    let fused = custom_op::integers(targets.clone().into_dispatch()).and_then(|targets| {
        let loss = CrossEntropy {
            classes,
            ignore: options.ignore,
            smoothing: options.smoothing,
        };
        custom_op::run(Mean { loss, targets }, [logits.clone().into_dispatch()])
    });
    fused.unwrap_or_else(|| {
        let rows = targets.shape().num_elements();
        by_log_softmax(
            logits.reshape([rows, classes]),
            targets.reshape([rows]),
            options,
        )
    })
}

/// [`cross_entropy`] in Burn's own operations.
fn by_log_softmax(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    CrossEntropyOptions { ignore, smoothing }: CrossEntropyOptions,
) -> Tensor<1> {
    let ignored = ignore.map(|ignore| targets.clone().equal_scalar(ignore));
    let targets = match &ignored {
        Some(ignored) => targets.mask_fill(ignored.clone(), 0),
        None => targets,
    };
    let logs = log_softmax(logits, 1);
    let target = match smoothing {
        0.0 => logs.gather(1, targets.unsqueeze_dim(1)),
        // One sum for both: burn-cubecl-fusion 0.22.1 panics where it would merge this mean with that of the softmax.
        smoothing => {
            let classes = logs.dims()[1];
            let all = Tensor::<1, Int>::arange(0..classes as i64, &targets.device());
            let own = all.unsqueeze_dim(0).equal(targets.unsqueeze_dim::<2>(1));
            let own = own.float().cast(logs.dtype()) * (1.0 - smoothing);
            (logs * (own + smoothing / classes as f32)).sum_dim(1)
        }
    };
    let losses: Tensor<1> = target.neg().squeeze_dim(1);
    match ignored {
        Some(ignored) => {
            let counted = ignored.clone().bool_not().float().sum().clamp_min(1.0);
            losses.mask_fill(ignored, 0.0).sum() / counted
        }
        None => losses.mean(),
    }
}

/// Inputs `[logits]`.
#[derive(Clone, Debug)]
struct Mean {
    loss: CrossEntropy,
    targets: Arc<[i64]>,
}

impl Mean {
    /// One over the number of rows that are not ignored.
    fn share(&self) -> f32 {
        let counts = |target: &&i64| self.loss.ignore != Some(**target);
        (self.targets.iter().filter(counts).count().max(1) as f32).recip()
    }
}

impl Kernel<1> for Mean {
    /// The logits, and `ln Σ eˣ` of each row.
    type Saved = (FlexTensor, Vec<f32>);

    fn forward(&self, [logits]: &[FlexTensor; 1]) -> Result<(FlexTensor, Self::Saved), ShapeError> {
        let logits = dense(logits);
        let of = values(&logits);
        let (losses, log_sums) =
            kernels::cross_entropy(Level::best(), &self.loss, of, &self.targets).map_err(unfit)?;
        let sum: f64 = losses.into_iter().map(f64::from).sum();
        let mean = sum as f32 * self.share();
        Ok((tensor(vec![mean], [1]), (logits, log_sums)))
    }

    fn backward(
        &self,
        (logits, log_sums): Self::Saved,
        grad: FlexTensor,
        _: [bool; 1],
    ) -> Result<[Option<FlexTensor>; 1], ShapeError> {
        let grad = values(&dense(&grad)).iter().sum::<f32>() * self.share();
        let (of, grads) = (values(&logits), vec![grad; self.targets.len()]);
        let targets = &self.targets;
        let dx = kernels::cross_entropy_backward(
            Level::best(),
            &self.loss,
            of,
            targets,
            &log_sums,
            &grads,
        );
        Ok([Some(tensor(dx.map_err(unfit)?, logits.shape()))])
    }
}
