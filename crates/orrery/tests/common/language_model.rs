//! A tiny random language model as a folder.

use std::path::{Path, PathBuf};

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile};
use serde_json::{Value, json};

/// Bytes as the vocabularies of byte-level BPE write them.
fn written(byte: u8) -> char {
    let plain = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    match plain(byte) {
        true => char::from(byte),
        false => {
            let before = (0..byte).filter(|&b| !plain(b)).count();
            char::from_u32(256 + before as u32).unwrap()
        }
    }
}

/// A directory `model` with a random Llama over bytes and its tokenizer, for texts of up to `context` tokens.
pub fn model(folder: &Path, context: usize) -> PathBuf {
    let place = folder.join("model");
    std::fs::create_dir(&place).unwrap();
    let (vocab, width) = (257, 32);
    let config = json!({
        "model_type": "llama", "vocab_size": vocab, "hidden_size": width, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 2, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "max_position_embeddings": context, "tie_word_embeddings": false,
    });
    std::fs::write(place.join("config.json"), config.to_string()).unwrap();
    let tokens: serde_json::Map<String, Value> = (0..=255u8)
        .map(|byte| (written(byte).to_string(), json!(byte)))
        .collect();
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [{"id": 256, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}],
        "pre_tokenizer": level, "decoder": level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": tokens, "merges": []},
    });
    std::fs::write(place.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let mut rng = Rng::new(5);
    let mut file = TensorFile::new();
    let mut put = |name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        let values: Vec<f32> = match shape {
            [_] => vec![1.0; count],
            _ => (0..count).map(|_| 0.3 * rng.normal()).collect(),
        };
        file.floats(&format!("{name}.weight"), shape, &values, Precision::F32)
            .unwrap();
    };
    put("model.embed_tokens", &[vocab, width]);
    put("lm_head", &[vocab, width]);
    put("model.norm", &[width]);
    for layer in 0..2 {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        for part in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            put(&name(&format!("self_attn.{part}")), &[width, width]);
        }
        put(&name("mlp.gate_proj"), &[48, width]);
        put(&name("mlp.up_proj"), &[48, width]);
        put(&name("mlp.down_proj"), &[width, 48]);
        put(&name("input_layernorm"), &[width]);
        put(&name("post_attention_layernorm"), &[width]);
    }
    file.write(place.join("model.safetensors")).unwrap();
    place
}
