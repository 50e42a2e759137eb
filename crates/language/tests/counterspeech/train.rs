//! Training of adapters, on a random model of two blocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::command::{Context, Failure};
use base::fixtures::furthest;
use base::rng::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::causal_lm::{
    CausalLm, CausalLmConfig, IGNORED, LoraConfig, LossOptions, Sequences, train_bpe,
};
use engine::models::decoder::{Cache, Decoder, Input, Logits, Lora, Request, Segment};
use engine::text::Tokenizer;
use engine::train::steps_done;
use engine::weights::hub::{HubSettings, resolve};
use engine::weights::{Precision, TensorFile, Weights};
use language::counterspeech::{
    Prompts, Replier, SystemError, Training, default_recipe, encode_reply, open_base, read_pairs,
};
use language::moxin::{Encoded, Place, Recipe, TULU};
use serde_json::json;

static GO: AtomicBool = AtomicBool::new(false);
const PAIRS: &str = r#"{"message": "you are a fool", "reply": "let us talk calmly"}
{"message": "go away", "reply": "I would rather stay and listen"}
{"comment": "fair winds, mate", "parent": "I like boats"}
{"comment": "steady now"}
"#;

/// A chat model in the folder `folder/model`, and pairs in `folder/pairs.jsonl`.
fn base(folder: &Path) -> (PathBuf, PathBuf) {
    let place = folder.join("model");
    let special = ["<unk>", "<s>", "</s>"];
    let tokenizer = train_bpe(PAIRS.lines(), 300, &special, Some("<s>")).unwrap();
    let vocabulary = Tokenizer::from_json(tokenizer.as_bytes(), "test").unwrap();
    let config = CausalLmConfig {
        vocab_size: vocabulary.len(),
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
        head_dim: 8,
        sliding_window: None,
        max_position_embeddings: 512,
        initializer_range: 0.1,
        ..CausalLmConfig::toy()
    };
    let model = config.init(&mut Rng::new(3), &Device::flex()).unwrap();
    model.save(&place, &config, Precision::F32).unwrap();
    std::fs::write(place.join("tokenizer.json"), tokenizer).unwrap();
    let chat = json!({"bos_token": "<s>", "eos_token": "</s>", "chat_template": format!("{{{{ bos_token }}}}{TULU}")});
    std::fs::write(place.join("tokenizer_config.json"), chat.to_string()).unwrap();
    let pairs = folder.join("pairs.jsonl");
    std::fs::write(&pairs, PAIRS).unwrap();
    (place, pairs)
}

fn recipe() -> Recipe {
    Recipe {
        batch: 2,
        rate: 1e-2,
        checkpoint_every: 1,
        lora: Some(LoraConfig {
            rank: 4,
            alpha: 8.0,
            ..default_recipe().lora.unwrap()
        }),
        ..default_recipe()
    }
}

fn place<'a>(folder: &'a Path, resume: bool, stop: &'static AtomicBool) -> Place<'a> {
    Place {
        folder,
        resume,
        title: None,
        context: Context { stop },
        workers: None,
    }
}

