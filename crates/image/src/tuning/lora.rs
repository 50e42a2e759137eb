//! Training a LoRA of the attention projections (Hu et al., arXiv 2106.09685), as diffusers' scripts do.

use base::rng::Rng;
use burn::tensor::Tensor;
use engine::models::unet2d::UnetLora;
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Schedule, Task, TaskError, TrainConfig};
use engine::weights::{Precision, TensorFile, WeightsError};

use super::base::{FrozenBase, Noise};
use super::instances::Instances;

/// The task of [`engine::train::train`].
#[derive(Debug)]
pub struct LoraTask<'a> {
    /// The model that stays as it is.
    pub base: &'a FrozenBase,
    /// What is learnt.
    pub instances: &'a Instances,
    /// Pictures of a step.
    pub batch: usize,
}

impl LoraTask<'_> {
    /// The mean squared error without and with `lora`, on `count` draws that are always the same.
    pub fn measure(&self, lora: &UnetLora, count: usize) -> [f64; 2] {
        let noise = self
            .base
            .even_noise(count, &mut Rng::new(0).child("measure"));
        let input = self
            .instances
            .noisy(self.base, &self.instances.first(count), &noise);
        let number = |error: Tensor<1>| f64::from(error.into_scalar::<f32>());
        [
            number(self.base.error(&input, &mut ())),
            number(self.base.error(&input, &mut lora.hooks())),
        ]
    }
}

impl Task for LoraTask<'_> {
    type Model = UnetLora;
    /// Which pictures, with which noise.
    type Batch = (Vec<usize>, Noise);

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let which = self.instances.draw(self.batch, rng);
        Ok((which, self.base.noise(self.batch, rng)))
    }

    fn loss(
        &self,
        model: &UnetLora,
        (which, noise): Self::Batch,
    ) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let input = self.instances.noisy(self.base, &which, &noise);
        (self.base.error(&input, &mut model.hooks()), Vec::new())
    }

    fn samples(&self) -> usize {
        self.batch
    }
}

/// A run of `steps` at a constant `rate`: AdamW with weight decay 0.01, gradients clipped to norm 1.
pub fn config(steps: u64, rate: f64, seed: u64) -> TrainConfig {
    TrainConfig {
        steps,
        learning_rate: rate,
        warmup: 0,
        schedule: Schedule::Constant,
        optimizer: OptimizerConfig::AdamW(AdamWConfig {
            weight_decay: 0.01,
            ..AdamWConfig::default()
        }),
        clip: Some(1.0),
        ema: None,
        seed,
        log_every: (steps / 100).clamp(1, 10),
        checkpoint_every: (steps / 10).clamp(1, 500),
        ..TrainConfig::default()
    }
}

/// The file of a trained LoRA, with its prompt, which `orrery lora-rar` uses where none is given.
///
/// # Errors
/// As [`UnetLora::file`].
pub fn lora_file(lora: &UnetLora, prompt: &str) -> Result<TensorFile, WeightsError> {
    let mut file = lora.file(Precision::F32)?;
    file.note("prompt", prompt);
    Ok(file)
}
