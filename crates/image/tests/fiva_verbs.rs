//! `orrery fiva` from references to pictures and from prompts to a trained adapter, on a tiny random model of Stable Diffusion XL's
//! shape.
#![cfg(feature = "fiva")]
#![allow(clippy::unwrap_used)]

#[path = "../../orrery/tests/common/chat_server.rs"]
#[allow(dead_code)]
mod chat_server;
#[path = "../../engine/tests/stable_diffusion/tiny.rs"]
mod tiny;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use base::command::{Context, Failure};
use base::media::{Image, read_image, write_image};
use base::rng::Rng;
use burn::tensor::Device;
use chat_server::{ChatServer, Mood};
use engine::models::qformer::{QFormerConfig, QFormerTextConfig, QFormerVisionConfig};
use engine::models::stable_diffusion::{OpenOptions, StableDiffusion};
use engine::weights::{Precision, Weights};
use image_systems::SYSTEMS;
use image_systems::fiva::{Adapter, checkpoint};
use serde_json::{Value, json};
use tiny::Tiny;

static STOP: AtomicBool = AtomicBool::new(false);

/// Runs `orrery fiva ARGS`.
fn fiva(args: &[&str]) -> Result<(), Failure> {
    let system = SYSTEMS.iter().find(|it| it.card.slug == "fiva").unwrap();
    let words = ["fiva"].iter().chain(args);
    let matches = system
        .command()
        .unwrap()
        .try_get_matches_from(words)
        .map_err(Failure::input)?;
    system.run(&matches, Context { stop: &STOP })
}

fn refused(args: &[&str], wanted: &str) {
    match fiva(args) {
        Err(Failure::Input(line)) => assert!(line.contains(wanted), "{args:?}: {line}"),
        other => panic!("{args:?}: {other:?}"),
    }
}

/// A base model, a Q-Former with its vocabulary, and an adapter that is not trained.
fn models(place: &Path) {
    // Threads of their own: verbs would take part with the thread of one test.
    let _ = rayon::ThreadPoolBuilder::new().build_global();
    let device = Device::flex();
    let xl = Tiny {
        xl: true,
        ..Tiny::default()
    };
    xl.write(&place.join("base"));
    let pieces = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "color", "light", "##ing", "palette",
        "stroke",
    ];
    let config = QFormerConfig {
        vision_config: QFormerVisionConfig {
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            image_size: 28,
            patch_size: 14,
            ..QFormerVisionConfig::default()
        },
        qformer_config: QFormerTextConfig {
            vocab_size: pieces.len() + 1,
            hidden_size: 24,
            intermediate_size: 48,
            num_hidden_layers: 2,
            num_attention_heads: 3,
            encoder_hidden_size: 16,
            max_position_embeddings: 16,
            ..QFormerTextConfig::default()
        },
        num_query_tokens: 4,
    };
    let qformer = config.init(&mut Rng::new(1), &device).unwrap();
    let folder = place.join("qformer");
    std::fs::create_dir_all(&folder).unwrap();
    let file = checkpoint::qformer_tensors(&qformer, Precision::F32).unwrap();
    file.write(folder.join("model.safetensors")).unwrap();
    std::fs::write(
        folder.join("config.json"),
        serde_json::to_vec(&config).unwrap(),
    )
    .unwrap();
    std::fs::write(folder.join("vocab.txt"), pieces.join("\n")).unwrap();
    let base =
        StableDiffusion::open(&place.join("base"), &OpenOptions::default(), &device).unwrap();
    let adapter = Adapter::new(base.unet(), 24, &mut Rng::new(2), &device).unwrap();
    let file = adapter.file(base.unet(), Precision::F32).unwrap();
    file.write(place.join("adapter.safetensors")).unwrap();
}

/// A picture with its own colours.
fn picture(path: &Path, at: usize) {
    let mut picture = Image::filled(20, 16, [(at * 53 % 256) as u8, 90, (at * 101 % 256) as u8]);
    picture.set(3, 4, [255, 255, 0]);
    write_image(path, &picture, &[]).unwrap();
}