/// A stage of 20 epochs.
fn stage<'a>(base: &'a Path, data: &'a Path, prompts: &'a Prompts) -> Training<'a> {
    Training {
        base: base.to_str().unwrap(),
        from: None,
        data,
        prompts,
        epochs: 20.0,
        last_blocks: None,
        recipe: recipe(),
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The base with the adapter in `path`.
fn adapted(base: &Path, path: &Path) -> CausalLm {
    let (_, model, _) = open_base(base.to_str().unwrap(), &Device::flex()).unwrap();
    let lora = LoraConfig::open(path).unwrap();
    let model = model.with_lora(&lora, &mut Rng::new(0)).unwrap();
    model.read_lora(path).unwrap()
}

fn batch_of(pairs: &[Encoded]) -> Sequences {
    let rows: Vec<_> = pairs
        .iter()
        .map(|it| (it.ids.clone(), it.labels.clone()))
        .collect();
    Sequences::padded(&rows, 0)
}

fn loss(model: &CausalLm, batch: &Sequences) -> f32 {
    values(model.loss(batch, &LossOptions::default(), None))[0]
}

#[test]
fn only_the_reply_and_its_end_are_learned() {
    let folder = tempfile::tempdir().unwrap();
    let (base, _) = base(folder.path());
    let (_, model, tokenizer) = open_base(base.to_str().unwrap(), &Device::flex()).unwrap();
    let encode = |reply: &str, length| {
        encode_reply(
            &tokenizer,
            ["be kind", "you are a </s> fool"],
            reply,
            length,
        )
        .unwrap()
    };
    let pair = encode(" let us talk ", 512);
    let learned: Vec<u32> = pair
        .ids
        .iter()
        .zip(&pair.labels)
        .filter(|(_, label)| **label != IGNORED)
        .map(|(id, _)| *id)
        .collect();
    let reply = tokenizer.encode("let us talk").unwrap();
    assert_eq!(learned.split_last(), Some((&2, reply.as_slice())));
    assert_eq!(
        pair.labels.last(),
        Some(&2),
        "nothing stands behind the end"
    );
    // The mean over these tokens alone.
    let batch = batch_of(std::slice::from_ref(&pair));
    assert_eq!(batch.counted(), learned.len());
    let sum: f32 = values(model.log_probabilities(&batch, None)).iter().sum();
    assert!((loss(&model, &batch) + sum / learned.len() as f32).abs() < 1e-5);
    assert!(encode("let us talk", 5).is_silent());
}

#[test]
fn training_lowers_the_loss_and_the_saved_adapter_is_the_trained_model() {
    let folder = tempfile::tempdir().unwrap();
    let (base, data) = base(folder.path());
    let prompts = Prompts::default();
    let training = stage(&base, &data, &prompts);
    let first = folder.path().join("Mu");
    let device = Device::flex();
    let made = training.run(&device, &place(&first, false, &GO)).unwrap();
    assert_eq!((made.examples, made.left_out, made.steps), (4, 0, 40));

    let (config, plain, tokenizer) = open_base(training.base, &device).unwrap();
    let pairs = read_pairs(&data, &tokenizer, &prompts, 512).unwrap().used;
    let batch = batch_of(&pairs);
    let trained = adapted(&base, &first);
    let (before, after) = (loss(&plain, &batch), loss(&trained, &batch));
    println!("loss {before} before, {after} after");
    assert!(after < before - 0.2, "{before} {after}");

    // The official names, and the same logits from the decoder that generates.
    let weights = Weights::open(first.join("adapter_model.safetensors")).unwrap();
    let names: Vec<&str> = weights.names().collect();
    assert_eq!(names.len(), 8);
    let name = "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight";
    assert_eq!(weights.shape(name), Some([16, 4].as_slice()));
    let ids = &pairs[0].ids;
    let decoder = Decoder::open(&base).unwrap();
    let adapter = [(Arc::new(Lora::open(&first, decoder.config()).unwrap()), 1.0)];
    let mut cache = Cache::new(decoder.config());
    let mut segment = Segment::new(Input::Ids(ids), &mut cache);
    segment.adapters = &adapter;
    let found = decoder
        .forward(&mut [segment], &Request::default())
        .unwrap()
        .remove(0)
        .logits;
    let row: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let row = Tensor::<2, Int>::from_data(
        TensorData::new(row, [1, ids.len()]),
        &device.clone().autodiff(),
    );
    let logits = values(trained.forward(row.clone()));
    let expected = &logits[logits.len() - config.vocab_size..];
    assert!(furthest(&found, expected) < 1e-3);
    let replier = Replier::open(training.base, &[("Mu".into(), first.clone())]).unwrap();
    assert!(replier.has("Mu"));

    // The next stage goes on from it, and the last block may be trained alone.
    let second = folder.path().join("MuRe");
    let next = Training {
        from: Some(&first),
        ..training.clone()
    };
    next.run(&device, &place(&second, false, &GO)).unwrap();
    assert!(loss(&adapted(&base, &second), &batch) < after);
    let alone = Training {
        last_blocks: Some(1),
        ..training
    };
    let third = folder.path().join("last");
    alone.run(&device, &place(&third, false, &GO)).unwrap();
    let weights = Weights::open(third.join("adapter_model.safetensors")).unwrap();
    assert!(weights.names().all(|name| name.contains("layers.1.")));
    assert!(Lora::open(&third, decoder.config()).is_ok());

    // A decoder's weights, whatever they are stored as, are the model's.
    let (same, widened) = CausalLm::from_decoder(&decoder, &device.clone().autodiff()).unwrap();
    assert_eq!(same.parameters(), config.parameters());
    let found = values(widened.forward(row.clone()));
    assert_eq!(furthest(&found, &values(plain.forward(row))), 0.0);
}

#[test]
fn a_run_that_was_stopped_ends_as_one_that_was_not() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let folder = tempfile::tempdir().unwrap();
    let (base, data) = base(folder.path());
    let prompts = Prompts::default();
    let training = Training {
        epochs: 60.0,
        ..stage(&base, &data, &prompts)
    };
    let device = Device::flex();
    let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
    training.run(&device, &place(&whole, false, &GO)).unwrap();
    let run = broken.join("run");
    let stopped = std::thread::scope(|scope| {
        scope.spawn(|| {
            while steps_done(&run).is_none_or(|steps| steps < 3) {
                std::thread::yield_now();
            }
            STOP.store(true, Ordering::Relaxed);
        });
        training.run(&device, &place(&broken, false, &STOP))
    });
    let stopped = Failure::from(stopped.unwrap_err());
    assert!(matches!(&stopped, Failure::Interrupted(line) if line.contains("--resume")));
    assert!(!broken.join("adapter_config.json").exists());
    println!("stopped after {:?} steps", steps_done(&run));
    let again = training.run(&device, &place(&broken, false, &GO));
    assert!(again.unwrap_err().to_string().contains("--resume"));
    training.run(&device, &place(&broken, true, &GO)).unwrap();
    for name in ["adapter_model.safetensors", "adapter_config.json"] {
        let [a, b] = [&whole, &broken].map(|at| std::fs::read(at.join(name)).unwrap());
        assert!(a == b, "{name} differs");
    }
}

