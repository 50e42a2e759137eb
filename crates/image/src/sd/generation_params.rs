//! What is written into a picture so that it can be made again.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base::command::Failure;
use base::hash::{FNV_START, fnv1a};
use base::media::provenance::{self, Provenance};
use base::media::{MAX_BYTES, MediaError};
use engine::diffusion::scheduler::Prediction;
use engine::models::stable_diffusion::{OpenOptions, SamplerKind};
use engine::nn::WeightKind;
use serde::{Deserialize, Serialize};

/// Key of the note in a picture.
pub const KEY: &str = "orrery sd";
/// Key under which other programs look for a prompt and its settings.
pub const PARAMETERS: &str = "parameters";

/// Everything that a picture depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerationParams {
    /// What is to be seen.
    pub prompt: String,
    /// What is not.
    pub negative: Option<String>,
    /// Seed of this picture.
    pub seed: u64,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Steps of the sampler.
    pub steps: usize,
    /// The sampler.
    pub sampler: String,
    /// Sigmas spaced by Karras.
    pub karras: bool,
    /// Scale of the guidance.
    pub guidance: f64,
    /// The share of the steps that is guided.
    #[serde(default = "whole")]
    pub guided: f64,
    /// How much contrast is taken back.
    pub rescale: f64,
    /// Layers left out at the end of the text towers.
    pub clip_skip: usize,
    /// How weights are held.
    #[serde(default)]
    pub weights: WeightKind,
    /// Products in bf16.
    #[serde(default)]
    pub bf16: bool,
    /// Whether the ground is clear.
    #[serde(default)]
    pub transparent: bool,
    /// Whether the autoencoder works in tiles.
    #[serde(default)]
    pub vae_tiling: bool,
    /// The model, as it was named.
    pub model: String,
    /// Another autoencoder.
    pub vae: Option<PathBuf>,
    /// Another tokenizer.
    pub tokenizer: Option<PathBuf>,
    /// What the U-Net predicts, where it was said.
    pub prediction: Option<Prediction>,
    /// LoRA files and their weights.
    pub loras: Vec<(PathBuf, f32)>,
    /// The picture that was started from.
    pub image: Option<Given>,
    /// White where it was drawn anew.
    pub mask: Option<Given>,
    /// How far it went away from the picture.
    pub strength: f64,
    /// How close it kept to the picture, where a model edited it by instruction.
    #[serde(default)]
    pub image_guidance: Option<f64>,
    /// Version of the program.
    pub version: String,
}

/// All steps, which is what pictures say that say nothing of it.
fn whole() -> f64 {
    1.0
}

/// A file that a picture depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Where it is.
    pub path: PathBuf,
    /// Fingerprint of its bytes.
    pub fingerprint: String,
}

impl Given {
    /// The file at `path` as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        // No more than pictures may have; longer files are refused when they are decoded.
        let read = || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            File::open(path)?
                .take(MAX_BYTES + 1)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|cause| {
            Failure::input(format!(
                "cannot read `{}`: {cause}; check the path",
                path.display()
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
            fingerprint: format!("{:016x}", fnv1a(FNV_START, bytes)),
        })
    }
}

impl GenerationParams {
    /// The parameters in an image that `orrery sd` made.
    ///
    /// # Errors
    /// When there is none, or one that cannot be read.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        Ok(provenance::read(path, KEY, "`orrery sd`")?)
    }

    /// How the model is opened.
    pub fn opening(&self) -> OpenOptions {
        OpenOptions {
            vae: self.vae.clone(),
            tokenizer: self.tokenizer.clone(),
            prediction: self.prediction,
            loras: self.loras.clone(),
            tiling: self.vae_tiling,
            weights: self.weights,
        }
    }

    /// What the picture says of itself: ours, and where the format has room the text that other programs read.
    ///
    /// # Errors
    /// None that is known.
    pub fn provenance(&self) -> Result<Provenance, MediaError> {
        Ok(Provenance::new(KEY, self)?.and(PARAMETERS, self.parameters()))
    }

    /// Prompt and settings in the form that the web interfaces of Stable Diffusion agree on.
    fn parameters(&self) -> String {
        let name = match self.sampler.parse() {
            Ok(SamplerKind::Ddim) => "DDIM",
            Ok(SamplerKind::DpmSolver) => "DPM++ 2M",
            Ok(SamplerKind::Euler) => "Euler",
            Ok(SamplerKind::Heun) => "Heun",
            Ok(SamplerKind::Plms) => "PLMS",
            Ok(SamplerKind::Lcm) => "LCM",
            Ok(SamplerKind::Edm) => "EDM Euler",
            _ => "Euler a",
        };
        let karras = if self.karras { " Karras" } else { "" };
        let mut text = self.prompt.clone();
        if let Some(negative) = self.negative.as_ref().filter(|it| !it.is_empty()) {
            let _ = write!(text, "\nNegative prompt: {negative}");
        }
        let model = Path::new(&self.model).file_stem().unwrap_or_default();
        let _ = write!(
            text,
            "\nSteps: {}, Sampler: {name}{karras}, CFG scale: {}, Seed: {}, Size: {}x{}, Model: {}",
            self.steps,
            self.guidance,
            self.seed,
            self.width,
            self.height,
            model.to_string_lossy().replace(',', " "),
        );
        if let Some(scale) = self.image_guidance {
            let _ = write!(text, ", Image CFG scale: {scale}");
        } else if self.image.is_some() {
            let _ = write!(text, ", Denoising strength: {}", self.strength);
        }
        if self.clip_skip > 0 {
            let _ = write!(text, ", Clip skip: {}", self.clip_skip + 1);
        }
        let _ = write!(text, ", Version: orrery {}", self.version);
        text
    }
}
