//! Logits and hidden states of recorded cases.

use std::sync::Arc;

use engine::fixtures::{Case, cases, furthest, report};
use engine::models::decoder::{
    Cache, Decoder, DecoderConfig, Input, Logits, Lora, Output, Request, Segment,
};
use engine::weights::Within;
use serde_json::json;

use super::{ALL, committed, decoder, logits, recorded_rope, run, sequences};

/// Absolute and relative tolerance of a case.
fn assert_close(case: &Case, name: &str, found: &[f32], expected: &[f32]) {
    let absolute = case.tolerance("logits", 2e-4) as f32;
    let relative = case.get("tolerance.rtol").map_or(0.0, |_| case.f32("tolerance.rtol"));
    assert_eq!(found.len(), expected.len(), "{}: {name}", case.name);
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let off = (a - b).abs();
        assert!(
            off <= absolute + relative * b.abs(),
            "{}: {name}[{i}] is {a}, not {b}",
            case.name
        );
    }
    println!("{}: {name} off by {:e}", case.name, furthest(found, expected));
}

/// States of all layers as they are recorded: what enters each block, and the last one after the final norm.
fn assert_states(case: &Case, outputs: &[Output]) {
    for i in 0.. {
        let name = format!("hidden_{i}");
        if !case.weights().contains(&name) {
            if i > 1 {
                break;
            }
            continue;
        }
        let last = i + 1 == outputs[0].states.len();
        let found: Vec<f32> = outputs
            .iter()
            .flat_map(|output| if last { &output.hidden } else { &output.states[i] })
            .copied()
            .collect();
        assert_close(case, &name, &found, &case.values(&name));
    }
}

fn assert_kind(slug: &str, kind: &str, model_type: &str, wanted: &str) {
    let all = cases(slug, kind, committed());
    for case in &all {
        let (model, known) = decoder(case, model_type);
        let outputs = run(&model, &sequences(case, "input_ids"), &ALL);
        let (found, expected) = (logits(&outputs), case.values(wanted));
        if !known {
            let tokens = sequences(case, "input_ids")[0].len();
            let first = [&found, &expected].map(|all| first_tokens(all, tokens, model.config().vocab));
            assert_close(case, wanted, &first[0], &first[1]);
            continue;
        }
        assert_close(case, wanted, &found, &expected);
        assert_states(case, &outputs);
    }
    report(slug, kind, all.len());
}

#[test]
fn llama_and_mistral_of_harp() {
    assert_kind("harp", "forward", "llama", "logits_vanilla");
    // Embeddings in place of ids.
    for case in &cases("harp", "forward", committed()) {
        // Recorded where a sequence hesitated.
        let Some(shape) = case.weights().shape("emb_reframed") else {
            continue;
        };
        let (model, _) = decoder(case, "llama");
        let rows = case.values("emb_reframed");
        let mut found = Vec::new();
        for rows in rows.chunks(shape[1] * shape[2]) {
            let mut cache = Cache::new(model.config());
            let mut batch = [Segment::new(Input::Embeddings(rows), &mut cache)];
            found.extend(logits(&model.forward(&mut batch, &ALL).unwrap()));
        }
        assert_close(case, "logits_reframed", &found, &case.values("logits_reframed"));
    }
}

#[test]
fn granite() {
    assert_kind("guardian", "granite", "granite", "logits");
    assert_kind("guardian", "granite_moe", "granitemoe", "logits");
}

#[test]
fn mistral_with_a_window() {
    assert_kind("moxin", "mistral_swa", "mistral", "logits");
    for case in &cases("moxin", "mistral_swa", committed()) {
        // Token by token, with a cache that rolls.
        let (model, _) = decoder(case, "mistral");
        let mut found = Vec::new();
        for ids in sequences(case, "input_ids") {
            let mut cache = Cache::new(model.config());
            for id in &ids {
                let input = Input::Ids(std::slice::from_ref(id));
                let mut batch = [Segment::new(input, &mut cache)];
                found.extend(logits(&model.forward(&mut batch, &Request::default()).unwrap()));
            }
        }
        assert_close(case, "logits, stepwise", &found, &case.values("logits"));
        // Without the window.
        let mut config = case.json["config"].clone();
        config["sliding_window"] = json!(null);
        let config = DecoderConfig::from_config_json(&config).unwrap();
        let model =
            Decoder::from_source(config, &Within::new(case.weights(), "w.", &[])).unwrap();
        let outputs = run(&model, &sequences(case, "input_ids"), &ALL);
        let expected = case.values("logits_without_window");
        assert_close(case, "logits_without_window", &logits(&outputs), &expected);
    }
}

#[test]
fn fused_projections_of_phi3_and_internlm2() {
    assert_kind("chimera", "llm_phi3", "phi3", "logits");
    assert_kind("chimera", "llm_internlm2", "internlm2", "logits");
}

/// Logits of the first token of each sequence.
fn first_tokens(logits: &[f32], tokens: usize, vocab: usize) -> Vec<f32> {
    logits.chunks(tokens * vocab).flat_map(|all| all[..vocab].to_vec()).collect()
}

/// The text model inside a multimodal one, whose cases name sizes in their own words.
fn inner(case: &Case, config: serde_json::Value) -> (Decoder, bool) {
    let config = DecoderConfig::from_config_json(&config).unwrap();
    let others = ["model.vision_tower.", "model.mm_projector."];
    recorded_rope::decoder(case, config, &Within::new(case.weights(), "w.", &others))
}

