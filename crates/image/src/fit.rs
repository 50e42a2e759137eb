//! Training of small networks in memory.

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Tensor;
use engine::train::optim::{AdamWConfig, OptimizerConfig, step};

/// Steps over which a rate rises.
const RISE: f64 = 50.0;

/// Trains `model` in memory for so many steps with AdamW at a peak rate, by `of`, the loss of a step: a short rise, and the last half
/// cools down.
///
/// # Errors
/// What `of` says, Ctrl-C.
pub fn fit<M: Module>(
    mut model: M,
    (steps, peak): (u64, f64),
    context: Context,
    rng: &Rng,
    of: impl Fn(&M, &mut Rng) -> Result<Tensor<1>, Failure>,
) -> Result<M, Failure> {
    let config = AdamWConfig {
        weight_decay: 1e-3,
        ..AdamWConfig::default()
    };
    let mut optimizer = OptimizerConfig::AdamW(config).init();
    for at in 0..steps {
        context.proceed()?;
        let loss = of(&model, &mut rng.item(at))?;
        let left = (steps - at) as f64 / steps as f64;
        let rate = peak * (2.0 * left).min(1.0) * ((at + 1) as f64 / RISE).min(1.0);
        (model, _) = step(model, loss.backward(), optimizer.as_mut(), rate, Some(1.0));
    }
    Ok(model)
}
