//! Low-rank changes in the files that PEFT writes.

use std::path::Path;

use serde_json::{Value, json};

use super::folder::{make, read_json, write_json};
use super::{CausalLm, CausalLmError, LoraConfig};
use crate::weights::{KeyMap, Precision, Weights, load, save};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What changes how an adapter is computed; adapters that set one are not trained further.
const OTHERS: [&str; 6] = [
    "use_dora",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "fan_in_fan_out",
];

fn keys() -> KeyMap {
    let mut keys = KeyMap::new().only(".lora.");
    for part in ["self_attn", "mlp"] {
        for (ours, theirs) in [("a", "lora_A"), ("b", "lora_B")] {
            keys = keys.exact(
                &format!("base_model.model.model.layers.{{}}.{part}.{{}}.{theirs}.weight"),
                &format!("model.layers.{{}}.{part}.{{}}.lora.{ours}"),
            );
        }
    }
    keys
}

impl CausalLm {
    /// Writes the low-rank changes as PEFT does: `adapter_model.safetensors` and `adapter_config.json`.
    ///
    /// # Errors
    /// As [`CausalLm::save`].
    pub fn save_lora(&self, path: &Path, lora: &LoraConfig) -> Result<(), CausalLmError> {
        make(path)?;
        let notes = [("format", "pt")];
        save(self, &keys(), &notes, Precision::F32, path.join(WEIGHTS))?;
        Ok(write_json(&path.join(CONFIG), &lora.to_json())?)
    }

    /// The same with its low-rank changes read from the folder `path`, which has to hold just these.
    ///
    /// # Errors
    /// [`CausalLmError::Weights`]: no adapter's weights, or those of another model or config.
    pub fn read_lora(self, path: &Path) -> Result<Self, CausalLmError> {
        let weights = Weights::open(path.join(WEIGHTS))?;
        Ok(load(self, &weights, &keys())?)
    }
}

impl LoraConfig {
    /// Reads `adapter_config.json` in the folder `path`.
    ///
    /// # Errors
    /// [`CausalLmError::Read`] where there is none, or one of something else than a plain LoRA.
    pub fn open(path: &Path) -> Result<Self, CausalLmError> {
        let file = path.join(CONFIG);
        let json = read_json(&file)?;
        Self::from_json(&json).map_err(|reason| CausalLmError::Read { path: file, reason })
    }

    fn from_json(json: &Value) -> Result<Self, String> {
        let kind = json.get("peft_type").and_then(Value::as_str);
        let set = |name: &&&str| match json.get(**name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        };
        if let Some(name) = OTHERS.iter().find(set) {
            return Err(format!("it sets `{name}`: give a plain LoRA"));
        }
        let rank = json.get("r").and_then(Value::as_u64);
        let alpha = json.get("lora_alpha").and_then(Value::as_f64);
        let targets: Option<Vec<String>> = json
            .get("target_modules")
            .and_then(|targets| serde_json::from_value(targets.clone()).ok());
        match (kind, rank, alpha, targets) {
            (None | Some("LORA"), Some(rank @ 1..=4096), Some(alpha), Some(targets)) => Ok(Self {
                rank: rank as usize,
                alpha,
                targets,
                blocks: json
                    .get("layers_to_transform")
                    .and_then(|blocks| serde_json::from_value(blocks.clone()).ok())
                    .flatten(),
                dropout: json
                    .get("lora_dropout")
                    .and_then(Value::as_f64)
                    .unwrap_or(0.0),
            }),
            _ => Err(
                "it does not say `r`, `lora_alpha` and a list of `target_modules` of a LoRA: give an adapter's folder".into(),
            ),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": self.rank, "lora_alpha": self.alpha, "bias": "none",
            "target_modules": self.targets, "layers_to_transform": self.blocks, "lora_dropout": self.dropout,
            "use_dora": false, "use_rslora": false,
        })
    }
}
