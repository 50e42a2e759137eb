//! Moxin against recorded numbers: every case of every kind that is there.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use base::fixtures::{Case, cases, furthest, report};
use base::rng::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::causal_lm::{CausalLm, CausalLmConfig, LoraConfig, LossOptions, Sequences};
use engine::models::decoder::{Cache, Decoder, Input, Logits, Lora, Request, Segment};
use engine::text::Tokenizer;
use engine::train::optim::{AdamWConfig, OptimizerConfig, step};
use engine::train::{Schedule, TrainConfig};
use engine::weights::{CaseTensor, Precision, Weights};
use language::moxin::data::dedup::{Components, Dedup, components};
use language::moxin::data::minhash::{MinHash, estimate};
use language::moxin::data::text::{char_count, gram_set, jaccard};
use language::moxin::{
    Encoded, GrpoLimits, Message, answer_scores, dpo_loss, encode_completion, encode_messages,
    group_advantages, grpo_loss,
};

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn all(kind: &str) -> Vec<Case> {
    let all = cases("moxin", kind, committed());
    report("moxin", kind, all.len());
    all
}

fn close(case: &Case, what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    let off = furthest(found, expected);
    assert!(
        f64::from(off) <= tolerance,
        "{}: {what} is off by {off}",
        case.name
    );
    println!("{}: {what} off by {off:e}", case.name);
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The model of a case: tensors `PREFIX.*`.
fn model(case: &Case, prefix: &str, device: &Device) -> (CausalLmConfig, CausalLm) {
    let config = CausalLmConfig::from_json(case.get("config").unwrap()).unwrap();
    let weights: Weights = case.weights().within(prefix);
    let model = CausalLm::from_weights(&config, &weights, device).unwrap();
    (config, model)
}

fn shape<const D: usize>(case: &Case, name: &str) -> [usize; D] {
    case.weights().shape(name).unwrap().try_into().unwrap()
}

#[test]
fn mistral_swa() {
    for case in all("mistral_swa") {
        let device = Device::flex();
        let (config, model) = model(&case, "w", &device);
        let tolerance = case.tolerance("logits", 2e-4);
        let [batch, length] = shape(&case, "input_ids");
        let ids = case.ints("input_ids");
        let tensor: Tensor<2, Int> =
            Tensor::from_data(TensorData::new(ids.clone(), [batch, length]), &device);
        let states = model.states(tensor.clone(), None, None);
        assert_eq!(states.len(), config.num_hidden_layers + 1);
        for (at, state) in states.into_iter().enumerate() {
            let name = format!("hidden_{at}");
            close(&case, &name, &values(state), &case.values(&name), tolerance);
        }
        let windowed = values(model.forward(tensor.clone()));
        close(
            &case,
            "logits",
            &windowed,
            &case.values("logits"),
            tolerance,
        );
        let far = model.clone().with_window(None).forward(tensor);
        let name = "logits_without_window";
        close(&case, name, &values(far), &case.values(name), tolerance);

        let sequences = Sequences {
            batch,
            length,
            ids: ids.iter().map(|&id| id as i32).collect(),
            labels: case.ints("labels").iter().map(|&id| id as i32).collect(),
            documents: None,
        };
        let loss = values(model.loss(&sequences, &LossOptions::default(), None));
        close(&case, "loss", &loss, &case.values("loss"), tolerance);
        let sum = LossOptions {
            sum: true,
            ..LossOptions::default()
        };
        let sum = values(model.loss(&sequences, &sum, None))[0] / sequences.counted() as f32;
        close(
            &case,
            "summed loss",
            &[sum],
            &case.values("loss"),
            tolerance,
        );
        let mean = values(model.log_probabilities(&sequences, None))
            .iter()
            .sum::<f32>();
        let mean = -mean / sequences.counted() as f32;
        close(
            &case,
            "log-probabilities",
            &[mean],
            &case.values("loss"),
            tolerance,
        );

        // The decoder that generates: one token at a time through its cache.
        let decoder = model.decoder(&config).unwrap();
        let expected = case.values("logits");
        let rows = ids
            .chunks(length)
            .zip(expected.chunks(length * config.vocab_size));
        for (row, expected) in rows {
            let mut cache = Cache::new(decoder.config());
            let mut found = Vec::new();
            for &id in row {
                let id = [id as u32];
                let mut segment = [Segment::new(Input::Ids(&id), &mut cache)];
                let request = Request {
                    logits: Logits::Last,
                    ..Request::default()
                };
                found.extend(
                    decoder
                        .forward(&mut segment, &request)
                        .unwrap()
                        .remove(0)
                        .logits,
                );
            }
            close(&case, "stepwise logits", &found, expected, tolerance);
        }
    }
}

#[test]
fn train_loop() {
    for case in all("train_loop") {
        // A case that holds its last weights in place of its first ones cannot be followed.
        let [before, after] = ["w0", "w1"].map(|prefix| case.weights().within(prefix));
        let stale = after
            .names()
            .all(|name| before.values(name).unwrap() == after.values(name).unwrap());
        match stale {
            true => println!(
                "{}: skipped: its weights before and after are equal",
                case.name
            ),
            false => follow(&case),
        }
    }
    // Made here with transformers and torch.
    let path = committed().join("moxin/train_loop.json");
    follow(&Case {
        name: "committed".into(),
        json: serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap(),
        weights: Some(Weights::open(path.with_extension("safetensors")).unwrap()),
    });
}

fn follow(case: &Case) {
    let device = Device::flex().autodiff();
    let (_, mut model) = model(case, "w0", &device);
    let [micro, batch, length] = shape(case, "data");
    let (steps, accumulation) = (case.usize("steps"), case.usize("accumulation"));
    assert_eq!(micro, steps * accumulation);
    let betas = case.numbers("betas");
    let optimizer = OptimizerConfig::AdamW(AdamWConfig {
        beta1: betas[0],
        beta2: betas[1],
        eps: case.f64("eps"),
        weight_decay: case.f64("weight_decay"),
        decay_vectors: true,
        no_decay: Vec::new(),
    });
    let config = TrainConfig {
        steps: steps as u64,
        learning_rate: case.f64("base_lr"),
        warmup: case.usize("warmup_steps") as u64,
        schedule: Schedule::Cosine { floor: 0.1 },
        optimizer: optimizer.clone(),
        clip: Some(case.f64("clip")),
        ..TrainConfig::default()
    };
    let rates = case.weights().doubles("lr").unwrap();
    let data: Vec<Vec<u32>> = case
        .ints("data")
        .chunks(length)
        .map(|row| row.iter().map(|&id| id as u32).collect())
        .collect();
    let mut optimizer = optimizer.init();
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    assert_eq!(rates.len(), steps);
    for (at, expected) in rates.iter().enumerate() {
        let rate = config.rate(at as u64);
        let off = (rate - expected).abs();
        assert!(off <= 1e-9 * expected.abs(), "{}: rate {at}", case.name);
        let first = at * accumulation * batch;
        let mut sum: Option<Tensor<1>> = None;
        for part in data[first..first + accumulation * batch].chunks(batch) {
            let loss = model.loss(&Sequences::whole(part), &LossOptions::default(), None);
            losses.push(loss.clone().into_scalar::<f32>());
            sum = Some(match sum {
                Some(sum) => sum + loss,
                None => loss,
            });
        }
        let gradients = (sum.unwrap() / accumulation as f32).backward();
        let (stepped, done) = step(model, gradients, optimizer.as_mut(), rate, config.clip);
        model = stepped;
        norms.push(done.grad_norm as f32);
    }
    let tolerance = case.tolerance("losses", 5e-4);
    close(case, "losses", &losses, &case.values("losses"), tolerance);
    let expected = case.values("grad_norms");
    let largest = expected.iter().fold(1.0f32, |a, b| a.max(*b));
    let tolerance = tolerance * f64::from(largest);
    close(case, "gradient norms", &norms, &expected, tolerance);
    let after = case.weights().within("w1");
    let mut compared = 0;
    let found = weights_of(&model);
    for name in after.names() {
        let tolerance = case.tolerance("w1", 2e-4);
        let found = found.values(name).unwrap();
        close(case, name, &found, &after.values(name).unwrap(), tolerance);
        compared += 1;
    }
    assert!(compared > 0, "{}: no tensor to compare", case.name);
}

/// A model's tensors under their official names.
fn weights_of(model: &CausalLm) -> Weights {
    let mut file = engine::weights::TensorFile::new();
    let keys = engine::weights::KeyMap::new();
    let precision = engine::weights::Precision::F32;
    engine::weights::collect(model, &keys, precision, &mut file).unwrap();
    Weights::from_bytes(file.to_bytes()).unwrap()
}

#[test]
fn lr_schedule() {
    for case in all("lr_schedule") {
        let runs = case.get("runs").unwrap().as_array().unwrap().len();
        for run in 0..runs {
            let at = |field: &str| format!("runs.{run}.{field}");
            let peak = case.f64(&at("base"));
            let config = TrainConfig {
                steps: case.usize(&at("total")) as u64,
                learning_rate: peak,
                warmup: case.usize(&at("warmup")) as u64,
                schedule: Schedule::Cosine {
                    floor: case.f64(&at("eta_min")) / peak,
                },
                ..TrainConfig::default()
            };
            let expected = case.weights().doubles(case.str(&at("name"))).unwrap();
            assert_eq!(expected.len() as u64, config.steps);
            let tolerance = case.tolerance("lr", 1e-9);
            for (step, expected) in expected.iter().enumerate() {
                let off = (config.rate(step as u64) - expected).abs() / expected.abs();
                assert!(
                    off <= tolerance,
                    "{}: step {step} is off by {off}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn chat_encoding() {
    for case in all("chat_encoding") {
        let json = serde_json::to_vec(case.get("tokenizer").unwrap()).unwrap();
        let tokenizer = Tokenizer::from_json(&json, &case.name).unwrap();
        for run in case.get("runs").unwrap().as_array().unwrap() {
            let limit = run["max_len"].as_u64().unwrap() as usize;
            let encoded = match run["kind"].as_str().unwrap() {
                "messages" => {
                    let messages: Vec<Message> =
                        serde_json::from_value(run["messages"].clone()).unwrap();
                    encode_messages(&tokenizer, &messages, limit)
                }
                "prompt_completion" => {
                    let text = |name: &str| run[name].as_str().unwrap();
                    encode_completion(&tokenizer, text("prompt"), text("completion"), limit)
                }
                other => panic!("{}: a run of kind `{other}`", case.name),
            };
            let name = run["name"].as_str().unwrap();
            let ids = case.ints(&format!("{name}.input_ids"));
            let labels = case.ints(&format!("{name}.labels"));
            let expected = Encoded {
                ids: ids.iter().map(|&id| id as u32).collect(),
                labels: labels.iter().map(|&id| id as i32).collect(),
            };
            assert_eq!(encoded.unwrap(), expected, "{}: {name}", case.name);
        }
    }
}

#[test]
fn dpo_grpo() {
    for case in all("dpo_grpo") {
        let device = Device::flex();
        let tolerance = case.tolerance("loss", 2e-5);
        let mut scores = Vec::new();
        for who in ["policy", "reference"] {
            for side in ["chosen", "rejected"] {
                let logits: Tensor<3> = case.tensor(&format!("{who}_{side}_logp_vocab"), &device);
                let found = answer_scores(logits, &case.ints(&format!("{side}_labels")));
                for (kind, found) in ["sum", "avg"].iter().zip(&found) {
                    let name = format!("{who}_{side}_{kind}");
                    close(
                        &case,
                        &name,
                        &values(found.clone()),
                        &case.values(&name),
                        tolerance * 4.0,
                    );
                }
                scores.push(found);
            }
        }
        for (at, name, beta) in [(1, "dpo_avg", "beta_norm"), (0, "dpo_sum", "beta_sum")] {
            let of = |row: usize| scores[row][at].clone();
            let found = dpo_loss([of(0), of(1)], [of(2), of(3)], case.f32(beta));
            let parts = [
                ("loss", found.loss),
                ("reward_chosen", found.chosen),
                ("reward_rejected", found.rejected),
            ];
            for (part, found) in parts {
                let name = format!("{name}.{part}");
                close(&case, &name, &values(found), &case.values(&name), tolerance);
            }
        }
        let [answers, tokens] = shape(&case, "rewards");
        let rewards: Vec<f32> = case
            .values("rewards")
            .chunks(tokens)
            .map(|row| row.iter().sum())
            .collect();
        let mask = case.values("response_mask");
        let advantages = group_advantages(&rewards, &case.ints("group"));
        let spread: Vec<f32> = mask
            .iter()
            .enumerate()
            .map(|(at, it)| it * advantages[at / tokens])
            .collect();
        close(
            &case,
            "advantage",
            &spread,
            &case.values("advantage"),
            tolerance,
        );
        let tensor = |values: Vec<f32>| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values, [answers, tokens]), &device)
        };
        let logs = ["logp_new", "logp_old", "logp_ref"].map(|name| case.tensor(name, &device));
        let limits = GrpoLimits {
            clip: case.f32("clip"),
            kl: case.f32("kl_coef"),
        };
        let found = grpo_loss(logs, tensor(spread), tensor(mask), &limits);
        let parts = [
            ("pg_loss", found.policy),
            ("kl_loss", found.kl),
            ("total", found.total),
        ];
        for (name, found) in parts {
            close(&case, name, &values(found), &case.values(name), tolerance);
        }
    }
}

#[test]
fn dedup() {
    for case in all("dedup") {
        let docs: Vec<&str> = case
            .get("docs")
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap())
            .collect();
        let (width, threshold) = (case.usize("width"), case.f64("threshold"));
        let counts: Vec<i64> = docs.iter().map(|doc| char_count(doc) as i64).collect();
        assert_eq!(counts, case.ints("char_count"), "{}", case.name);
        let least = case.usize("min_chars") as i64;
        let passes: Vec<i64> = counts
            .iter()
            .map(|&count| i64::from(count >= least))
            .collect();
        assert_eq!(passes, case.ints("passes_short"), "{}", case.name);
        let sets: Vec<Vec<u32>> = docs.iter().map(|doc| gram_set(doc, width)).collect();
        let mut found = Vec::new();
        for a in &sets {
            found.extend(sets.iter().map(|b| jaccard(a, b) as f32));
        }
        let tolerance = case.tolerance("jaccard", 1e-6);
        close(&case, "jaccard", &found, &case.values("jaccard"), tolerance);
        let hashes = MinHash::new(128, 1);
        let signatures: Vec<Vec<u32>> = sets.iter().map(|set| hashes.signature(set)).collect();
        let mut guessed = Vec::new();
        for a in &signatures {
            guessed.extend(signatures.iter().map(|b| estimate(a, b) as f32));
        }
        close(&case, "estimates", &guessed, &found, 0.15);
        // Components and survivors by exact similarity, and by the search that whole corpora go through.
        let mut exact = Components::new(docs.len());
        for (a, b) in (0..docs.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
            if jaccard(&sets[a], &sets[b]) >= threshold {
                exact.join(a as u32, b as u32);
            }
        }
        let exact: Vec<i64> = (0..docs.len() as u32)
            .map(|at| i64::from(exact.of(at)))
            .collect();
        assert_eq!(exact, case.ints("component"), "{}", case.name);
        let options = Dedup {
            width,
            threshold,
            verify: true,
            ..Dedup::text()
        };
        let found = components(&docs, &options);
        let keep: Vec<i64> = (0..docs.len())
            .map(|at| i64::from(found[at] as usize == at))
            .collect();
        assert_eq!(keep, case.ints("keep"), "{}", case.name);
    }
}

/// A model of two blocks for tests of what nobody recorded.
fn small() -> CausalLmConfig {
    CausalLmConfig {
        vocab_size: 300,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
        head_dim: 8,
        sliding_window: Some(7),
        max_position_embeddings: 64,
        ..CausalLmConfig::toy()
    }
}

fn last_logits(decoder: &Decoder, ids: &[u32], adapters: &[(Arc<Lora>, f32)]) -> Vec<f32> {
    let mut cache = Cache::new(decoder.config());
    let mut segment = Segment::new(Input::Ids(ids), &mut cache);
    segment.adapters = adapters;
    let mut output = decoder
        .forward(&mut [segment], &Request::default())
        .unwrap();
    output.remove(0).logits
}

#[test]
fn a_saved_model_generates_and_its_low_rank_changes_alone_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    let (config, device) = (small(), Device::flex().autodiff());
    for tied in [false, true] {
        let config = CausalLmConfig {
            tie_word_embeddings: tied,
            ..config.clone()
        };
        let at = folder.path().join(format!("model-{tied}"));
        let model = config.init(&mut Rng::new(3), &device).unwrap();
        model.save(&at, &config, Precision::F32).unwrap();
        let (found, again) = CausalLm::open(&at, &device).unwrap();
        assert_eq!(found, config);
        let ids: Vec<u32> = (0..20).map(|at| at * 13 % 300).collect();
        let decoder = Decoder::open(&at).unwrap();
        let expected = last_logits(&decoder, &ids, &[]);
        let row = Tensor::<2, Int>::from_data(
            TensorData::new(ids.iter().map(|&id| id as i32).collect(), [1, 20]),
            &device,
        );
        let last = |model: &CausalLm| values(model.forward(row.clone()).slice([0..1, 19..20]));
        assert!(furthest(&last(&again), &expected) < 1e-4);

        let lora = LoraConfig {
            rank: 3,
            alpha: 6.0,
            targets: ["q_proj", "down_proj"].map(str::to_owned).to_vec(),
            ..LoraConfig::default()
        };
        let mut adapted = again.with_lora(&lora, &mut Rng::new(5)).unwrap();
        assert!(
            furthest(&last(&adapted), &expected) < 1e-4,
            "nothing is changed at first"
        );
        let mut optimizer = OptimizerConfig::default().init();
        for _ in 0..3 {
            let loss = adapted.loss(
                &Sequences::whole(std::slice::from_ref(&ids)),
                &LossOptions::default(),
                None,
            );
            adapted = step(adapted, loss.backward(), optimizer.as_mut(), 0.01, None).0;
        }
        let (before, after) = (weights_of(&model), weights_of(&adapted));
        for name in before.names() {
            assert_eq!(
                before.values(name).unwrap(),
                after.values(name).unwrap(),
                "{name}"
            );
        }
        let trained = last(&adapted);
        assert!(
            furthest(&trained, &expected) > 1e-3,
            "the factors are trained"
        );
        assert!(furthest(&last(&adapted.clone().merged()), &trained) < 1e-4);
        let merged = adapted.decoder(&config).unwrap();
        assert!(furthest(&last_logits(&merged, &ids, &[]), &trained) < 1e-4);
        // PEFT's files, read by the decoder that generates.
        adapted.save_lora(&at.join("lora"), &lora).unwrap();
        let adapter = Lora::open(&at.join("lora"), decoder.config()).unwrap();
        let found = last_logits(&decoder, &ids, &[(Arc::new(adapter), 1.0)]);
        assert!(furthest(&found, &trained) < 1e-4);
    }
}

#[test]
fn documents_do_not_see_each_other_behind_a_mask() {
    let device = Device::flex();
    let model = small().init(&mut Rng::new(1), &device).unwrap();
    let row = |ids: &[u32]| Sequences::whole(&[ids.to_vec()]);
    let mut both = row(&[1, 7, 9, 2, 1, 30, 31, 2]);
    both.documents = Some(vec![0, 0, 0, 0, 1, 1, 1, 1]);
    let joined = values(model.log_probabilities(&both, None));
    let first = values(model.log_probabilities(&row(&[1, 7, 9, 2]), None));
    let second = values(model.log_probabilities(&row(&[1, 30, 31, 2]), None));
    assert!(furthest(&joined[..3], &first[..3]) < 1e-5);
    assert!(
        furthest(&joined[4..7], &second[..3]) < 1e-5,
        "rotary positions are relative"
    );
}
