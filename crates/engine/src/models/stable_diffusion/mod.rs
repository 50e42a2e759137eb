//! Stable Diffusion 1.x, 2.x and XL from a diffusers folder or a single file (safetensors, torch, GGUF): text and pictures to latents, latents along a
//! sampler, latents to pictures; and the way back from a picture to the noise that it came from.
//!
//! ```no_run
//! # use engine::models::stable_diffusion::{OpenOptions, Request, StableDiffusion};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = StableDiffusion::open("sd-v1-5".as_ref(), &OpenOptions::default(), &engine::device("cpu")?)?;
//! let request = Request { prompt: "a red fox".into(), ..model.request() };
//! let pictures = model.draw(&request, &mut (), &mut |_, _| true)?;
//! # Ok(()) }
//! ```

mod bundle;
mod draw;
mod edit;
mod error;
mod folder;
mod gguf;
mod info;
mod ldm;
mod loras;
mod parts;
mod picture;
mod prompt;
mod sample;
mod single_file;
mod training;
mod vae;

use std::path::{Path, PathBuf};

use base::rng::Rng;
use burn::tensor::{Device, Tensor};

use crate::diffusion::scheduler::Prediction;
use crate::models::clip_text::ClipText;
use crate::models::unet2d::{self, Unet2d, Unet2dConfig};
use crate::nn::WeightKind;
use crate::text::Tokenizer;
use crate::weights::lora::Merging;
use crate::weights::{KeyMap, Loading, ReadTensor, Weights, load_with};
pub use bundle::pack;
pub use draw::{Drawn, Request, Source};
pub use edit::{EditedPicture, predict_edit};
pub use error::DiffusionError;
pub use folder::{json as part_config, weights as part_weights};
pub use info::{ModelInfo, TowerInfo};
use loras::Loras;
pub use parts::Usual;
use parts::{Parts, Schedule, TowerPart};
pub use picture::PreviewDecoder;
pub use prompt::Conditions;
pub use sample::{Inpaint, SamplerKind, Sampling};
pub use training::NoiseSchedule;
use vae::Vae;

/// How a model is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The folder or the file of another autoencoder, the usual one or a tiny one.
    pub vae: Option<PathBuf>,
    /// The folder of another tokenizer; single files need one.
    pub tokenizer: Option<PathBuf>,
    /// What the U-Net predicts, where the model's files are wrong or say nothing.
    pub prediction: Option<Prediction>,
    /// LoRA files and their weights.
    pub loras: Vec<(PathBuf, f32)>,
    /// How weights are held. With [`WeightKind::Q8_0`] linear layers of U-Net and text encoders are held so, all other layers in
    /// bf16. Tensors that a file has in quantised blocks stay as they are.
    pub weights: WeightKind,
    /// Pictures of more than 512 pixels a side go through the autoencoder in overlapping tiles: less memory, and the picture
    /// differs a little.
    pub tiling: bool,
}

/// A text tower with its tokenizer.
struct Tower {
    network: ClipText,
    tokenizer: Tokenizer,
    ends: [u32; 2],
    pad: u32,
}

/// A model, ready to draw.
pub struct StableDiffusion {
    unet: Unet2d,
    unet_config: Unet2dConfig,
    vae: Vae,
    towers: Vec<Tower>,
    schedule: Schedule,
    zero_negative: bool,
    usual: Usual,
    tiling: bool,
    family: &'static str,
    notes: Vec<String>,
    device: Device,
}

fn parts(path: &Path, options: &OpenOptions) -> Result<Parts, DiffusionError> {
    let parts = match path.is_dir() {
        true => folder::open(path, options)?,
        false => single_file::open(path, options)?,
    };
    parts.check()?;
    Ok(parts)
}

impl StableDiffusion {
    /// Opens a diffusers folder (with `model_index.json`), or one `.safetensors`, `.ckpt` or `.gguf` file, on `device`. Whatever
    /// floats the file has, weights are held as `options` say.
    ///
    /// # Errors
    /// [`DiffusionError`]: what is missing, broken or mixed up of two models, with the fix.
    pub fn open(
        path: &Path,
        options: &OpenOptions,
        device: &Device,
    ) -> Result<Self, DiffusionError> {
        Self::of_parts(parts(path, options)?, path, options, device)
    }

    /// As [`StableDiffusion::open`], from a file of [`pack`] that is already in memory, such as one from `include_bytes!`.
    ///
    /// # Errors
    /// As [`StableDiffusion::open`].
    pub fn from_packed(
        weights: &Weights,
        options: &OpenOptions,
        device: &Device,
    ) -> Result<Self, DiffusionError> {
        let parts = bundle::open(weights, options)?;
        parts.check()?;
        Self::of_parts(parts, Path::new(weights.origin()), options, device)
    }

