//! A model that is fine-tuned, with its tokenizer: from one folder to another.

use std::path::{Path, PathBuf};

use base::files::write_bytes;
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use engine::models::causal_lm::{CausalLm, CausalLmConfig, LoraConfig};
use engine::text::Tokenizer;
use engine::weights::Precision;
use serde_json::{Value, json};

use super::training::{Place, Recipe};
use super::{SystemError, TULU};

/// Files that make a tokenizer.
const TOKENIZER: [&str; 5] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];

/// A model that is trained, with its tokenizer and where that is from.
#[derive(Debug)]
pub struct Student {
    /// Sizes.
    pub config: CausalLmConfig,
    /// Weights, on a device with gradients.
    pub model: CausalLm,
    /// Tokenizer.
    pub tokenizer: Tokenizer,
    /// The tokenizer's folder.
    pub origin: PathBuf,
}

impl Student {
    /// Opens a model's folder, with low-rank changes to train where `recipe` has them.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn open(path: &Path, recipe: &Recipe, device: &Device) -> Result<Self, SystemError> {
        let tokenizer = Tokenizer::open(path)?;
        let device = device.clone().autodiff();
        let (config, model) = CausalLm::open(path, &device)?;
        tokenizer.check_rows(config.vocab_size)?;
        let model = model.with_activation_checkpointing(recipe.checkpointing);
        let model = match &recipe.lora {
            Some(lora) => model.with_lora(lora, &mut Rng::new(recipe.seed).child("lora"))?,
            None => model,
        };
        Ok(Self {
            config,
            model,
            tokenizer,
            origin: path.to_owned(),
        })
    }

    /// The same weights without gradients, for references and generation.
    pub fn frozen(&self) -> CausalLm {
        self.model.valid()
    }

    /// Writes `model` as a folder that generates: weights with low-rank changes added, sizes, tokenizer, a chat template where
    /// `chat` is set and there is none. The changes also stand alone, in `path/lora`.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn save(
        &self,
        model: &CausalLm,
        path: &Path,
        lora: Option<&LoraConfig>,
        chat: bool,
    ) -> Result<(), SystemError> {
        if let Some(lora) = lora {
            model.save_lora(&path.join("lora"), lora)?;
        }
        model
            .clone()
            .merged()
            .save(path, &self.config, Precision::F32)?;
        copy_tokenizer(&self.origin, path)?;
        match chat && self.tokenizer.chat().is_err() {
            true => add_template(path),
            false => Ok(()),
        }
    }

    /// Leaves a fine-tuned model in the folder `model` of a run, ready to chat.
    pub(super) fn leave(
        &self,
        trained: &CausalLm,
        recipe: &Recipe,
        place: &Place<'_>,
    ) -> Result<(), SystemError> {
        let folder = place.folder.join("model");
        self.save(&trained.valid(), &folder, recipe.lora.as_ref(), true)
    }
}

/// Copies the files of a tokenizer.
///
/// # Errors
/// [`SystemError::Input`].
pub fn copy_tokenizer(from: &Path, to: &Path) -> Result<(), SystemError> {
    for name in TOKENIZER {
        let file = from.join(name);
        if file.is_file() && from != to {
            let bytes =
                base::files::read(&file).map_err(|error| SystemError::path(&file, error))?;
            write_bytes(to.join(name), &bytes)?;
        }
    }
    Ok(())
}

/// Puts our chat template into `tokenizer_config.json`.
fn add_template(path: &Path) -> Result<(), SystemError> {
    let file = path.join("tokenizer_config.json");
    let mut config: Value = std::fs::read(&file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_else(|| json!({}));
    config["chat_template"] = json!(format!("{{{{ bos_token }}}}{TULU}"));
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    Ok(write_bytes(&file, format!("{text}\n").as_bytes())?)
}