#[test]
fn from_references_to_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    models(place);
    for at in [1, 2] {
        picture(&place.join(format!("{at}.png")), at);
    }
    let at = |name: &str| place.join(name).display().to_string();
    let [base, adapter, qformer] = ["base", "adapter.safetensors", "qformer"].map(at);
    let [one, two] = [
        format!("{}:color", at("1.png")),
        format!("{}:lighting:0.5", at("2.png")),
    ];
    let draw = |rest: &[&str], out: &str| {
        let out = at(out);
        let mut args = vec![
            "generate",
            "--model",
            &base,
            "--adapter",
            &adapter,
            "--prompt",
            "a fox",
            "--seed",
            "4",
            "--steps",
            "2",
            "--size",
            "16",
            "--out",
            &out,
        ];
        args.extend(rest);
        fiva(&args).unwrap();
        read_image(&out).unwrap()
    };
    let with = |rest: &[&str], out: &str| {
        let mut args = vec!["--qformer", qformer.as_str()];
        args.extend(rest);
        draw(&args, out)
    };
    let first = with(&["--ref", &one, "--ref", &two], "a.png");
    assert_eq!((first.width, first.height), (16, 16));
    assert!(
        base::media::read_text(at("a.png"), "orrery fiva")
            .unwrap()
            .unwrap()
            .contains("\"tags\":[\"color\",\"lighting\"]")
    );
    // Saved tokens are the references.
    let tokens = at("look.safetensors");
    fiva(&[
        "embed",
        "--adapter",
        &adapter,
        "--qformer",
        &qformer,
        "--ref",
        &one,
        "--ref",
        &two,
        "--out",
        &tokens,
    ])
    .unwrap();
    assert_eq!(draw(&["--tokens", &tokens], "b.png"), first);
    let file = Weights::open(&tokens).unwrap();
    assert_eq!(file.shape("tokens"), Some(&[1, 12, 128][..]));
    // References, their tags and their strengths count; at scale 0 nothing does.
    let other = format!("{}:palette", at("1.png"));
    assert_ne!(with(&["--ref", &other, "--ref", &two], "c.png"), first);
    let weak = format!("{}:color:0.1", at("1.png"));
    assert_ne!(with(&["--ref", &weak, "--ref", &two], "d.png"), first);
    let [none, same] = [&one, &other].map(|it| with(&["--ref", it, "--scale", "0"], "e.png"));
    assert_eq!(none, same);
    for padding in ["full", "published"] {
        with(
            &[
                "--ref",
                &one,
                "--uncond",
                "zero-image",
                "--padding",
                padding,
            ],
            "f.png",
        );
    }
    // What cannot be.
    let all = |rest: &[&str], wanted: &str| {
        let mut args = vec![
            "generate",
            "--model",
            &base,
            "--adapter",
            &adapter,
            "--prompt",
            "x",
        ];
        args.extend(rest);
        refused(&args, wanted);
    };
    all(&["--qformer", &qformer], "0 references");
    all(
        &[
            "--qformer",
            &qformer,
            "--ref",
            &one,
            "--ref",
            &one,
            "--ref",
            &one,
            "--ref",
            &one,
        ],
        "4 references",
    );
    all(&["--ref", "a.png"], "FILE:TAG");
    all(&["--ref", &one], "no Q-Former");
    all(
        &["--ref", &one, "--qformer", &base],
        "no weights of a Q-Former",
    );
    all(&["--ref", &one, "--qformer", &adapter], "query_tokens");
    all(&["--tokens", &adapter], "make it with `orrery fiva embed`");
    all(&["--tokens", &at("1.png")], "it is a PNG picture");
    all(
        &["--tokens", &tokens, "--padding", "full"],
        "cannot be used with",
    );
    all(
        &["--qformer", &qformer, "--ref", "nowhere.png:color"],
        "nowhere.png",
    );
    all(
        &["--qformer", &qformer, "--ref", &one, "--size", "17"],
        "multiples of 2",
    );
    refused(
        &[
            "generate",
            "--model",
            &base,
            "--adapter",
            &tokens,
            "--prompt",
            "x",
            "--qformer",
            &qformer,
            "--ref",
            &one,
        ],
        "image_proj",
    );
}

