//! What the `train` verbs of these systems share.

use std::path::Path;

use base::command::{Failure, learning_rate, number_in};
use burn::tensor::Device;
use clap::Args;

/// Options of a training run that do not depend on the network.
#[derive(Args, Debug)]
pub struct TrainingOptions {
    /// Peak learning rate
    #[arg(long, default_value_t = 1e-3, value_parser = learning_rate)]
    pub learning_rate: f64,
    /// Decay of the averaged weights, which are what is kept
    #[arg(long, default_value_t = 0.999, value_parser = |text: &str| number_in(text, 0.0, 0.99999).map(f64::from))]
    pub ema: f64,
    /// Mixed precision: products of bf16 values where the CPU has them
    #[arg(long)]
    pub bf16: bool,
    /// Seed of weights and batches
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print one JSON object at the end
    #[arg(long)]
    pub json: bool,
}

impl TrainingOptions {
    /// The device, with gradients.
    ///
    /// # Errors
    /// Where there is no such device.
    pub fn device(&self) -> Result<Device, Failure> {
        Ok(engine::device(&self.device)?.autodiff())
    }
}

/// A run of `system` in `folder` ended by Ctrl-C at a step of so many.
pub fn interrupted(system: &str, [step, steps]: [u64; 2], folder: &Path) -> Failure {
    Failure::interrupted(format!(
        "stopped at step {step} of {steps}: go on with `orrery {system} train --resume {}`",
        folder.display()
    ))
}
