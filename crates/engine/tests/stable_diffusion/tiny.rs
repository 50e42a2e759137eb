//! A random model of Stable Diffusion's shape, small enough for tests, as a diffusers folder.
#![allow(dead_code)]

use std::path::Path;

use base::rng::Rng;
use engine::burn::module::Module;
use engine::burn::tensor::Device;
use engine::models::autoencoder_kl::{self, AutoencoderKlConfig};
use engine::models::clip_text::ClipTextConfig;
use engine::models::unet2d::{self, Unet2dConfig};
use engine::weights::{KeyMap, Precision, save};
use serde_json::{Value, json};

/// Tokens of a prompt, its ends included.
pub const TOKENS: usize = 12;

/// Sizes of a folder.
pub struct Tiny {
    /// Channels that the U-Net reads beside its own four: 0, 4 for editing, or 5 for inpainting.
    pub more: usize,
    /// Two text towers and what goes with them.
    pub xl: bool,
    /// Precision of the weights.
    pub precision: Precision,
}

impl Default for Tiny {
    fn default() -> Self {
        Self {
            more: 0,
            xl: false,
            precision: Precision::F32,
        }
    }
}

/// Bytes as CLIP's vocabulary spells them.
fn spelled(byte: u8) -> char {
    let plain = |b: u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let byte = u32::from(byte);
    match plain(byte) {
        true => char::from_u32(byte).unwrap(),
        false => {
            let before = (0..byte).filter(|&b| !plain(b)).count() as u32;
            char::from_u32(256 + before).unwrap()
        }
    }
}

/// `vocab.json`: `!` first, the other bytes, bytes that end a word, two merges, the ends of a text.
pub fn vocabulary() -> Value {
    let mut pieces: Vec<String> = (33..=255u8)
        .chain(0..33)
        .map(|b| spelled(b).to_string())
        .collect();
    let ends: Vec<String> = pieces.iter().map(|piece| format!("{piece}</w>")).collect();
    pieces.extend(ends);
    pieces.extend(["fo", "fox</w>", "<|startoftext|>", "<|endoftext|>"].map(str::to_owned));
    let pairs = pieces
        .into_iter()
        .enumerate()
        .map(|(id, piece)| (piece, json!(id)));
    Value::Object(pairs.collect())
}

pub fn words() -> usize {
    vocabulary().as_object().unwrap().len()
}

fn write_json(folder: &Path, name: &str, value: &Value) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), serde_json::to_vec(value).unwrap()).unwrap();
}

fn write_weights<M: Module>(
    module: &M,
    keys: &KeyMap,
    precision: Precision,
    folder: &Path,
    name: &str,
) {
    save(module, keys, &[], precision, folder.join(name)).unwrap();
}

pub fn tokenizer(folder: &Path) {
    write_json(folder, "vocab.json", &vocabulary());
    std::fs::write(folder.join("merges.txt"), "#version: 0.2\nf o\nfo x</w>\n").unwrap();
    let special = json!({ "pad_token": { "content": "<|endoftext|>" } });
    write_json(folder, "special_tokens_map.json", &special);
}

impl Tiny {
    /// The U-Net's `config.json`.
    pub fn unet(&self) -> Value {
        let mut config = json!({
            "_class_name": "UNet2DConditionModel", "sample_size": 8, "in_channels": 4 + self.more, "out_channels": 4,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "block_out_channels": [64, 128],
            "layers_per_block": 1, "norm_num_groups": 32, "attention_head_dim": [1, 2], "use_linear_projection": true,
            "cross_attention_dim": if self.xl { 128 } else { 64 }, "act_fn": "silu", "flip_sin_to_cos": true,
        });
        if self.xl {
            config["addition_embed_type"] = json!("text_time");
            config["addition_time_embed_dim"] = json!(256);
            config["projection_class_embeddings_input_dim"] = json!(64 + 6 * 256);
        }
        config
    }

    /// Writes the folder.
    pub fn write(&self, folder: &Path) {
        let device = Device::default();
        let rng = Rng::new(11);
        let class = if self.xl {
            "StableDiffusionXLPipeline"
        } else {
            "StableDiffusionPipeline"
        };
        let mut index = json!({
            "_class_name": class, "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "PNDMScheduler"],
        });
        if self.xl {
            index["text_encoder_2"] = json!(["transformers", "CLIPTextModelWithProjection"]);
            index["force_zeros_for_empty_prompt"] = json!(true);
        }
        write_json(folder, "model_index.json", &index);
        let scheduler = json!({
            "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000, "set_alpha_to_one": false, "steps_offset": 1, "trained_betas": null,
        });
        write_json(
            &folder.join("scheduler"),
            "scheduler_config.json",
            &scheduler,
        );

        let place = folder.join("unet");
        write_json(&place, "config.json", &self.unet());
        let config: Unet2dConfig = serde_json::from_value(self.unet()).unwrap();
        let unet = config.init(&mut rng.child("unet"), &device).unwrap();
        let name = "diffusion_pytorch_model.safetensors";
        write_weights(&unet, &unet2d::key_map(), self.precision, &place, name);

        let vae = json!({
            "block_out_channels": [32, 64], "layers_per_block": 1, "norm_num_groups": 32, "latent_channels": 4,
            "scaling_factor": if self.xl { 0.13025 } else { 0.18215 },
        });
        let place = folder.join("vae");
        write_json(&place, "config.json", &vae);
        let config: AutoencoderKlConfig = serde_json::from_value(vae).unwrap();
        let vae = config.init(&mut rng.child("vae"), &device);
        write_weights(
            &vae,
            &autoencoder_kl::key_map(),
            self.precision,
            &place,
            name,
        );

        for number in if self.xl { vec!["", "_2"] } else { vec![""] } {
            tokenizer(&folder.join(format!("tokenizer{number}")));
            let projection = (number == "_2").then_some(64);
            let config = json!({
                "vocab_size": words(), "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
                "num_attention_heads": 1, "max_position_embeddings": TOKENS, "projection_dim": projection,
                "hidden_act": if number.is_empty() { "quick_gelu" } else { "gelu" }, "eos_token_id": 2,
            });
            let place = folder.join(format!("text_encoder{number}"));
            write_json(&place, "config.json", &config);
            let config: ClipTextConfig = serde_json::from_value(config).unwrap();
            let tower = config.init(&mut rng.child(number), &device).unwrap();
            write_weights(
                &tower,
                &KeyMap::new(),
                self.precision,
                &place,
                "model.safetensors",
            );
        }
    }
}
