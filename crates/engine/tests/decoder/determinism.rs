//! The same request gives the same bits, whatever is computed beside it.

use engine::models::decoder::{
    Cache, Decoder, DecoderConfig, Input, Logits, PrefixCache, Request, Segment,
};
use engine::rng::Rng;
use engine::weights::{Gguf, Precision, TensorFile, Weights};
use rayon::ThreadPoolBuilder;
use serde_json::{Value, json};

use super::{ALL, logits, run};

/// A small random model of a family, with enough positions for several spans of keys.
fn config(more: Value) -> DecoderConfig {
    let mut json = json!({
        "model_type": "llama", "vocab_size": 70, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2000,
    });
    for (key, value) in more.as_object().unwrap() {
        json[key] = value.clone();
    }
    DecoderConfig::from_config_json(&json).unwrap()
}

/// Names and shapes of a Llama with these sizes.
fn shapes(config: &DecoderConfig) -> Vec<(String, Vec<usize>)> {
    let (w, f) = (config.width, config.ffn);
    let (q, k) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let mut all = vec![
        ("model.embed_tokens.weight".into(), vec![config.vocab, w]),
        ("model.norm.weight".into(), vec![w]),
        ("lm_head.weight".into(), vec![config.vocab, w]),
    ];
    for layer in 0..config.layers {
        for (name, shape) in [
            ("input_layernorm", vec![w]),
            ("post_attention_layernorm", vec![w]),
            ("self_attn.q_proj", vec![q, w]),
            ("self_attn.k_proj", vec![k, w]),
            ("self_attn.v_proj", vec![k, w]),
            ("self_attn.o_proj", vec![w, q]),
            ("mlp.gate_proj", vec![f, w]),
            ("mlp.up_proj", vec![f, w]),
            ("mlp.down_proj", vec![w, f]),
        ] {
            all.push((format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    all
}

fn values(rng: &mut Rng, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    let scale = if shape.len() == 1 { 1.0 } else { 0.15 };
    rng.normals(count).iter().map(|v| v * scale).collect()
}

/// Random weights in a precision.
fn dense(config: &DecoderConfig, precision: Precision) -> Decoder {
    let (mut rng, mut file) = (Rng::new(4), TensorFile::new());
    for (name, shape) in shapes(config) {
        let values = values(&mut rng, &shape);
        file.floats(&name, &shape, &values, precision).unwrap();
    }
    let weights = Weights::from_bytes(file.to_bytes()).unwrap();
    Decoder::from_source(config.clone(), &weights).unwrap()
}

/// The same sizes in a GGUF file, with random Q4_1 blocks.
fn quantised(config: &DecoderConfig) -> Decoder {
    let mut rng = Rng::new(5);
    let mut tensors = Vec::new();
    for (name, shape) in shapes(config) {
        let name = super::gguf::name(&name);
        let tensor = match shape[..] {
            [rows, columns] => {
                let mut bytes = Vec::new();
                for _ in 0..rows * columns / 32 {
                    let scale = half::f16::from_f32(0.02 + 0.02 * rng.uniform());
                    bytes.extend(scale.to_le_bytes());
                    bytes.extend(half::f16::from_f32(-0.2).to_le_bytes());
                    bytes.extend((0..16).map(|_| rng.below(256) as u8));
                }
                (name, 3, shape, bytes)
            }
            _ => {
                let bytes = values(&mut rng, &shape).iter().flat_map(|v| v.to_le_bytes()).collect();
                (name, 0, shape, bytes)
            }
        };
        tensors.push(tensor);
    }
    let file = super::gguf::file(&super::gguf::llama(config), &tensors);
    Decoder::from_gguf(&Gguf::from_bytes(file).unwrap()).unwrap()
}

/// Models whose products, windows and head groups go different ways.
fn models() -> Vec<(&'static str, Decoder)> {
    let plain = config(json!({}));
    let windowed = config(json!({ "model_type": "mistral", "sliding_window": 100 }));
    vec![
        ("f32", dense(&plain, Precision::F32)),
        ("bf16", dense(&plain, Precision::BF16)),
        ("f16, window", dense(&windowed, Precision::F16)),
        ("q4_1", quantised(&plain)),
    ]
}

fn ids(count: usize, seed: u64) -> Vec<u32> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| rng.below(70) as u32).collect()
}

fn on<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(work)
}

#[test]
fn logits_do_not_depend_on_what_is_computed_beside_them() {
    for (name, model) in models() {
        let sequence = ids(700, 1);
        let alone = on(1, || logits(&run(&model, std::slice::from_ref(&sequence), &ALL)));
        assert!(alone.iter().all(|logit| logit.is_finite()));
        for threads in [2, 3] {
            let more = on(threads, || {
                logits(&run(&model, std::slice::from_ref(&sequence), &ALL))
            });
            assert!(more == alone, "{name}: {threads} threads");
        }
        // In a batch of eight of other lengths, which chunks cut at other places.
        let mut batch: Vec<Vec<u32>> = (2..9).map(|seed| ids(40 * seed as usize, seed)).collect();
        batch.insert(3, sequence.clone());
        let beside = on(2, || run(&model, &batch, &ALL));
        assert!(beside[3].logits == alone, "{name}: in a batch");
        // In pieces, with a cache, and one token at a time at the end.
        let vocab = model.config().vocab;
        for pieces in [vec![1, 63, 65, 300, 260], vec![256, 256, 177], vec![5, 684]] {
            let mut cache = Cache::new(model.config());
            let mut from = 0;
            let mut found = Vec::new();
            let single = vec![1; 700 - pieces.iter().sum::<usize>()];
            for count in pieces.into_iter().chain(single) {
                let input = Input::Ids(&sequence[from..from + count]);
                let mut batch = [Segment::new(input, &mut cache)];
                found.extend(on(2, || logits(&model.forward(&mut batch, &ALL).unwrap())));
                from += count;
            }
            for (i, (a, b)) in found.chunks(vocab).zip(alone.chunks(vocab)).enumerate() {
                assert!(a == b, "{name}: token {i} in pieces");
            }
        }
    }
}

#[test]
fn forks_and_found_prefixes_give_what_whole_sequences_give() {
    for (name, model) in models() {
        let sequence = ids(333, 9);
        let whole = logits(&run(&model, std::slice::from_ref(&sequence), &ALL));
        let last = &whole[332 * model.config().vocab..];
        let mut prefixes = PrefixCache::new(1 << 30);
        let mut cache = Cache::new(model.config());
        let request = Request {
            logits: Logits::Last,
            ..Request::default()
        };
        let mut first = [Segment::new(Input::Ids(&sequence[..300]), &mut cache)];
        model.forward(&mut first, &request).unwrap();
        prefixes.insert(&sequence[..300], &[], &cache);
        // Another branch that goes on from there leaves the page they share as it is.
        let mut other = cache.fork();
        let stray = ids(30, 10);
        let mut branch = [Segment::new(Input::Ids(&stray), &mut other)];
        model.forward(&mut branch, &request).unwrap();
        let mut found = prefixes.find(&sequence, &[]).expect("a prefix");
        assert_eq!(found.len(), 300);
        let mut rest = [Segment::new(Input::Ids(&sequence[300..]), &mut found)];
        let outputs = model.forward(&mut rest, &request).unwrap();
        assert!(outputs[0].logits == last, "{name}");
        // A prefix that ends earlier, where the window allows it.
        let mut mixed = sequence[..290].to_vec();
        mixed.extend(&stray);
        let whole = run(&model, std::slice::from_ref(&mixed), &request);
        let Some(mut found) = prefixes.find(&mixed, &[]) else {
            assert!(name.contains("window"), "{name}");
            continue;
        };
        assert_eq!(found.len(), 290);
        let mut rest = [Segment::new(Input::Ids(&mixed[290..]), &mut found)];
        assert!(model.forward(&mut rest, &request).unwrap() == whole, "{name}");
        // A branch costs its own pages only.
        let mut branch = cache.fork();
        let before = prefixes.bytes();
        let mut one = [Segment::new(Input::Ids(&[3]), &mut branch)];
        model.forward(&mut one, &request).unwrap();
        prefixes.insert(&[&sequence[..300], &[3]].concat(), &[], &branch);
        assert!(prefixes.bytes() < before + before / 3);
        assert!(prefixes.find(&[69, 1], &[]).is_none());
    }
}

#[test]
fn memory_of_a_window_is_constant() {
    let config = config(json!({ "model_type": "mistral", "sliding_window": 100 }));
    let model = dense(&config, Precision::F32);
    let mut cache = Cache::new(&config);
    let mut sizes = Vec::new();
    for i in 0..1500 {
        let token = [i % 70];
        let mut batch = [Segment::new(Input::Ids(&token), &mut cache)];
        let request = Request {
            logits: Logits::None,
            ..Request::default()
        };
        model.forward(&mut batch, &request).unwrap();
        sizes.push(cache.bytes());
    }
    assert!(sizes[200..].iter().max() <= sizes[..200].iter().max());
    assert!(cache.truncate(200).is_err() && cache.truncate(1499).is_ok());
}
