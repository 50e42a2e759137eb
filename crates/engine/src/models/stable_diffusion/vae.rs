//! The autoencoder of a model: the usual one with a Gaussian over latents, or the tiny one that stands in for it.

use std::collections::BTreeMap;
use std::path::Path;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::info::parameters;
use super::parts::Part;
use super::{DiffusionError, folder, single_file};
use crate::models::autoencoder_kl::{self, AutoencoderKl, AutoencoderKlConfig};
use crate::models::autoencoder_tiny::{AutoencoderTiny, AutoencoderTinyConfig};
use crate::nn::WeightKind;
use crate::weights::{Loading, Weights, load_with, loaded_bytes};

/// Side of a tile in pixels.
const TILE: usize = 512;

/// An autoencoder's sizes and file.
pub(super) enum VaePart {
    Kl(Part<AutoencoderKlConfig>),
    Tiny(Part<AutoencoderTinyConfig>),
}

enum Network {
    Kl(Box<AutoencoderKl>),
    Tiny(Box<AutoencoderTiny>),
}

/// Sizes that all autoencoders have.
#[derive(Clone, Copy, Debug)]
pub(super) struct VaeSizes {
    pub in_channels: usize,
    pub out_channels: usize,
    pub latent_channels: usize,
    /// Pixels along one latent.
    pub factor: usize,
    /// The U-Net works on latents times this.
    pub scaling_factor: f64,
}

/// An autoencoder with its weights.
pub(super) struct Vae {
    network: Network,
    pub sizes: VaeSizes,
}

impl VaePart {
    /// The autoencoder in a diffusers folder or in one file, for Stable Diffusion XL or an older one.
    pub fn open(place: &Path, xl: bool) -> Result<Self, DiffusionError> {
        if place.is_dir() {
            let config = place.join("config.json");
            let json: Value = folder::json(&config)?;
            let weights = folder::weights(place)?;
            return match json["_class_name"] == "AutoencoderTiny" {
                true => Ok(Self::Tiny(Part {
                    config: folder::json(&config)?,
                    weights,
                })),
                false => Ok(Self::Kl(Part {
                    config: folder::json(&config)?,
                    weights,
                })),
            };
        }
        let file = Weights::open(place)?;
        if let Some(config) = AutoencoderTinyConfig::of(&file) {
            return Ok(Self::Tiny(Part {
                config,
                weights: file,
            }));
        }
        single_file::vae(&file, xl).map(Self::Kl).ok_or_else(|| {
            DiffusionError::model(
                place,
                "it is no autoencoder that is known: give a diffusers folder, a whole checkpoint, or the weights of a tiny \
                 autoencoder (TAESD) in diffusers' names",
            )
        })
    }

    pub fn sizes(&self) -> VaeSizes {
        match self {
            Self::Kl(Part { config, .. }) => VaeSizes {
                in_channels: config.in_channels,
                out_channels: config.out_channels,
                latent_channels: config.latent_channels,
                factor: 1 << config.block_out_channels.len().saturating_sub(1).min(16),
                scaling_factor: config.scaling_factor,
            },
            Self::Tiny(Part { config, .. }) => VaeSizes {
                in_channels: config.in_channels,
                out_channels: config.out_channels,
                latent_channels: config.latent_channels,
                factor: config.factor(),
                scaling_factor: config.scaling_factor,
            },
        }
    }

    /// The class that diffusers would make.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Kl(_) => "AutoencoderKL",
            Self::Tiny(_) => "AutoencoderTiny",
        }
    }

    /// Whether such a network can be made.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Kl(Part { config, .. }) => config.check(),
            Self::Tiny(Part { config, .. }) => config.check(),
        }
    }

    /// The network with its weights, which are convolutions but for one attention: in bf16 at the least.
    pub fn load(self, kind: WeightKind, device: &Device) -> Result<Vae, DiffusionError> {
        let sizes = self.sizes();
        let loading = Loading {
            kind: &|_| kind_of(kind),
            changes: &mut |_, _| Ok(Vec::new()),
        };
        let rng = &mut Rng::new(0);
        let network = match self {
            Self::Kl(Part { config, weights }) => {
                let keys = autoencoder_kl::key_map_of(&weights);
                let network = load_with(config.init(rng, device), &weights, &keys, loading)?;
                Network::Kl(Box::new(network))
            }
            Self::Tiny(Part { config, weights }) => {
                let network = tiny(&config, &weights, device)?;
                let keys = config.key_map();
                Network::Tiny(Box::new(load_with(network, &weights, &keys, loading)?))
            }
        };
        Ok(Vae { network, sizes })
    }

    /// How many parameters it has, once its file was found to have them all, and the bytes that they take by kind.
    pub fn measure(
        &self,
        device: &Device,
    ) -> Result<(usize, BTreeMap<String, usize>), DiffusionError> {
        let rng = &mut Rng::new(0);
        Ok(match self {
            Self::Kl(Part { config, weights }) => {
                let keys = autoencoder_kl::key_map_of(weights);
                let network = config.init(rng, device);
                (parameters(&network, weights, &keys)?, bytes(&network))
            }
            Self::Tiny(Part { config, weights }) => {
                let network = tiny(config, weights, device)?;
                let keys = config.key_map();
                (parameters(&network, weights, &keys)?, bytes(&network))
            }
        })
    }
}

/// How weights are held where `wanted` is asked for.
fn kind_of(wanted: WeightKind) -> WeightKind {
    match wanted {
        WeightKind::Q8_0 => WeightKind::Bf16,
        kind => kind,
    }
}

fn bytes<M: Module>(network: &M) -> BTreeMap<String, usize> {
    let of = |kind: WeightKind| loaded_bytes(network, &|_| kind_of(kind));
    let all = WeightKind::ALL.into_iter();
    all.map(|kind| (kind.to_string(), of(kind))).collect()
}

fn tiny(
    config: &AutoencoderTinyConfig,
    weights: &Weights,
    device: &Device,
) -> Result<AutoencoderTiny, DiffusionError> {
    let network = config.init(&mut Rng::new(0), device);
    network.map_err(|reason| DiffusionError::model(Path::new(weights.origin()), reason))
}

impl Vae {
    /// By what the latents of this U-Net are scaled, of Stable Diffusion XL or an older one: the tiny autoencoder, which gives them
    /// scaled, does not say it.
    pub fn latent_scale(&self, xl: bool) -> f64 {
        match (&self.network, xl) {
            (Network::Kl(_), _) => self.sizes.scaling_factor,
            (Network::Tiny(_), true) => 0.13025,
            (Network::Tiny(_), false) => 0.18215,
        }
    }

    /// Images in [−1, 1] → scaled latents: the mean, where there is a Gaussian. With `tiling` large images go through the usual
    /// autoencoder in tiles; the tiny one needs little memory as it is.
    pub fn encode(&self, images: Tensor<4>, tiling: bool) -> Tensor<4> {
        let latents = match &self.network {
            Network::Kl(vae) if tiling => vae.encode_tiled(images, TILE).mean,
            Network::Kl(vae) => vae.encode(images).mean,
            Network::Tiny(vae) => vae.encode(images),
        };
        latents * self.sizes.scaling_factor
    }

    /// Scaled latents → images.
    pub fn decode(&self, latents: Tensor<4>, tiling: bool) -> Tensor<4> {
        let latents = latents / self.sizes.scaling_factor;
        match &self.network {
            Network::Kl(vae) if tiling => vae.decode_tiled(latents, TILE / self.sizes.factor),
            Network::Kl(vae) => vae.decode(latents),
            Network::Tiny(vae) => vae.decode(latents),
        }
    }
}
