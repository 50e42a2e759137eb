//! Moxin's training: what saves memory or adds processes changes nothing.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use base::command::Context;
use base::fixtures::furthest;
use base::rng::Rng;
use burn::tensor::Device;
use engine::models::causal_lm::{
    CausalLm, CausalLmConfig, Dropout, LoraConfig, LossOptions, Sequences, train_bpe,
};
use engine::text::Tokenizer;
use engine::train::Workers;
use engine::train::optim::{OptimizerConfig, step};
use engine::weights::{KeyMap, Precision, TensorFile, Weights, collect};
use language::moxin::data::job::Job;
use language::moxin::data::pack::{Joining, pack};
use language::moxin::data::pieces::pieces;
use language::moxin::{Place, Pretrain, Thrift};
use serde_json::json;

static NEVER: AtomicBool = AtomicBool::new(false);

fn small() -> CausalLmConfig {
    CausalLmConfig {
        vocab_size: 300,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 3,
        head_dim: 8,
        sliding_window: Some(7),
        max_position_embeddings: 64,
        ..CausalLmConfig::toy()
    }
}

/// All tensors of a model, one after the other.
fn weights(model: &CausalLm) -> Vec<f32> {
    let mut file = TensorFile::new();
    collect(model, &KeyMap::new(), Precision::F32, &mut file).unwrap();
    let weights = Weights::from_bytes(file.to_bytes()).unwrap();
    let names: Vec<&str> = weights.names().collect();
    names
        .iter()
        .flat_map(|name| weights.values(name).unwrap())
        .collect()
}

#[test]
fn blocks_that_are_computed_again_give_the_same_to_the_last_bit() {
    let device = Device::flex().autodiff();
    let rows: Vec<Vec<u32>> = (0..4u32)
        .map(|row| (0..24).map(|at| (row * 91 + at * 13) % 300).collect())
        .collect();
    for tied in [false, true] {
        for lora in [None, Some(LoraConfig::default())] {
            let config = CausalLmConfig {
                tie_word_embeddings: tied,
                ..small()
            };
            let follow = |again: bool| {
                let model = config.init(&mut Rng::new(3), &device).unwrap();
                let mut model = match &lora {
                    Some(lora) => model.with_lora(lora, &mut Rng::new(4)).unwrap(),
                    None => model,
                }
                .with_activation_checkpointing(again);
                let mut optimizer = OptimizerConfig::default().init();
                let mut dropout = Dropout {
                    share: 0.1,
                    rng: Rng::new(5),
                };
                let mut losses = Vec::new();
                for _ in 0..3 {
                    // Two micro-batches in one loss.
                    let parts = rows.chunks(2).map(|part| {
                        let batch = Sequences::whole(part);
                        model.loss(&batch, &LossOptions::default(), Some(&mut dropout))
                    });
                    let loss = parts.reduce(|a, b| a + b).unwrap();
                    losses.push(loss.clone().into_scalar::<f32>());
                    let optimizer = optimizer.as_mut();
                    model = step(model, loss.backward(), optimizer, 1e-2, Some(1.0)).0;
                }
                (losses, weights(&model.merged()))
            };
            let (plain, again) = (follow(false), follow(true));
            assert_eq!(plain.0, again.0, "losses, tied {tied}");
            assert!(plain.1 == again.1, "weights, tied {tied}");
            assert!(plain.0[2] < plain.0[0], "it learns");
        }
    }
}

/// A vocabulary, a packed corpus and a plan of two phases in `at`.
fn plan(at: &Path) -> Pretrain {
    let texts: Vec<String> = (0..200)
        .map(|at| {
            format!(
                "number {at} comes after number {} and before all others",
                at * 7 % 50
            )
        })
        .collect();
    let vocabulary = at.join("vocabulary");
    std::fs::create_dir_all(&vocabulary).unwrap();
    let special = ["<unk>", "<s>", "</s>"];
    let json = train_bpe(texts.iter().map(String::as_str), 300, &special, Some("<s>")).unwrap();
    std::fs::write(vocabulary.join("tokenizer.json"), json).unwrap();
    let config = json!({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"});
    std::fs::write(vocabulary.join("tokenizer_config.json"), config.to_string()).unwrap();
    let lines: Vec<String> = texts
        .iter()
        .map(|text| json!({"text": text}).to_string())
        .collect();
    let file = at.join("texts.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let job = Job {
        step: "pack",
        params: json!(null),
        pieces: pieces(&[file], 1 << 20).unwrap(),
        out: &at.join("packed"),
        shard: None,
        stop: &NEVER,
    };
    let tokenizer = Tokenizer::open(&vocabulary).unwrap();
    pack(&job, &tokenizer, Joining::Stream, 0).unwrap();
    let phase = |name: &str, accumulation: usize| {
        format!(
            "[[phase]]\nname = \"{name}\"\ndata = \"packed\"\ncontext = 32\nbatch = 4\naccumulation = {accumulation}\nsteps = 6\n\
             learning_rate = 3e-3\nwarmup = 2\ncheckpoint_every = 2\n"
        )
    };
    let text = format!(
        "tokenizer = \"vocabulary\"\n[model]\nhidden_size = 32\nnum_hidden_layers = 2\nnum_attention_heads = 4\n{}{}",
        phase("first", 1),
        phase("second", 2)
    );
    std::fs::write(at.join("plan.toml"), text).unwrap();
    Pretrain::open(&at.join("plan.toml")).unwrap()
}

fn run(plan: &Pretrain, folder: &Path, thrift: Thrift, workers: Option<&Workers>) -> Vec<f32> {
    let place = Place {
        folder,
        resume: false,
        title: None,
        context: Context { stop: &NEVER },
        workers,
    };
    let done = plan.run(&Device::flex(), thrift, &place).unwrap();
    weights(&CausalLm::open(&done, &Device::flex()).unwrap().1)
}

/// Sums of gradients are taken in another order: AdamW makes that at most a thousandth of a weight's step here.
const APART: f32 = 1e-5;

#[test]
fn two_workers_pretrain_as_one_with_the_same_batch() {
    let at = tempfile::tempdir().unwrap();
    let plan = plan(at.path());
    let alone = run(&plan, &at.path().join("alone"), Thrift::default(), None);
    let thrift = Thrift {
        checkpointing: true,
        ..Thrift::default()
    };
    let again = run(&plan, &at.path().join("again"), thrift, None);
    assert!(alone == again, "computed again");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let meet = listener.local_addr().unwrap().to_string();
    drop(listener);
    let found = std::thread::scope(|scope| {
        let both = [0, 1].map(|rank| {
            let (plan, meet, folder) = (&plan, &meet, at.path().join(rank.to_string()));
            scope.spawn(move || {
                let workers = Workers::new([rank, 2], meet, "", Duration::from_secs(60));
                run(plan, &folder, Thrift::default(), Some(&workers.unwrap()))
            })
        });
        both.map(|it| it.join().unwrap())
    });
    assert!(found[0] == found[1], "workers are equal to the last bit");
    let off = furthest(&found[0], &alone);
    println!("two workers: weights off by {off:e}");
    assert!(off <= APART, "{off}");
}