#[test]
fn what_cannot_be_used_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (base, data) = base(folder.path());
    let prompts = Prompts::default();
    let device = Device::flex();
    let mut count = 0;
    let mut run = |change: &dyn Fn(&mut Training<'_>), resume| {
        count += 1;
        let mut training = stage(&base, &data, &prompts);
        training.epochs = 1.0;
        change(&mut training);
        let out = folder.path().join(format!("out-{count}"));
        let result: Result<_, SystemError> = training.run(&device, &place(&out, resume, &GO));
        result.map_err(|error| {
            assert!(!out.join("adapter_config.json").exists());
            Failure::from(error).to_string()
        })
    };
    let mut refused = |text: &str, wanted: &str| {
        let path = folder.path().join("bad.jsonl");
        std::fs::write(&path, text).unwrap();
        let line = run(
            &|it| it.data = Box::leak(path.clone().into_boxed_path()),
            false,
        );
        let line = line.unwrap_err();
        assert!(line.contains(wanted) && !line.contains('\n'), "{line}");
    };
    refused("", "holds no JSON object");
    refused("{\"message\": \"go aw", "cut off");
    refused("{\"message\": \"go away\"}", "line 1: it has no `reply`");
    refused("{\"reply\": \"no\"}", "it has no `message`");
    refused(
        "{\"text\": \"no\"}",
        "neither `message` and `reply` nor a `comment`",
    );
    refused(
        "{\"message\": \" \", \"reply\": \"no\"}",
        "`message` is empty",
    );
    refused("{\"comment\": \"\"}", "`comment` is empty");
    let mixed = folder.path().join("mixed.jsonl");
    std::fs::write(&mixed, format!("{PAIRS}{{\"comment\": 3}}\n{{\"comm")).unwrap();
    let made = run(
        &|it| it.data = Box::leak(mixed.clone().into_boxed_path()),
        false,
    )
    .unwrap();
    assert_eq!((made.examples, made.left_out), (4, 2));

    // A base of another vocabulary, of NaN, and settings that do not fit.
    let other = folder.path().join("other");
    let config = CausalLmConfig {
        vocab_size: 4000,
        hidden_size: 8,
        num_hidden_layers: 1,
        ..CausalLmConfig::toy()
    };
    let model = config.init(&mut Rng::new(3), &device).unwrap();
    model.save(&other, &config, Precision::F32).unwrap();
    let broken = folder.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(base.join(name), other.join(name)).unwrap();
        std::fs::copy(base.join(name), broken.join(name)).unwrap();
    }
    std::fs::copy(base.join("config.json"), broken.join("config.json")).unwrap();
    let weights = Weights::open(base.join("model.safetensors")).unwrap();
    let mut file = TensorFile::new();
    for name in weights.names() {
        let mut values = weights.values(name).unwrap();
        if name == "model.norm.weight" {
            values[0] = f32::NAN;
        }
        let shape = weights.shape(name).unwrap();
        file.floats(name, shape, &values, Precision::F32).unwrap();
    }
    file.write(broken.join("model.safetensors")).unwrap();
    let [other, broken, nowhere] = [other, broken, folder.path().join("nowhere")]
        .map(|path| &*Box::leak(path.into_boxed_path()));
    let target = |name: &str| {
        let mut recipe = recipe();
        recipe.lora.as_mut().unwrap().targets = vec![name.to_owned()];
        recipe
    };
    type Change<'a> = &'a dyn Fn(&mut Training<'_>);
    let cases: [(Change<'_>, &str); 8] = [
        (&|it| it.base = other.to_str().unwrap(), "rows"),
        (&|it| it.base = broken.to_str().unwrap(), "not a number"),
        (&|it| it.base = nowhere.to_str().unwrap(), "nowhere"),
        (&|it| it.from = Some(nowhere), "adapter_config.json"),
        (
            &|it| it.recipe = target("query"),
            "`query` is not a projection",
        ),
        (&|it| it.last_blocks = Some(3), "from 1 to 2"),
        (&|it| it.epochs = f64::NAN, "--epochs"),
        (&|it| it.recipe.rate = -1.0, "learning rate"),
    ];
    for (change, wanted) in cases {
        let line = run(change, false).unwrap_err();
        assert!(line.contains(wanted) && !line.contains('\n'), "{line}");
    }

    // Folders that hold something else.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("adapter_config.json"), "{}").unwrap();
    let training = stage(&base, &data, &prompts);
    let line = training
        .run(&device, &place(&taken, false, &GO))
        .unwrap_err();
    assert!(line.to_string().contains("holds an adapter already"));
    let out = folder.path().join("out-twice");
    training.run(&device, &place(&out, false, &GO)).unwrap();
    let changed = Training {
        epochs: 3.0,
        ..training
    };
    let line = changed.run(&device, &place(&out, true, &GO)).unwrap_err();
    assert!(line.to_string().contains("other options"), "{line}");
}

/// The model that `orrery pull smollm2` brings, where it is here: rounded weights widened, against the decoder that rounds inputs too.
#[test]
fn a_quantised_model_is_trained_as_it_generates() {
    let Ok(path) = resolve("smollm2", &HubSettings::from_environment()) else {
        println!("skipped: smollm2 is not pulled");
        return;
    };
    let (config, model, tokenizer) = open_base("smollm2", &Device::flex()).unwrap();
    let pair = encode_reply(
        &tokenizer,
        [
            "You are a helpful AI assistant.",
            "What is the capital of France?",
        ],
        "The capital of France is Paris.",
        512,
    )
    .unwrap();
    let decoder = Decoder::open(&path).unwrap();
    let mut cache = Cache::new(decoder.config());
    let mut segment = [Segment::new(Input::Ids(&pair.ids), &mut cache)];
    let request = Request {
        logits: Logits::All,
        ..Request::default()
    };
    let found = decoder.forward(&mut segment, &request).unwrap().remove(0);
    let row: Vec<i32> = pair.ids.iter().map(|&id| id as i32).collect();
    let row = TensorData::new(row, [1, pair.ids.len()]);
    let row = Tensor::<2, Int>::from_data(row, &Device::flex().autodiff());
    let expected = values(model.forward(row));
    let off: f32 = found
        .logits
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .sum();
    let mean = off / expected.len() as f32;
    let nats = loss(&model, &batch_of(std::slice::from_ref(&pair)));
    println!(
        "{} parameters: logits off by {mean} in the mean, loss {nats}",
        config.parameters()
    );
    assert!(mean < 0.5 && nats < 1.0);
}
