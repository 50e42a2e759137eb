//! Decoders against the numbers of the official implementations, and against themselves.

#![allow(clippy::unwrap_used)]

mod determinism;
mod errors;
mod gguf;
mod parity;
mod recorded_rope;

use std::path::Path;

use base::fixtures::Case;
use engine::models::decoder::{
    Cache, Decoder, DecoderConfig, Input, Logits, Output, Request, Segment,
};
use engine::weights::Within;
use serde_json::Value;

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

/// The decoder of a case, config under `config`, tensors under `w.`, and whether its rotary positions are known.
fn decoder(case: &Case, model_type: &str) -> (Decoder, bool) {
    let mut config = case.json["config"].clone();
    if config.get("arch").is_none() && config.get("model_type").is_none() {
        config["model_type"] = Value::from(model_type);
    }
    let config = DecoderConfig::from_config_json(&config).expect("a config");
    recorded_rope::decoder(case, config, &Within::new(case.weights(), "w.", &[]))
}

/// Sequences `[batch, tokens]` of a tensor of ids.
fn sequences(case: &Case, name: &str) -> Vec<Vec<u32>> {
    let ids: Vec<u32> = case.ints(name).iter().map(|&id| id as u32).collect();
    let tokens = *case.weights().shape(name).unwrap().last().unwrap();
    ids.chunks(tokens).map(<[u32]>::to_vec).collect()
}

/// All sequences in one batch, each with a new cache.
fn run(model: &Decoder, sequences: &[Vec<u32>], request: &Request<'_>) -> Vec<Output> {
    let mut caches = vec![Cache::new(model.config()); sequences.len()];
    let mut batch: Vec<Segment<'_>> = sequences
        .iter()
        .zip(&mut caches)
        .map(|(ids, cache)| Segment::new(Input::Ids(ids), cache))
        .collect();
    model.forward(&mut batch, request).expect("a forward pass")
}

const ALL: Request<'_> = Request {
    logits: Logits::All,
    hidden: true,
    states: true,
    attention: &[],
    hooks: &[],
};

/// The logits of all sequences, one after the other.
fn logits(outputs: &[Output]) -> Vec<f32> {
    outputs
        .iter()
        .flat_map(|output| output.logits.clone())
        .collect()
}
