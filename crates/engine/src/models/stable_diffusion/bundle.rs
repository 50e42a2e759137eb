//! A diffusers folder as one safetensors file, which other programs need not know: weights by their official names behind the
//! part's (`unet.conv_in.weight`), and the folder's small files in the metadata. So a model can ship inside a program.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::parts::{Part, Parts, Schedule, TowerPart, special};
use super::vae::VaePart;
use super::{DiffusionError, OpenOptions, folder};
use crate::models::clip_text::ClipTextConfig;
use crate::text::Tokenizer;
use crate::weights::{Precision, TensorFile, Weights};

/// The metadata that such a file has: JSON, the path of each small file and its text.
const FILES: &str = "diffusers.files";
/// Parts with weights.
const PARTS: [&str; 3] = ["unet", "vae", "text_encoder"];
/// The small files.
const SMALL: [&str; 8] = [
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "vae/config.json",
];

/// The small files of `weights`, where it is such a file.
fn files(weights: &Weights) -> Option<Result<BTreeMap<String, String>, DiffusionError>> {
    let text = weights.metadata().get(FILES)?;
    let read = serde_json::from_str(text).map_err(|error| {
        let path = Path::new(weights.origin());
        DiffusionError::model(path, format!("its `{FILES}` cannot be understood: {error}"))
    });
    Some(read)
}

/// Whether `weights` is such a file.
pub(super) fn is_one(weights: &Weights) -> bool {
    weights.metadata().contains_key(FILES)
}

/// The parts in such a file.
pub(super) fn open(weights: &Weights, options: &OpenOptions) -> Result<Parts, DiffusionError> {
    let path = Path::new(weights.origin());
    let missing = |name: &str| {
        DiffusionError::model(
            path,
            format!("it has no `{name}`: it is damaged, or no file of `orrery sd pack`"),
        )
    };
    let files = files(weights).ok_or_else(|| missing(FILES))??;
    let text = |name: &str| files.get(name).ok_or_else(|| missing(name));
    let (words, ends, pad) = match &options.tokenizer {
        Some(place) => folder::tokenizer(place)?,
        None => {
            let [vocabulary, merges] = ["vocab.json", "merges.txt"]
                .map(|name| text(&format!("tokenizer/{name}")).map(String::as_bytes));
            let tokenizer = Tokenizer::from_clip(vocabulary?, merges?, weights.origin())?;
            let map: Value = json(path, &files, "tokenizer/special_tokens_map.json")?;
            let pad = map["pad_token"]
                .as_str()
                .or(map["pad_token"]["content"].as_str());
            let (ends, pad) = special(&tokenizer, pad, path)?;
            (tokenizer, ends, pad)
        }
    };
    let mut scheduler =
        Schedule::read(json(path, &files, "scheduler/scheduler_config.json")?, path)?;
    if let Some(prediction) = options.prediction {
        scheduler.config.prediction_type = prediction;
    }
    let config: ClipTextConfig = json(path, &files, "text_encoder/config.json")?;
    let tower = weights.within("text_encoder");
    let projected = tower.contains("text_projection.weight");
    let index: Value = json(path, &files, "model_index.json")?;
    Ok(Parts {
        path: path.to_owned(),
        unet: Part {
            config: json(path, &files, "unet/config.json")?,
            weights: weights.within("unet"),
        },
        vae: match &options.vae {
            Some(place) => VaePart::open(place, false)?,
            None => VaePart::Kl(Part {
                config: json(path, &files, "vae/config.json")?,
                weights: weights.within("vae"),
            }),
        },
        towers: vec![TowerPart {
            config: ClipTextConfig {
                projection_dim: config.projection_dim.filter(|_| projected),
                ..config
            },
            weights: tower,
            transposed: None,
            tokenizer: words,
            pad,
            ends,
        }],
        scheduler,
        zero_negative: index["force_zeros_for_empty_prompt"] == true,
        usual: serde_json::from_value(index["_usual"].clone()).unwrap_or_default(),
    })
}

fn json<T: DeserializeOwned>(
    path: &Path,
    files: &BTreeMap<String, String>,
    name: &str,
) -> Result<T, DiffusionError> {
    let text = files.get(name).map_or("null", String::as_str);
    serde_json::from_str(text)
        .map_err(|error| DiffusionError::model(path, format!("its `{name}`: {error}")))
}

/// The folder of a model with one text encoder as one file, with weights in `precision`.
///
/// # Errors
/// As [`super::StableDiffusion::open`], [`DiffusionError::Read`] for a folder without CLIP's `vocab.json` and `merges.txt`, and
/// when a weight is too large for `precision`.
pub fn pack(place: &Path, precision: Precision) -> Result<TensorFile, DiffusionError> {
    if !place.is_dir() {
        return Err(DiffusionError::model(
            place,
            "it is not a directory: give the diffusers folder of a model",
        ));
    }
    let parts = folder::open(place, &OpenOptions::default())?;
    parts.check()?;
    if parts.towers.len() != 1 {
        return Err(DiffusionError::model(
            place,
            "models with two text encoders cannot be packed into one file",
        ));
    }
    let mut out = TensorFile::new();
    let mut files = BTreeMap::new();
    for name in SMALL {
        let path = place.join(name);
        match base::files::read_to_string(&path) {
            Ok(text) => {
                files.insert(name.to_owned(), text);
            }
            Err(_) if name.ends_with("special_tokens_map.json") => {
                files.insert(name.to_owned(), "{}".to_owned());
            }
            Err(source) => return Err(DiffusionError::Read { path, source }),
        }
    }
    let text = serde_json::to_string(&files)
        .map_err(|error| DiffusionError::model(place, error.to_string()))?;
    out.note(FILES, text);
    for part in PARTS {
        let weights = folder::weights(&place.join(part))?;
        for name in weights.names() {
            // Integers, such as the places that some text encoders list, are made anew.
            let Ok(values) = weights.values(name) else {
                continue;
            };
            let shape = weights.shape(name).unwrap_or_default();
            out.floats(&format!("{part}.{name}"), shape, &values, precision)?;
        }
    }
    Ok(out)
}