fn speak(prompt: &str) -> String {
    match prompt.contains("grid") {
        true => "Yes\n\n-\nAll alike.".into(),
        false => "Both are fine.\n[1, 2]\n[2]".into(),
    }
}

#[test]
fn from_prompts_to_an_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    models(place);
    let at = |name: &str| place.join(name).display().to_string();
    fiva(&["data", "taxonomy", "--out", &at("taxonomy.json")]).unwrap();
    fiva(&[
        "data",
        "prompts",
        "--count",
        "60",
        "--seed",
        "3",
        "--taxonomy",
        &at("taxonomy.json"),
        "--out",
        &at("prompts.jsonl"),
    ])
    .unwrap();
    let prompts = std::fs::read_to_string(at("prompts.jsonl")).unwrap();
    let mut lines = String::new();
    for (number, line) in prompts.lines().enumerate() {
        let mut record: Value = serde_json::from_str(line).unwrap();
        picture(&place.join(format!("{number}.png")), number);
        record["image"] = json!(format!("{number}.png"));
        lines += &format!("{record}\n");
    }
    std::fs::write(at("records.jsonl"), lines).unwrap();
    let server = ChatServer::start(vec![Mood::Fine], speak);
    let filter = || {
        fiva(&[
            "data",
            "filter",
            &at("records.jsonl"),
            "--url",
            &server.url(),
            "--judge",
            "m",
            "--repeats",
            "2",
            "--out",
            &at("ranges.json"),
        ])
    };
    filter().unwrap();
    let asked = server.asked();
    assert!(asked > 10, "{asked}");
    let ranges = std::fs::read(at("ranges.json")).unwrap();
    filter().unwrap();
    assert_eq!(
        server.asked(),
        asked,
        "what was answered is not asked again"
    );
    assert_eq!(std::fs::read(at("ranges.json")).unwrap(), ranges);
    fiva(&[
        "data",
        "pairs",
        &at("records.jsonl"),
        "--ranges",
        &at("ranges.json"),
        "--out",
        &at("pairs.jsonl"),
    ])
    .unwrap();
    fiva(&[
        "data",
        "pairs",
        &at("records.jsonl"),
        "--no-filter",
        "--out",
        &at("all.jsonl"),
    ])
    .unwrap();
    let count = |name: &str| std::fs::read_to_string(at(name)).unwrap().lines().count();
    assert!(count("pairs.jsonl") > 5 && count("pairs.jsonl") <= count("all.jsonl"));
    fiva(&[
        "data",
        "stats",
        &at("records.jsonl"),
        "--ranges",
        &at("ranges.json"),
        "--json",
    ])
    .unwrap();

    let [base, qformer, pairs, run] = ["base", "qformer", "pairs.jsonl", "run"].map(at);
    let train = |steps: &str, more: &[&str]| {
        let mut args = vec![
            "train",
            "--model",
            &base,
            "--qformer",
            &qformer,
            "--pairs",
            &pairs,
            "--out",
            &run,
            "--steps",
            steps,
            "--batch",
            "3",
            "--size",
            "16",
            "--rate",
            "1e-3",
            "--json",
        ];
        args.extend(more);
        fiva(&args)
    };
    train("2", &[]).unwrap();
    assert!(matches!(
        train("3", &[]),
        Err(Failure::Input(_) | Failure::Failed(_))
    ));
    let refused = |more: &[&str], wanted: &str| match train("3", more) {
        Err(Failure::Input(said)) => assert!(said.contains(wanted), "{said}"),
        other => panic!("{more:?}: {other:?}"),
    };
    refused(
        &["--resume", "--noisy"],
        "other settings: noisy (false then, true now)",
    );
    std::fs::rename(at("run"), at("moved")).unwrap();
    refused(&["--resume"], "run.json");
    assert!(!place.join("run").exists());
    std::fs::rename(at("moved"), at("run")).unwrap();
    train("3", &["--resume"]).unwrap();
    // The image tower stays as it is; the rest does not.
    let [before, after] = [
        at("qformer/model.safetensors"),
        at("run/qformer.safetensors"),
    ]
    .map(|it| Weights::open(it).unwrap());
    let same = |name: &str| before.values(name).unwrap() == after.values(name).unwrap();
    assert!(same("visual_encoder.encoder.layers.0.mlp.fc1.weight"));
    assert!(!same("query_tokens") && !same("encoder.layer.1.output_query.dense.weight"));
    picture(&place.join("ref.png"), 7);
    let trained = at("run/ip_adapter.safetensors");
    let reference = format!("{}:color", at("ref.png"));
    fiva(&[
        "generate",
        "--model",
        &base,
        "--adapter",
        &trained,
        "--qformer",
        &run,
        "--ref",
        &reference,
        "--prompt",
        "a fox",
        "--steps",
        "1",
        "--size",
        "16",
        "--out",
        &at("drawn.png"),
    ])
    .unwrap();

    // The study: two methods, one row.
    for method in ["ours", "other"] {
        let results = place.join(method).join("ref/color");
        std::fs::create_dir_all(&results).unwrap();
        picture(&results.join("a cat.png"), 3);
    }
    std::fs::write(
        at("set.jsonl"),
        json!({"image_file": "ref.png", "attribute": "color", "target_subjects": {"itself": ["a cat"]}}).to_string(),
    )
    .unwrap();
    let [ours, other] = ["ours", "other"].map(|it| format!("{it}={}", at(it)));
    let asked = server.asked();
    for _ in 0..2 {
        fiva(&[
            "eval",
            "--set",
            &at("set.jsonl"),
            "--results",
            &ours,
            "--results",
            &other,
            "--url",
            &server.url(),
            "--judge",
            "m",
            "--answers",
            &at("answers.jsonl"),
        ])
        .unwrap();
    }
    assert_eq!(server.asked(), asked + 1);
}