    fn of_parts(
        parts: Parts,
        path: &Path,
        options: &OpenOptions,
        device: &Device,
    ) -> Result<Self, DiffusionError> {
        let family = parts.family();
        let rng = &mut Rng::new(0);
        let unfit = |reason| DiffusionError::model(path, reason);
        let loras = Loras::open(&options.loras)?;
        let files = loras.files();
        let config = parts.unet.config;
        let unet = config.init(rng, device).map_err(unfit)?;
        let keys = unet2d::key_map();
        let alias = |layer: &str| ldm::unet(&config, layer);
        let mut merging = Merging::new("unet", &keys, &alias, &files);
        let loading = Loading {
            kind: &|path| kind_of(path, options.weights),
            changes: &mut |path, shape| merging.changes(path, shape),
        };
        let unet = load_with(unet, &parts.unet.weights, &keys, loading)?;
        let mut used = vec![("unet", merging.used)];
        let vae = parts.vae.load(options.weights, device)?;
        let mut towers = Vec::new();
        for (part, name) in parts
            .towers
            .into_iter()
            .zip(["text_encoder", "text_encoder_2"])
        {
            // The paths of a tower are its official names.
            let keys = KeyMap::new();
            let mut merging = Merging::new(name, &keys, &|_| None, &files);
            let loading = Loading {
                kind: &|path| kind_of(path, options.weights),
                changes: &mut |path, shape| merging.changes(path, shape),
            };
            towers.push(tower(part, path, loading, device)?);
            used.push((name, merging.used));
        }
        let notes = loras.notes(&used)?;
        Ok(Self {
            unet,
            unet_config: config,
            vae,
            towers,
            schedule: parts.scheduler,
            zero_negative: parts.zero_negative,
            usual: parts.usual,
            tiling: options.tiling,
            family,
            notes,
            device: device.clone(),
        })
    }

    /// What opening found and did not refuse, a line each: layers of a LoRA that this model does not have.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The U-Net.
    pub fn unet(&self) -> &Unet2d {
        &self.unet
    }

    /// Sizes of the U-Net.
    pub fn unet_config(&self) -> &Unet2dConfig {
        &self.unet_config
    }

    /// What the U-Net predicts.
    pub fn prediction(&self) -> Prediction {
        self.schedule.config.prediction_type
    }

    /// Where the model is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Which generation of Stable Diffusion it is.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// Pixels along one latent.
    pub fn factor(&self) -> usize {
        self.vae.sizes.factor
    }

    /// Whether pictures come with how much each pixel covers.
    pub fn transparent(&self) -> bool {
        self.vae.sizes.out_channels == 4
    }

    /// Channels of latents.
    pub fn latent_channels(&self) -> usize {
        self.vae.sizes.latent_channels
    }

    /// Standard normal latents `[seeds, channels, height / factor, width / factor]` for pictures of `width` times `height`
    /// pixels. Each depends on its own seed only.
    pub fn noise(&self, seeds: &[u64], [height, width]: [usize; 2]) -> Tensor<4> {
        let shape = [
            self.latent_channels(),
            height / self.factor(),
            width / self.factor(),
        ];
        sample::normals(seeds, "latents", shape, &self.device)
    }
}

/// How a weight of U-Net or text encoder is held: what embeds times and sizes has few values, on which all others depend.
fn kind_of(path: &str, wanted: WeightKind) -> WeightKind {
    match wanted {
        WeightKind::Q8_0 if path.contains("embedding") => WeightKind::Bf16,
        kind => kind,
    }
}

/// A tower with its weights.
fn tower(
    part: TowerPart,
    path: &Path,
    loading: Loading<'_>,
    device: &Device,
) -> Result<Tower, DiffusionError> {
    let network = part
        .config
        .init(&mut Rng::new(0), device)
        .map_err(|reason| {
            DiffusionError::model(path, format!("the text encoder's `config.json`: {reason}"))
        })?;
    let keys = part.keys();
    let mut network = load_with(network, &part.weights, &keys, loading)?;
    if let Some(name) = &part.transposed {
        network.set_projection(projection(&part.weights, name, device)?);
    }
    // A prompt ends where its tokenizer says; configurations that say 2 are wrong.
    network.set_end(part.ends[1]);
    Ok(Tower {
        network,
        tokenizer: part.tokenizer,
        ends: part.ends,
        pad: part.pad,
    })
}

/// A projection that is stored as `[in, out]`.
fn projection(weights: &Weights, name: &str, device: &Device) -> Result<Tensor<2>, DiffusionError> {
    let stored: Tensor<2> = weights.tensor(name, device)?;
    Ok(stored.transpose())
}

impl std::fmt::Debug for StableDiffusion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StableDiffusion")
            .field("family", &self.family)
            .finish_non_exhaustive()
    }
}
