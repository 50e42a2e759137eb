//! What is wrong is said in one line.

use base::rng::Rng;
use engine::models::decoder::{
    Cache, Decoder, DecoderConfig, DecoderError, Hook, HookAction, Input, Lora, Request, Segment,
};
use engine::weights::{Gguf, Precision, TensorFile, Weights};
use serde_json::json;

use super::ALL;
use super::determinism::{config, dense, quantised};
use super::gguf::{Meta, file, llama};

fn says(error: &impl std::fmt::Display, words: &str) {
    let line = error.to_string();
    assert!(line.contains(words) && !line.contains('\n'), "{line}");
}

#[test]
fn configs_that_are_none() {
    let read = |json: serde_json::Value| DecoderConfig::from_config_json(&json).unwrap_err();
    says(&read(json!({})), "`model_type` is missing");
    says(
        &read(json!({"model_type": "mamba"})),
        "family `mamba` are not supported",
    );
    says(
        &read(json!({"model_type": "llama"})),
        "`hidden_size` is missing",
    );
    let with = |key: &str, value: serde_json::Value| {
        let mut json = json!({
            "model_type": "llama", "vocab_size": 70, "hidden_size": 64, "intermediate_size": 96,
            "num_hidden_layers": 2, "num_attention_heads": 4,
        });
        json[key] = value;
        read(json)
    };
    says(
        &with("vocab_size", json!("many")),
        "`vocab_size` is not a whole number",
    );
    says(
        &with("num_key_value_heads", json!(3)),
        "do not share 3 key heads",
    );
    says(
        &with("num_attention_heads", json!(0)),
        "its number of heads is 0",
    );
    says(&with("num_hidden_layers", json!(1_u64 << 60)), "layers");
    says(&with("hidden_act", json!("relu9")), "`relu9` is not known");
    says(
        &with("rope_scaling", json!({"type": "spiral"})),
        "`spiral` is not known",
    );
    says(
        &with("rope_scaling", json!({"type": "linear"})),
        "no `factor`",
    );
}

#[test]
fn requests_that_cannot_be_met() {
    let model = dense(&config(json!({})), Precision::F32);
    let run = |input: Input<'_>, cache: &mut Cache, request: &Request<'_>| {
        let before = cache.len();
        let error = model
            .forward(&mut [Segment::new(input, cache)], request)
            .unwrap_err();
        assert_eq!(cache.len(), before);
        error
    };
    let mut cache = Cache::with_limit(model.config(), 3);
    says(
        &run(Input::Ids(&[]), &mut cache, &ALL),
        "sequence 0 of the batch is empty",
    );
    says(
        &run(Input::Ids(&[70]), &mut cache, &ALL),
        "token 70 is not in the vocabulary of 70",
    );
    says(
        &run(Input::Ids(&[1; 4]), &mut cache, &ALL),
        "4 tokens do not fit the context of 3",
    );
    says(
        &run(Input::Embeddings(&[0.0; 63]), &mut cache, &ALL),
        "not rows of 64",
    );
    let hooks = [Hook {
        layer: 2,
        segment: None,
        action: HookAction::Replace(&[0.0; 64]),
    }];
    let request = Request {
        hooks: &hooks,
        ..ALL
    };
    says(
        &run(Input::Ids(&[1]), &mut cache, &request),
        "layer 2 is not among the 2",
    );
    let other = config(json!({"num_hidden_layers": 1}));
    says(
        &run(Input::Ids(&[1]), &mut Cache::new(&other), &ALL),
        "another model",
    );
    says(&model.embed(&[99]).unwrap_err(), "token 99");
    says(&cache.truncate(1).unwrap_err(), "cannot go back to 1");
}