/// Without a pretrained Q-Former: pictures of things, renderings, a small Q-Former, an adapter.
#[test]
fn from_drawn_things_to_an_adapter_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    models(place);
    let at = |name: &str| place.join(name).display().to_string();
    let run = |line: &str| {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| match word.strip_prefix('@') {
                Some(name) => at(name),
                None => word.to_owned(),
            })
            .collect();
        fiva(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let wrong = |line: &str, wanted: &str| match run(line) {
        Err(Failure::Input(said)) => assert!(said.contains(wanted), "{line}: {said}"),
        other => panic!("{line}: {other:?}"),
    };
    std::fs::create_dir(place.join("drawn")).unwrap();
    wrong("data render @drawn --out @set", "no picture");
    wrong("data render @nowhere --out @set", "nowhere");
    for (number, name) in ["cat.png", "cat-2.png", "red_apple.png"].iter().enumerate() {
        picture(&place.join("drawn").join(name), number);
    }
    run("data render @drawn --looks 6 --out @set").unwrap();
    let records = std::fs::read_to_string(at("set/records.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 18);
    assert_eq!(records.matches("\"subject\":\"cat\"").count(), 12);
    wrong("data render @drawn --out @set", "holds a set already");
    run("data pairs @set/records.jsonl --no-filter --out @pairs.jsonl").unwrap();
    wrong(
        "qformer @set/records.jsonl --side 20 --out @small",
        "multiple of 8",
    );
    run("qformer @set/records.jsonl --side 16 --steps 2 --out @small").unwrap();
    wrong(
        "qformer @set/records.jsonl --out @small",
        "holds a Q-Former already",
    );
    run("train --model @base --qformer @small --pairs @pairs.jsonl --out @run --steps 2 --batch 2 --size 16 --direct --noisy --json")
        .unwrap();
    let [before, after] = [
        at("small/qformer.safetensors"),
        at("run/qformer.safetensors"),
    ]
    .map(|it| Weights::open(it).unwrap());
    let same = |name: &str| before.values(name).unwrap() == after.values(name).unwrap();
    assert!(same("visual_encoder.encoder.layers.1.mlp.fc1.weight") && !same("query_tokens"));
    let reference = at("set/00003.png");
    run(&format!(
        "generate --model @base --adapter @run/ip_adapter.safetensors --qformer @run --ref {reference}:color --prompt fox --direct --steps 1 --size 16 --out @drawn.png"
    ))
    .unwrap();
}
