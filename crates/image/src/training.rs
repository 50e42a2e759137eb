//! What the `train` verbs of these systems share.

use std::path::Path;

use base::command::Failure;
#[cfg(any(feature = "acdit", feature = "lora-rar", feature = "sd"))]
use base::command::{learning_rate, number_in};
use base::files::{settings, write_bytes};
#[cfg(any(feature = "acdit", feature = "lora-rar", feature = "sd"))]
use burn::tensor::Device;
#[cfg(any(feature = "acdit", feature = "lora-rar", feature = "sd"))]
use clap::{Args, ValueEnum};
#[cfg(any(feature = "acdit", feature = "sd"))]
use engine::train::optim::{AdamWConfig, MuonConfig, OptimizerConfig};
#[cfg(any(feature = "acdit", feature = "lora-rar", feature = "sd"))]
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(any(feature = "acdit", feature = "lora-rar", feature = "sd"))]
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

#[cfg(any(feature = "acdit", feature = "lora-rar", feature = "sd"))]
impl TrainingOptions {
    /// The device, with gradients.
    ///
    /// # Errors
    /// Where there is no such device.
    pub fn device(&self) -> Result<Device, Failure> {
        Ok(engine::device(&self.device)?.autodiff())
    }
}

#[cfg(any(feature = "acdit", feature = "lora-rar", feature = "sd"))]
/// A run of `verb`, such as `sd train`, in `folder` ended by Ctrl-C at a step of so many.
pub fn interrupted(verb: &str, [step, steps]: [u64; 2], folder: &Path) -> Failure {
    Failure::interrupted(format!(
        "stopped at step {step} of {steps}: go on with `orrery {verb} --resume {}`",
        folder.display()
    ))
}

/// Shows how many pictures are encoded before training, done and of how many; Ctrl-C stops it.
#[cfg(any(feature = "lora-rar", feature = "sd"))]
pub fn encoding(
    json: bool,
    context: base::command::Context,
) -> impl FnMut(usize, usize) -> Result<(), engine::SystemError> {
    let mut bar = base::command::Steps::new("encoding", json);
    move |done, of| {
        bar.at(done, of);
        if done == of {
            bar.finish();
        }
        context
            .proceed_or_resume()
            .map_err(engine::SystemError::from)
    }
}

#[cfg(any(feature = "acdit", feature = "lora-rar", feature = "sd"))]
/// Optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Orthogonalised momentum for matrices, AdamW for the rest: more learnt from a sample, a longer step
    #[default]
    Muon,
    /// Adam with decoupled weight decay
    Adamw,
}

#[cfg(any(feature = "acdit", feature = "sd"))]
impl Optimizer {
    /// Its settings, without weight decay. Muon leaves matrices of fields in `adamw_params` to AdamW.
    pub fn config(self, beta2: f64, adamw_params: &[&str], convolutions: bool) -> OptimizerConfig {
        let adamw = AdamWConfig {
            beta2,
            weight_decay: 0.0,
            ..AdamWConfig::default()
        };
        match self {
            Self::Adamw => OptimizerConfig::AdamW(adamw),
            Self::Muon => OptimizerConfig::Muon(MuonConfig {
                weight_decay: 0.0,
                adamw,
                adamw_params: adamw_params.iter().map(|&name| name.to_owned()).collect(),
                convolutions,
                ..MuonConfig::default()
            }),
        }
    }
}

/// The file with the recipe in a run's folder.
const FILE: &str = "run.json";

/// The recipe of the run of `verb`, such as `sd train`, in `folder`; `problem` says why one cannot be followed.
///
/// # Errors
/// Where it is not there or damaged.
pub fn read_recipe<R: DeserializeOwned>(
    folder: &Path,
    verb: &str,
    problem: impl FnOnce(&R) -> Option<String>,
) -> Result<R, Failure> {
    let path = folder.join(FILE);
    let read = || {
        let text = base::files::read_to_string(&path).map_err(|cause| cause.to_string())?;
        let recipe = serde_json::from_str(&text).map_err(|cause| cause.to_string())?;
        problem(&recipe).map_or(Ok(recipe), Err)
    };
    read().map_err(|cause| {
        Failure::input(format!(
            "`{}` cannot be read ({cause}): give the folder of a run of `orrery {verb}`, or start a new one",
            path.display()
        ))
    })
}

/// Writes a recipe into its run's folder.
///
/// # Errors
/// When it cannot be written.
pub fn write_recipe(folder: &Path, recipe: &impl Serialize) -> Result<(), Failure> {
    Ok(write_bytes(
        folder.join(FILE),
        settings(recipe)?.as_bytes(),
    )?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_were_begun_are_read_and_others_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let read = |problem: Option<String>| {
            read_recipe::<Vec<Optimizer>>(folder.path(), "sd train", move |_| problem)
        };
        let line = read(None).unwrap_err().to_string();
        assert!(line.contains("run.json") && line.contains("`orrery sd train`"));
        let text = "[\n  \"muon\",\n  \"adamw\"\n]";
        std::fs::write(folder.path().join(FILE), text).unwrap();
        let recipe = read(None).unwrap();
        assert_eq!(recipe, [Optimizer::Muon, Optimizer::Adamw]);
        write_recipe(folder.path(), &recipe).unwrap();
        let written = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(written, text);
        assert!(
            read(Some("of no use".into()))
                .unwrap_err()
                .to_string()
                .contains("(of no use)")
        );
    }
}