/// Logits of recorded embeddings, `[batch, tokens, width]`.
fn from_embeddings(model: &Decoder, case: &Case, lora: &[(Arc<Lora>, f32)]) -> Vec<f32> {
    let shape = case.weights().shape("inputs_embeds").unwrap();
    let values = case.values("inputs_embeds");
    let mut found = Vec::new();
    for rows in values.chunks(shape[1] * shape[2]) {
        let mut cache = Cache::new(model.config());
        let mut batch = [Segment {
            adapters: lora,
            ..Segment::new(Input::Embeddings(rows), &mut cache)
        }];
        let request = Request {
            logits: Logits::All,
            ..Request::default()
        };
        found.extend(logits(&model.forward(&mut batch, &request).unwrap()));
    }
    found
}

#[test]
fn cohere_inside_maya() {
    let all = cases("maya", "maya_tiny", committed());
    for case in &all {
        let llm = |name: &str| case.json["config"]["llm"][name].clone();
        let (model, known) = inner(
            case,
            json!({
                "model_type": "cohere", "vocab_size": llm("vocab"), "hidden_size": llm("hidden"),
                "intermediate_size": llm("inter"), "num_hidden_layers": llm("layers"),
                "num_attention_heads": llm("heads"), "num_key_value_heads": llm("kv_heads"),
                "layer_norm_eps": llm("layer_norm_eps"), "logit_scale": llm("logit_scale"),
                "rope_theta": llm("rope_theta"), "use_qk_norm": llm("use_qk_norm"),
                "tie_word_embeddings": llm("tie_word_embeddings"),
            }),
        );
        // Rows that fill the batch up are no part of a sequence.
        let mask = case.ints("expanded_mask");
        let vocab = model.config().vocab;
        let keep = |values: &[f32]| -> Vec<f32> {
            let rows = values.chunks(vocab).zip(&mask);
            rows.filter(|(_, kept)| **kept != 0).flat_map(|(row, _)| row.to_vec()).collect()
        };
        let (mut found, mut expected) = (from_embeddings(&model, case, &[]), case.values("logits"));
        if known {
            (found, expected) = (keep(&found), keep(&expected));
        } else {
            let tokens = case.weights().shape("logits").unwrap()[1];
            found = first_tokens(&found, tokens, vocab);
            expected = first_tokens(&expected, tokens, vocab);
        }
        assert_close(case, "logits", &found, &expected);
    }
    report("maya", "maya_tiny", all.len());
}

#[test]
fn llama_inside_llava_with_adapters_everywhere() {
    let all = cases("perception-tokens", "llava_depth_tiny", committed());
    for case in &all {
        let llm = |name: &str| case.json["config"]["llm"][name].clone();
        let (model, _) = inner(
            case,
            json!({
                "model_type": "llama", "vocab_size": llm("vocab"), "hidden_size": llm("hidden"),
                "intermediate_size": llm("inter"), "num_hidden_layers": llm("layers"),
                "num_attention_heads": llm("heads"), "num_key_value_heads": llm("kv_heads"),
                "rms_norm_eps": llm("rms_eps"), "rope_theta": llm("rope_theta"),
            }),
        );
        let settings = json!({
            "r": case.json["config"]["lora"]["r"], "lora_alpha": case.json["config"]["lora"]["alpha"],
        });
        let source = Within::new(case.weights(), "lora.", &[]);
        let lora = Arc::new(Lora::from_source(&settings, &source, model.config()).unwrap());
        // The recorded weights have the adapter merged in: without it they are the ones minus its product.
        let found = from_embeddings(&model, case, &[(lora, -1.0)]);
        assert_close(case, "logits", &found, &case.values("logits"));
        let found = from_embeddings(&model, case, &[]);
        assert_close(case, "lora_logits", &found, &case.values("lora_logits"));
    }
    report("perception-tokens", "llava_depth_tiny", all.len());
}

#[test]
fn adapters_of_single_sequences() {
    let all = cases("counterspeech", "lora", committed());
    for case in &all {
        let (model, _) = decoder(case, "llama");
        let source = Within::new(case.weights(), "a.", &[]);
        let settings = &case.json["adapter_config"];
        let lora = Arc::new(Lora::from_source(settings, &source, model.config()).unwrap());
        // The recorded weights have the adapter merged in: without it they are the ones minus its product.
        let without = [(lora, -1.0)];
        let all = sequences(case, "input_ids");
        // Each sequence twice in one batch, once with the adapter taken away again.
        let mut caches = vec![Cache::new(model.config()); 2 * all.len()];
        let mut batch = Vec::new();
        for (i, cache) in caches.iter_mut().enumerate() {
            batch.push(Segment {
                adapters: if i % 2 == 0 { &without } else { &[] },
                ..Segment::new(Input::Ids(&all[i / 2]), cache)
            });
        }
        let outputs = model.forward(&mut batch, &ALL).unwrap();
        for (parity, name) in [(0, "logits_base"), (1, "logits_adapter")] {
            let found: Vec<Output> = outputs.iter().skip(parity).step_by(2).cloned().collect();
            assert_close(case, name, &logits(&found), &case.values(name));
        }
    }
    report("counterspeech", "lora", all.len());
}
