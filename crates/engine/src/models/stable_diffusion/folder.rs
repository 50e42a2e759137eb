//! Models as diffusers lays them out: a folder for each part.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::parts::{Part, Parts, Schedule, TowerPart, special};
use super::vae::VaePart;
use super::{DiffusionError, OpenOptions};
use crate::models::clip_text::ClipTextConfig;
use crate::models::unet2d::Unet2dConfig;
use crate::text::Tokenizer;
use crate::weights::{Sharded, Weights};

/// Largest configuration that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// A JSON file of bounded size, such as a part's `config.json`.
///
/// # Errors
/// [`DiffusionError`]: it cannot be read, or understood.
pub fn json<T: DeserializeOwned>(path: &Path) -> Result<T, DiffusionError> {
    let failed = |source| DiffusionError::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(DiffusionError::model(
            path,
            "it is longer than any configuration",
        ));
    }
    let bytes = base::files::read(path).map_err(failed)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| DiffusionError::model(path, format!("it cannot be understood: {error}")))
}

/// The weights in the folder of one part of a diffusers model, whole or in shards, the most exact first.
///
/// # Errors
/// [`DiffusionError`]: there are none, or they cannot be read.
pub fn weights(folder: &Path) -> Result<Weights, DiffusionError> {
    let stems = ["diffusion_pytorch_model", "model", "pytorch_model"];
    let endings = [
        ".safetensors",
        ".safetensors.index.json",
        ".fp32.safetensors",
        ".bf16.safetensors",
        ".fp16.safetensors",
        ".safetensors.index.fp16.json",
        ".bin",
        ".fp16.bin",
    ];
    for ending in endings {
        for stem in stems {
            let path = folder.join(format!("{stem}{ending}"));
            if !path.exists() {
                continue;
            }
            return Ok(match ending.ends_with(".json") {
                true => Sharded::open(&path)?.joined()?,
                false => Weights::open(&path)?,
            });
        }
    }
    Err(DiffusionError::model(
        folder,
        "it holds no weights (`diffusion_pytorch_model.safetensors` or `model.safetensors`, whole or in shards); download \
         the rest of the model",
    ))
}

/// The tokenizer in a folder, with what fills prompts up.
pub(super) fn tokenizer(folder: &Path) -> Result<(Tokenizer, [u32; 2], u32), DiffusionError> {
    let tokenizer = Tokenizer::open(folder)?;
    let mut pad = None;
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
        let path = folder.join(name);
        if !path.exists() {
            continue;
        }
        let config: Value = json(&path)?;
        let named = &config["pad_token"];
        let named = named.as_str().or(named["content"].as_str());
        pad = named.map(str::to_owned).or(pad);
    }
    let (ends, pad) = special(&tokenizer, pad.as_deref(), folder)?;
    Ok((tokenizer, ends, pad))
}

fn tower(folder: &Path, number: &str, options: &OpenOptions) -> Result<TowerPart, DiffusionError> {
    let place = folder.join(format!("text_encoder{number}"));
    let weights = weights(&place)?;
    let config: ClipTextConfig = json(&place.join("config.json"))?;
    let projected = weights.contains("text_projection.weight");
    let words = match &options.tokenizer {
        Some(path) => path.clone(),
        None => folder.join(format!("tokenizer{number}")),
    };
    let (tokenizer, ends, pad) = tokenizer(&words)?;
    Ok(TowerPart {
        config: ClipTextConfig {
            projection_dim: config.projection_dim.filter(|_| projected),
            ..config
        },
        weights,
        transposed: None,
        tokenizer,
        pad,
        ends,
    })
}

/// The parts in `folder`.
pub(super) fn open(folder: &Path, options: &OpenOptions) -> Result<Parts, DiffusionError> {
    let index = folder.join("model_index.json");
    if !index.exists() {
        return Err(DiffusionError::model(
            folder,
            "it holds no `model_index.json`: give the folder of a whole diffusers model, or one `.safetensors` or `.ckpt` \
             file",
        ));
    }
    let index: Value = json(&index)?;
    let named = |part: &str| index.get(part).is_some_and(|it| it[0].is_string());
    if named("transformer") || !named("unet") {
        let class = index["_class_name"].as_str().unwrap_or("an unknown class");
        return Err(DiffusionError::model(
            folder,
            format!("it is a {class}, which has no U-Net; Stable Diffusion 1, 2 and XL are read"),
        ));
    }
    let numbers: Vec<&str> = ["", "_2"]
        .into_iter()
        .filter(|number| named(&format!("text_encoder{number}")))
        .collect();
    if numbers.is_empty() {
        return Err(DiffusionError::model(folder, "it names no `text_encoder`"));
    }
    let towers: Result<Vec<TowerPart>, _> = numbers
        .iter()
        .map(|number| tower(folder, number, options))
        .collect();
    let unet = folder.join("unet");
    let scheduler = folder.join("scheduler").join("scheduler_config.json");
    let mut scheduler = Schedule::read(json(&scheduler)?, &scheduler)?;
    if let Some(prediction) = options.prediction {
        scheduler.config.prediction_type = prediction;
    }
    let unet = Part::<Unet2dConfig> {
        config: json(&unet.join("config.json"))?,
        weights: weights(&unet)?,
    };
    let vae: PathBuf = options.vae.clone().unwrap_or_else(|| folder.join("vae"));
    Ok(Parts {
        path: folder.to_owned(),
        vae: VaePart::open(&vae, unet.config.addition_embed_type.is_some())?,
        unet,
        towers: towers?,
        scheduler,
        zero_negative: index["force_zeros_for_empty_prompt"] == true,
        usual: serde_json::from_value(index["_usual"].clone()).unwrap_or_default(),
    })
}
