//! A model's folder as diffusers lays it out, part by part as it is trained.

use std::path::{Path, PathBuf};

use base::command::Failure;
use base::files::{make_folder, write_bytes};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use engine::models::autoencoder_kl::{self, AutoencoderKl, AutoencoderKlConfig};
use engine::models::clip_text::{self, ClipText, ClipTextConfig};
use engine::models::unet2d::{self, Unet2d, Unet2dConfig};
use engine::text::Tokenizer;
use engine::weights::{KeyMap, Precision, Weights, load, save};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::vocabulary::{ENDS, Vocabulary};
use super::{text, unet, vae};

const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
const TOWER: &str = "model.safetensors";

/// The folder of a model whose parts come one by one.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let path = self.0.join(name);
        let bad = |cause: String| {
            Failure::input(format!(
                "cannot read `{}`: {cause}; give the `model` folder of an earlier stage with `--base`",
                path.display()
            ))
        };
        let bytes = base::files::read(&path).map_err(|error| bad(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
    }

    fn write_json(&self, name: &str, value: &Value) -> Result<(), Failure> {
        let path = self.0.join(name);
        self.make(path.parent())?;
        let text = serde_json::to_vec_pretty(value).map_err(Failure::failed)?;
        Ok(write_bytes(path, &text)?)
    }

    fn make(&self, folder: Option<&Path>) -> Result<(), Failure> {
        let folder = folder.unwrap_or(&self.0);
        Ok(make_folder(folder)?)
    }

    fn write_weights<M: Module>(
        &self,
        name: &str,
        module: &M,
        keys: &KeyMap,
    ) -> Result<(), Failure> {
        Ok(save(module, keys, &[], Precision::F32, self.0.join(name))?)
    }

    /// Whether a part is there.
    pub fn has(&self, part: &str) -> bool {
        self.0.join(part).join("config.json").is_file()
    }

    /// Copies a part of another model.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn copy(&self, from: &Self, part: &str) -> Result<(), Failure> {
        let (from, to) = (from.0.join(part), self.0.join(part));
        self.make(Some(&to))?;
        let failed = |error: std::io::Error| {
            Failure::failed(format!("cannot copy `{}`: {error}", from.display()))
        };
        for entry in std::fs::read_dir(&from).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let (true, Some(name)) = (path.is_file(), path.file_name()) {
                write_bytes(to.join(name), &std::fs::read(&path).map_err(failed)?)?;
            }
        }
        Ok(())
    }

    /// The autoencoder's sizes.
    ///
    /// # Errors
    /// When they cannot be read, or are not those of a pack with transparency.
    pub fn vae_config(&self) -> Result<AutoencoderKlConfig, Failure> {
        let config: AutoencoderKlConfig = self.json("vae/config.json")?;
        let known = vae::config(
            &config.block_out_channels,
            config.layers_per_block,
            config.latent_channels,
        );
        match config == known && (1..=6).contains(&config.block_out_channels.len()) {
            true => Ok(config),
            false => Err(Failure::input(format!(
                "`{}/vae` is not an autoencoder of `orrery sd train --stage vae`: train one first",
                self.0.display()
            ))),
        }
    }

    /// The autoencoder.
    ///
    /// # Errors
    /// As [`Folder::vae_config`], and when weights are missing or do not fit.
    pub fn vae(&self, device: &Device) -> Result<AutoencoderKl, Failure> {
        let weights = Weights::open(self.0.join("vae").join(WEIGHTS))?;
        let model = self.vae_config()?.init(&mut Rng::new(0), device);
        Ok(load(model, &weights, &autoencoder_kl::key_map())?)
    }

    /// Writes the autoencoder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_vae(
        &self,
        config: &AutoencoderKlConfig,
        model: &AutoencoderKl,
    ) -> Result<(), Failure> {
        self.write_json("vae/config.json", &vae::json_of(config))?;
        self.write_weights(&format!("vae/{WEIGHTS}"), model, &autoencoder_kl::key_map())
    }

    /// The text encoder's sizes and its tokenizer with begin and end of a prompt.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn words(&self) -> Result<(ClipTextConfig, Tokenizer, [u32; 2]), Failure> {
        let config = self.json("text_encoder/config.json")?;
        let tokenizer = Tokenizer::open(&self.0.join("tokenizer"))?;
        let ends = ends(&tokenizer)?;
        Ok((config, tokenizer, ends))
    }

    /// The text encoder.
    ///
    /// # Errors
    /// When weights are missing or do not fit.
    pub fn tower(&self, device: &Device) -> Result<ClipText, Failure> {
        let config: ClipTextConfig = self.json("text_encoder/config.json")?;
        let weights = Weights::open(self.0.join("text_encoder").join(TOWER))?;
        let model = config.init(&mut Rng::new(0), device);
        let model = model.map_err(Failure::input)?;
        Ok(load(model, &weights, &clip_text::key_map(&weights))?)
    }

    /// Writes the text encoder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_tower(&self, config: &ClipTextConfig, tower: &ClipText) -> Result<(), Failure> {
        let json = text::json_of(config).map_err(Failure::failed)?;
        self.write_json("text_encoder/config.json", &json)?;
        self.write_weights(&format!("text_encoder/{TOWER}"), tower, &KeyMap::new())
    }

    /// Writes the tokenizer's files.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_vocabulary(&self, vocabulary: &Vocabulary) -> Result<(), Failure> {
        let pieces = Value::Object(vocabulary.pieces.clone());
        self.write_json("tokenizer/vocab.json", &pieces)?;
        let special = json!({
            "bos_token": ENDS[0], "eos_token": ENDS[1], "unk_token": ENDS[1], "pad_token": ENDS[1],
        });
        self.write_json("tokenizer/special_tokens_map.json", &special)?;
        let mut config = special;
        config["tokenizer_class"] = json!("CLIPTokenizer");
        config["model_max_length"] = json!(text::TOKENS);
        self.write_json("tokenizer/tokenizer_config.json", &config)?;
        let merges = self.0.join("tokenizer/merges.txt");
        Ok(write_bytes(merges, vocabulary.merges.as_bytes())?)
    }

    /// The U-Net's sizes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn unet_config(&self) -> Result<Unet2dConfig, Failure> {
        self.json("unet/config.json")
    }

    /// The U-Net.
    ///
    /// # Errors
    /// When weights are missing or do not fit.
    pub fn unet(&self, config: &Unet2dConfig, device: &Device) -> Result<Unet2d, Failure> {
        let weights = Weights::open(self.0.join("unet").join(WEIGHTS))?;
        let model = config.init(&mut Rng::new(0), device);
        Ok(load(
            model.map_err(Failure::input)?,
            &weights,
            &unet2d::key_map(),
        )?)
    }

    /// Writes the U-Net and what makes a whole model of the parts.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_unet(&self, config: &Unet2dConfig, model: &Unet2d) -> Result<(), Failure> {
        let of_config = unet::json_of(config).map_err(Failure::failed)?;
        self.write_json("unet/config.json", &of_config)?;
        self.write_weights(&format!("unet/{WEIGHTS}"), model, &unet2d::key_map())?;
        let scheduler = unet::scheduler();
        self.write_json("scheduler/scheduler_config.json", &scheduler)?;
        let index = json!({
            "_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderKL"],
            "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"], "scheduler": ["diffusers", scheduler["_class_name"]],
            "safety_checker": [null, null], "feature_extractor": [null, null], "requires_safety_checker": false,
            "_usual": { "steps": 20, "guidance": 3.0, "guided": 0.5 },
        });
        self.write_json("model_index.json", &index)
    }
}

/// Begin and end of a prompt.
///
/// # Errors
/// When the vocabulary has none.
pub fn ends(tokenizer: &Tokenizer) -> Result<[u32; 2], Failure> {
    let [begin, end] = ENDS.map(|piece| tokenizer.piece_id(piece));
    begin.zip(end).map(<[u32; 2]>::from).ok_or_else(|| {
        Failure::input(format!(
            "`{}` has no token that begins a prompt and none that ends one; it is not CLIP's",
            tokenizer.origin()
        ))
    })
}
