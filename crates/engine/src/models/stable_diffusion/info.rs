//! What a model is, without reading its weights.

use std::collections::BTreeMap;
use std::path::Path;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;

use super::{DiffusionError, OpenOptions, StableDiffusion, kind_of, kind_of_vae, parts};
use crate::diffusion::scheduler::Prediction;
use crate::nn::WeightKind;
use crate::weights::{held_bytes, params};

/// What a model is.
#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    /// The generation of Stable Diffusion.
    pub family: String,
    /// Height and width in pixels that it was trained on, where known.
    pub size: Option<usize>,
    /// Channels that the U-Net reads.
    pub in_channels: usize,
    /// Channels at each resolution.
    pub block_out_channels: Vec<usize>,
    /// Parameters of the U-Net.
    pub unet_parameters: usize,
    /// Text towers.
    pub text_encoders: Vec<TowerInfo>,
    /// Parameters of the autoencoder.
    pub vae_parameters: usize,
    /// Bytes that all weights take in memory, by how they are held. Tensors that the file has in quantised blocks are counted as
    /// if it had them in floats.
    pub weight_bytes: BTreeMap<String, usize>,
    /// Pixels along one latent.
    pub factor: usize,
    /// Latents are multiplied by this.
    pub scaling_factor: f64,
    /// What the U-Net predicts.
    pub prediction: Prediction,
    /// The scheduler that the files name.
    pub scheduler: Option<String>,
}

/// What a text tower is.
#[derive(Clone, Debug, Serialize)]
pub struct TowerInfo {
    /// Layers.
    pub layers: usize,
    /// Width of the states.
    pub width: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of a prompt, its ends included.
    pub tokens: usize,
    /// Parameters.
    pub parameters: usize,
}

fn count<M: Module>(module: &M) -> usize {
    let each = params(module).into_iter();
    each.map(|it| it.shape.iter().product::<usize>()).sum()
}

impl StableDiffusion {
    /// What the model at `path` is. Its parts are checked against one another; weights are not read.
    ///
    /// # Errors
    /// As [`StableDiffusion::open`].
    pub fn info(path: &Path, options: &OpenOptions) -> Result<ModelInfo, DiffusionError> {
        let parts = parts(path, options)?;
        let device = Device::flex();
        let rng = &mut Rng::new(0);
        let unfit = |reason: String| DiffusionError::model(path, reason);
        let unet = &parts.unet.config;
        let factor = 1 << (parts.vae.config.block_out_channels.len() - 1);
        let mut weight_bytes = BTreeMap::new();
        let mut add = |bytes: &dyn Fn(WeightKind) -> usize| {
            for kind in WeightKind::ALL {
                *weight_bytes.entry(kind.to_string()).or_default() += bytes(kind);
            }
        };
        let towers: Result<Vec<TowerInfo>, DiffusionError> = parts
            .towers
            .iter()
            .map(|tower| {
                let network = tower
                    .config
                    .init(&mut Rng::new(0), &device)
                    .map_err(unfit)?;
                add(&|kind| held_bytes(&network, &|path| kind_of(path, kind)));
                Ok(TowerInfo {
                    layers: tower.config.num_hidden_layers,
                    width: tower.config.hidden_size,
                    vocabulary: tower.config.vocab_size,
                    tokens: tower.config.max_position_embeddings,
                    parameters: count(&network),
                })
            })
            .collect();
        let unet_network = unet.init(rng, &device).map_err(unfit)?;
        let vae = parts.vae.config.init(rng, &device);
        add(&|kind| held_bytes(&unet_network, &|path| kind_of(path, kind)));
        add(&|kind| held_bytes(&vae, &|_| kind_of_vae(kind)));
        Ok(ModelInfo {
            family: parts.family().to_owned(),
            size: unet.sample_size.map(|side| side * factor),
            in_channels: unet.in_channels,
            block_out_channels: unet.block_out_channels.clone(),
            unet_parameters: count(&unet_network),
            text_encoders: towers?,
            vae_parameters: count(&vae),
            weight_bytes,
            factor,
            scaling_factor: parts.vae.config.scaling_factor,
            prediction: parts.scheduler.config.prediction_type,
            scheduler: parts.scheduler.class.clone(),
        })
    }
}
