//! Which model a verb works with.

use std::path::{Path, PathBuf};

use base::command::Failure;
use burn::tensor::Device;
use clap::Args;
use engine::device;
use engine::weights::Weights;

use super::sizes::read_sizes;
use crate::acdit::embedded;
use crate::acdit::generate::Vae;
use crate::acdit::pipeline::AcditPipeline;
use crate::acdit::space::Values;
use crate::acdit::vae;

/// A model, and where it works.
#[derive(Args, Debug)]
pub struct ModelOptions {
    /// Weights: a file of `orrery acdit train`, or a checkpoint of the authors (`.pt`) [default: the embedded model, which draws
    /// ten kinds of clothes]
    #[arg(long, visible_alias = "ckpt", value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Sizes of a file that does not say them: JSON with `latent_size`, `block_size`, `ar_len`, … [default: as the file says,
    /// else the published layout that its tensors fit]
    #[arg(long, value_name = "FILE", requires = "model")]
    pub config: Option<PathBuf>,
    /// The autoencoder of a model of latents: a folder with `config.json` and `diffusion_pytorch_model.safetensors`
    #[arg(long, value_name = "FOLDER")]
    pub vae: Option<PathBuf>,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    pub device: String,
}

impl ModelOptions {
    /// The model that was asked for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(&self) -> Result<AcditPipeline, Failure> {
        let device = device(&self.device)?;
        match (&self.model, &self.config) {
            (None, _) => Ok(embedded::pipeline(&device)?),
            (Some(path), None) => read_model(path, &device),
            (Some(path), Some(sizes)) => {
                let sizes = read_sizes(sizes)?;
                Ok(AcditPipeline::open(
                    &Weights::open(path)?,
                    Some(sizes),
                    &device,
                )?)
            }
        }
    }

    /// The autoencoder that the model needs, if it does.
    ///
    /// # Errors
    /// When it is needed and not given, or cannot be read.
    pub fn vae(&self, pipeline: &AcditPipeline) -> Result<Option<Vae>, Failure> {
        match (pipeline.about.space.values, &self.vae) {
            (Values::Pixels, _) => Ok(None),
            (Values::Latents, Some(folder)) => {
                let vae = vae::read(folder, &pipeline.device)?;
                match vae.config.latent_channels == pipeline.about.space.channels {
                    true => Ok(Some(vae)),
                    false => Err(Failure::input(format!(
                        "`{}` makes {} channels of latents, the model takes {}: give the autoencoder that it was trained with",
                        folder.display(),
                        vae.config.latent_channels,
                        pipeline.about.space.channels
                    ))),
                }
            }
            (Values::Latents, None) => Err(Failure::input(
                "this model's values are latents: give the folder of its autoencoder with `--vae`",
            )),
        }
    }
}

/// The model in a file.
///
/// # Errors
/// When it cannot be read.
pub fn read_model(path: &Path, device: &Device) -> Result<AcditPipeline, Failure> {
    Ok(AcditPipeline::open(&Weights::open(path)?, None, device)?)
}
