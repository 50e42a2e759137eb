//! Models in folders, as hubs and [`crate::models::decoder`] have them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde_json::Value;

use super::{CausalLm, CausalLmConfig};
use crate::models::decoder::{Decoder, DecoderConfig, DecoderError};
use crate::weights::{KeyMap, Precision, TensorFile, Weights, WeightsError, collect, load, save};
use base::command::Failure;
use base::files::{FileError, make_folder, write_bytes};

/// Longest `config.json` or index that is read, in bytes.
const LONGEST: u64 = 64 << 20;
/// Tensors of older files that are computed here.
const COMPUTED: &str = "rotary_emb.inv_freq";

/// Why there is no such model.
#[derive(Debug, thiserror::Error)]
pub enum CausalLmError {
    /// The sizes cannot be, or are of a model that is not trained here.
    #[error("the model's configuration cannot be used: {0}")]
    Config(String),
    /// No vocabulary can be learned.
    #[error("no vocabulary can be learned: {0}")]
    Vocabulary(String),
    /// A file cannot be read.
    #[error("cannot read `{}`: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why, and the fix.
        reason: String,
    },
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The decoder that generates refuses it.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
}

impl From<CausalLmError> for Failure {
    fn from(error: CausalLmError) -> Self {
        match error {
            CausalLmError::Weights(error) => error.into(),
            CausalLmError::File(error) => error.into(),
            error => Self::input(error),
        }
    }
}

fn keys(tied: bool) -> KeyMap {
    let keys = KeyMap::new().skip(".lora.").ignore(COMPUTED);
    match tied {
        true => keys.ignore("lm_head"),
        false => keys,
    }
}

impl CausalLm {
    /// Reads the folder `path`: `config.json` and `model.safetensors`, whole or in shards, or `pytorch_model.bin`.
    ///
    /// # Errors
    /// [`CausalLmError`] with the file; one error lists all tensors that are missing, extra or misshapen.
    pub fn open(path: &Path, device: &Device) -> Result<(CausalLmConfig, Self), CausalLmError> {
        let config = CausalLmConfig::open(path)?;
        let weights = weights_in(path)?;
        let model = Self::from_weights(&config, &weights, device)?;
        Ok((config, model))
    }

    /// Reads tensors under their official names.
    ///
    /// # Errors
    /// As [`CausalLm::open`].
    pub fn from_weights(
        config: &CausalLmConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, CausalLmError> {
        config.check()?;
        let keys = keys(config.tie_word_embeddings);
        Ok(load(config.lazy(device), weights, &keys)?)
    }

    /// Writes `config.json` and `model.safetensors` into the folder `path`, which is made when absent. Low-rank changes are not
    /// among them: see [`CausalLm::merged`] and [`CausalLm::save_lora`].
    ///
    /// # Errors
    /// [`CausalLmError::File`], [`CausalLmError::Weights`].
    pub fn save(
        &self,
        path: &Path,
        config: &CausalLmConfig,
        precision: Precision,
    ) -> Result<(), CausalLmError> {
        make(path)?;
        let keys = keys(config.tie_word_embeddings);
        let notes = [("format", "pt")];
        save(
            self,
            &keys,
            &notes,
            precision,
            path.join("model.safetensors"),
        )?;
        Ok(write_json(&path.join("config.json"), &config.to_json())?)
    }

    /// The same weights for generation, low-rank changes added.
    ///
    /// # Errors
    /// As [`Decoder::from_source`].
    pub fn decoder(&self, config: &CausalLmConfig) -> Result<Decoder, CausalLmError> {
        let mut file = TensorFile::new();
        let keys = keys(config.tie_word_embeddings);
        match self.has_lora() {
            true => collect(&self.clone().merged(), &keys, Precision::F32, &mut file)?,
            false => collect(self, &keys, Precision::F32, &mut file)?,
        }
        let weights = Weights::from_bytes(file.to_bytes())?;
        let config = DecoderConfig::from_config_json(&config.to_json())?;
        Ok(Decoder::from_source(config, &weights)?)
    }
}

impl CausalLmConfig {
    /// Reads `config.json` in the folder `path`.
    ///
    /// # Errors
    /// [`CausalLmError`] with the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, CausalLmError> {
        Self::from_json(&read_json(&path.join("config.json"))?)
    }
}

/// The tensors of a model's folder, its shards as one file.
fn weights_in(path: &Path) -> Result<Weights, CausalLmError> {
    for name in ["model.safetensors", "pytorch_model.bin"] {
        let single = path.join(name);
        if single.is_file() {
            return Ok(Weights::open(single)?);
        }
        let index = path.join(format!("{name}.index.json"));
        if !index.is_file() {
            continue;
        }
        let json = read_json(&index)?;
        let map = json.get("weight_map").and_then(Value::as_object);
        let names: BTreeSet<&str> = map
            .into_iter()
            .flat_map(|map| map.values().filter_map(Value::as_str))
            .collect();
        let plain = |name: &&str| !name.is_empty() && !name.contains(['/', '\\']) && *name != "..";
        if names.is_empty() || !names.iter().all(plain) {
            return Err(CausalLmError::Read {
                path: index,
                reason: "its `weight_map` does not name files beside it: download it again".into(),
            });
        }
        let files = names.iter().map(|name| Weights::open(path.join(name)));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        return Ok(Weights::joined(&index.display().to_string(), files)?);
    }
    Err(CausalLmError::Read {
        path: path.to_owned(),
        reason: "it holds neither `model.safetensors` nor its index: name a model's folder".into(),
    })
}

pub(super) fn read_json(path: &Path) -> Result<Value, CausalLmError> {
    let failed = |reason: String| CausalLmError::Read {
        path: path.to_owned(),
        reason,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| failed(format!("{error}: name the folder that has it")))?;
    if size.len() > LONGEST {
        return Err(failed("it is too large to be one".into()));
    }
    let bytes = base::files::read(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| failed(format!("it is not JSON ({error})")))
}

pub(super) fn write_json(path: &Path, json: &Value) -> Result<(), FileError> {
    let text = serde_json::to_string_pretty(json).unwrap_or_default();
    write_bytes(path, format!("{text}\n").as_bytes())
}

pub(super) fn make(path: &Path) -> Result<(), FileError> {
    make_folder(path)
}