#[test]
fn hooks_and_attention_do_what_they_say() {
    let model = dense(&config(json!({})), Precision::F32);
    let run = |hooks: &[Hook<'_>]| {
        let mut cache = Cache::new(model.config());
        let request = Request {
            hooks,
            attention: &[1],
            ..ALL
        };
        let mut batch = [Segment::new(Input::Ids(&[5, 6, 7]), &mut cache)];
        model.forward(&mut batch, &request).unwrap().remove(0)
    };
    let plain = run(&[]);
    let add = HookAction::Add {
        values: &[1.0; 64],
        scale: 0.5,
    };
    let changed = run(&[Hook {
        layer: 0,
        segment: None,
        action: add,
    }]);
    assert_eq!(plain.states[0], changed.states[0]);
    for (a, b) in plain.states[1].iter().zip(&changed.states[1]) {
        assert!((a + 0.5 - b).abs() < 1e-5);
    }
    let replaced = run(&[Hook {
        layer: 1,
        segment: Some(0),
        action: HookAction::Replace(&plain.states[0]),
    }]);
    assert_eq!(replaced.states[2], plain.states[0]);
    for (token, weights) in plain.attention[0].iter().enumerate() {
        for head in weights.chunks(token + 1) {
            assert!((head.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_all_named() {
    let config = config(json!({}));
    let mut tensors = TensorFile::new();
    tensors
        .floats("model.norm.weight", &[63], &[0.0; 63], Precision::F32)
        .unwrap();
    tensors
        .floats("stray", &[1], &[0.0], Precision::F32)
        .unwrap();
    let weights = Weights::from_bytes(tensors.to_bytes()).unwrap();
    let error = Decoder::from_source(config.clone(), &weights).unwrap_err();
    says(
        &error,
        "20 missing: `model.embed_tokens.weight` (expected [70, 64])",
    );
    says(&error, "1 extra: `stray`");
    says(&error, "`model.norm.weight` (found [63], expected [64])");
    // An adapter of a larger model.
    let mut tensors = TensorFile::new();
    let name = "base_model.model.model.layers.0.self_attn.q_proj";
    for (part, shape) in [("lora_A", [4, 128]), ("lora_B", [128, 4])] {
        let name = format!("{name}.{part}.weight");
        tensors
            .floats(&name, &shape, &[0.0; 512], Precision::F32)
            .unwrap();
    }
    let weights = Weights::from_bytes(tensors.to_bytes()).unwrap();
    let error = Lora::from_source(&json!({"r": 4}), &weights, &config).unwrap_err();
    says(&error, "expected [4, 64]");
    let error =
        Lora::from_source(&json!({"r": 4, "use_dora": true}), &weights, &config).unwrap_err();
    says(&error, "`use_dora` is not supported");
}

#[test]
fn gguf_files_that_are_none() {
    let read = |bytes: Vec<u8>| Gguf::from_bytes(bytes).unwrap_err();
    says(&read(b"GGUX".to_vec()), "does not begin with `GGUF`");
    says(&read(b"GGUF\x09\0\0\0".to_vec()), "version 9");
    says(&read(b"GGUF\0\0\0\x03".to_vec()), "big-endian");
    let huge = [&b"GGUF\x03\0\0\0"[..], &[0xff; 16]].concat();
    says(&read(huge), "more than it has room for");
    let config = config(json!({}));
    let iq = vec![("token_embd.weight".into(), 16, vec![70, 64], Vec::new())];
    let error =
        Decoder::from_gguf(&Gguf::from_bytes(file(&llama(&config), &iq)).unwrap()).unwrap_err();
    says(
        &error,
        "`token_embd.weight` in `bytes in memory` holds IQ2_XXS",
    );
    let family = [("general.architecture".to_owned(), Meta::Text("rwkv"))];
    let error = Decoder::from_gguf(&Gguf::from_bytes(file(&family, &[])).unwrap()).unwrap_err();
    assert!(matches!(error, DecoderError::Family(_)));
    // Damaged files are errors or other models, never panics.
    let good = super::determinism::quantised_file(&config);
    let _ = quantised(&config);
    for length in (0..good.len()).step_by(997) {
        let _ = Gguf::from_bytes(good[..length].to_vec()).map(|file| Decoder::from_gguf(&file));
    }
    let mut rng = Rng::new(3);
    for _ in 0..600 {
        let mut bad = good.clone();
        for _ in 0..1 + rng.below(3) {
            bad[rng.below(1600)] ^= 1 << rng.below(8);
        }
        let Ok(model) = Gguf::from_bytes(bad).map_err(|_| ()).and_then(|file| {
            Decoder::from_gguf(&file).map_err(|error| assert!(!error.to_string().contains('\n')))
        }) else {
            continue;
        };
        let mut cache = Cache::new(model.config());
        let _ = model.forward(&mut [Segment::new(Input::Ids(&[1, 2]), &mut cache)], &ALL);
    }
}
