//! The Stable Diffusion model that a verb rides on: the embedded one, or weights that the user has.

use std::path::{Path, PathBuf};

use base::command::{Failure, one_line};
use engine::burn::tensor::Device;
#[cfg(feature = "sd")]
use engine::models::stable_diffusion::ModelInfo;
use engine::models::stable_diffusion::{OpenOptions, StableDiffusion};
use engine::weights::Weights;
use engine::weights::hub::{HubError, HubSettings, resolve};

/// What `--model` calls the model inside the program.
pub const EMBEDDED: &str = "embedded";

/// Written by `orrery sd pack`; a build with an empty file has no such model. How it was made is in `assets/models/README.md`.
static WEIGHTS: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/models/sd-emoji.safetensors"
));

/// Where a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseModel {
    /// Inside the program.
    Embedded,
    /// A folder or a file.
    At(PathBuf),
}

impl BaseModel {
    /// The one inside the program, where there is one.
    #[cfg(any(feature = "fiva", feature = "lora-rar", feature = "wind"))]
    pub fn embedded() -> Option<Self> {
        (!WEIGHTS.is_empty()).then_some(Self::Embedded)
    }

    /// `embedded`, a path, or OWNER/NAME in the cache of the hub.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn find(name: &str) -> Result<Self, Failure> {
        let path = Path::new(name);
        match name {
            EMBEDDED if WEIGHTS.is_empty() => Err(Failure::input(
                "this program was built without its embedded model: give `--model` a diffusers folder or one `.safetensors` or `.gguf` file \
                 of Stable Diffusion 1, 2 or XL",
            )),
            EMBEDDED => Ok(Self::Embedded),
            _ if path.exists() => Ok(Self::At(path.to_owned())),
            _ => match resolve(name, &HubSettings::from_environment()) {
                Err(HubError::Name(_)) => Err(Failure::input(format!(
                    "there is no model `{}`: give `embedded`, a diffusers folder, one `.safetensors` or `.gguf` file, or OWNER/NAME on the hub",
                    one_line(&name.chars().take(100).collect::<String>())
                ))),
                found => Ok(Self::At(found?)),
            },
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`StableDiffusion::open`].
    pub fn open(&self, options: &OpenOptions, device: &Device) -> Result<StableDiffusion, Failure> {
        Ok(match self {
            Self::Embedded => {
                StableDiffusion::from_packed(&Weights::from_bytes(WEIGHTS)?, options, device)?
            }
            Self::At(path) => StableDiffusion::open(path, options, device)?,
        })
    }

    /// What it is, without reading its weights.
    ///
    /// # Errors
    /// As [`StableDiffusion::info`].
    #[cfg(feature = "sd")]
    pub fn info(&self, options: &OpenOptions) -> Result<ModelInfo, Failure> {
        Ok(match self {
            Self::Embedded => {
                StableDiffusion::info_packed(&Weights::from_bytes(WEIGHTS)?, options)?
            }
            Self::At(path) => StableDiffusion::info(path, options)?,
        })
    }
}
