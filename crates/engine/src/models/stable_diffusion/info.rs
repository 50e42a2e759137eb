//! What a model is, without reading its weights.

use std::collections::BTreeMap;
use std::path::Path;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;

use super::parts::Parts;
use super::{DiffusionError, OpenOptions, StableDiffusion, bundle, kind_of, parts};
use crate::diffusion::scheduler::Prediction;
use crate::models::unet2d;
use crate::nn::WeightKind;
use crate::weights::{KeyMap, Weights, WeightsError, fits, loaded_bytes, params};

/// What a model is.
#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    /// The generation of Stable Diffusion.
    pub family: String,
    /// Height and width in pixels that it was trained on, where known.
    pub size: Option<usize>,
    /// Channels that the U-Net reads.
    pub in_channels: usize,
    /// Whether it edits pictures by instruction, and does nothing else.
    pub edits: bool,
    /// Channels at each resolution.
    pub block_out_channels: Vec<usize>,
    /// Parameters of the U-Net.
    pub unet_parameters: usize,
    /// Text towers.
    pub text_encoders: Vec<TowerInfo>,
    /// What kind of autoencoder it has, by the class that diffusers would make.
    pub autoencoder: String,
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

/// How many parameters `module` has, once `weights` was found to have them all.
pub(super) fn parameters<M: Module>(
    module: &M,
    weights: &Weights,
    keys: &KeyMap,
) -> Result<usize, WeightsError> {
    fits(module, weights, keys)?;
    let each = params(module).into_iter();
    Ok(each.map(|it| it.shape.iter().product::<usize>()).sum())
}

impl StableDiffusion {
    /// What the model at `path` is. Its parts are checked against one another and their weights by names and shapes; values are
    /// not read.
    ///
    /// # Errors
    /// As [`StableDiffusion::open`].
    pub fn info(path: &Path, options: &OpenOptions) -> Result<ModelInfo, DiffusionError> {
        info_of(&parts(path, options)?, path)
    }

    /// As [`StableDiffusion::info`], of a file as [`StableDiffusion::from_packed`] opens it.
    ///
    /// # Errors
    /// As [`StableDiffusion::open`].
    pub fn info_packed(
        weights: &Weights,
        options: &OpenOptions,
    ) -> Result<ModelInfo, DiffusionError> {
        let parts = bundle::open(weights, options)?;
        parts.check()?;
        info_of(&parts, Path::new(weights.origin()))
    }
}

fn info_of(parts: &Parts, path: &Path) -> Result<ModelInfo, DiffusionError> {
    let device = Device::flex();
    let rng = &mut Rng::new(0);
    let unfit = |reason: String| DiffusionError::model(path, reason);
    let unet = &parts.unet.config;
    let vae = parts.vae.sizes();
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
            let keys = tower.keys();
            add(&|kind| loaded_bytes(&network, &|path| kind_of(path, kind)));
            Ok(TowerInfo {
                layers: tower.config.num_hidden_layers,
                width: tower.config.hidden_size,
                vocabulary: tower.config.vocab_size,
                tokens: tower.config.max_position_embeddings,
                parameters: parameters(&network, &tower.weights, &keys)?,
            })
        })
        .collect();
    let network = unet.init(rng, &device).map_err(unfit)?;
    add(&|kind| loaded_bytes(&network, &|path| kind_of(path, kind)));
    let (vae_parameters, bytes) = parts.vae.measure(&device)?;
    add(&|kind| bytes[&kind.to_string()]);
    Ok(ModelInfo {
        family: parts.family().to_owned(),
        size: unet.sample_size.map(|side| side * vae.factor),
        in_channels: unet.in_channels,
        edits: unet.in_channels == 2 * vae.latent_channels,
        block_out_channels: unet.block_out_channels.clone(),
        unet_parameters: parameters(&network, &parts.unet.weights, &unet2d::key_map())?,
        text_encoders: towers?,
        autoencoder: parts.vae.class().to_owned(),
        vae_parameters,
        weight_bytes,
        factor: vae.factor,
        scaling_factor: vae.scaling_factor,
        prediction: parts.scheduler.config.prediction_type,
        scheduler: parts.scheduler.class.clone(),
    })
}
