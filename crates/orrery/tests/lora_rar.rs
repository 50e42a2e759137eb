//! `orrery lora-rar` as a user runs it, on small random adapters.
#![cfg(feature = "lora-rar")]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use base::media::{Image, write_image};
use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use serde_json::Value;

#[path = "common/chat_server.rs"]
#[allow(dead_code)]
mod chat_server;
mod common;
use chat_server::{ChatServer, Mood};
use common::{folder, orrery};

const BLOCK: &str = "down_blocks.1.attentions.0.transformer_blocks.0";

/// A LoRA for SDXL-like attentions `width` wide that read text `text` wide.
struct Lora {
    width: usize,
    text: usize,
    rank: usize,
    alpha: Option<f32>,
    kohya: bool,
}

impl Lora {
    fn new(rank: usize) -> Self {
        Self {
            width: 640,
            text: 2048,
            rank,
            alpha: None,
            kohya: false,
        }
    }

    fn write(&self, path: &Path, seed: u64) {
        let mut rng = Rng::new(seed);
        let mut file = TensorFile::new();
        for part in ["attn1.to_q", "attn1.to_k", "attn1.to_out.0", "attn2.to_k"] {
            let input = if part == "attn2.to_k" {
                self.text
            } else {
                self.width
            };
            let module = format!("{BLOCK}.{part}");
            let (stem, ends) = match self.kohya {
                true => (
                    format!("lora_unet_{}", module.replace('.', "_")),
                    [".lora_down.weight", ".lora_up.weight"],
                ),
                false => (
                    format!("unet.{module}"),
                    [".lora_A.weight", ".lora_B.weight"],
                ),
            };
            let mut put = |end: &str, shape: &[usize]| {
                let values = rng.normals(shape.iter().product());
                file.floats(&format!("{stem}{end}"), shape, &values, Precision::F32)
                    .unwrap();
            };
            put(ends[0], &[self.rank, input]);
            put(ends[1], &[self.width, self.rank]);
            if let Some(alpha) = self.alpha {
                file.floats(&format!("{stem}.alpha"), &[], &[alpha], Precision::F32)
                    .unwrap();
            }
        }
        file.write(path).unwrap();
    }
}

/// A hypernetwork with the names of the published ones.
fn hypernet(path: &Path) {
    let mut rng = Rng::new(9);
    let mut file = TensorFile::new();
    let shapes: [(&str, &[usize]); 6] = [
        ("input_1.weight", &[8, 1280]),
        ("input_1.bias", &[8]),
        ("input_2.weight", &[8, 2560]),
        ("input_2.bias", &[8]),
        ("output.1.weight", &[2, 8]),
        ("output.1.bias", &[2]),
    ];
    for (name, shape) in shapes {
        let values = rng.normals(shape.iter().product());
        file.floats(name, shape, &values, Precision::F32).unwrap();
    }
    file.write(path).unwrap();
}

const MERGE: [&str; 8] = [
    "lora-rar",
    "merge",
    "--content",
    "a.safetensors",
    "--style",
    "b.safetensors",
    "--out",
    "m.safetensors",
];

fn merge(at: &Path, more: &[&str]) -> common::Ran {
    orrery(at, &[&MERGE, more].concat())
}

#[test]
fn two_files_of_different_names_and_ranks_become_one() {
    let folder = folder();
    let at = folder.path();
    Lora::new(4).write(&at.join("a.safetensors"), 1);
    let kohya = Lora {
        kohya: true,
        alpha: Some(3.0),
        ..Lora::new(3)
    };
    kohya.write(&at.join("b.safetensors"), 2);
    hypernet(&at.join("h.safetensors"));
    let args = [
        "--hypernet",
        "h.safetensors",
        "--report",
        "r.json",
        "--json",
    ];
    let ran = merge(at, &args).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (
            &said["layers"],
            &said["rank"],
            &said["asked_of_hypernetwork"]
        ),
        (&4.into(), &7.into(), &2.into())
    );
    let merged = Weights::open(at.join("m.safetensors")).unwrap();
    let name = format!("unet.{BLOCK}.attn2.to_k.lora_A.weight");
    assert_eq!(merged.shape(&name), Some(&[7, 2048][..]));
    // Projections of keys are summed: the content's rows are there as they were.
    let content = Weights::open(at.join("a.safetensors"))
        .unwrap()
        .values(&name)
        .unwrap();
    assert_eq!(merged.values(&name).unwrap()[..content.len()], content);
    assert_eq!(merged.metadata()["method"], "rar");
    assert_eq!(merged.metadata()["content_sha256"].len(), 64);
    let report: Value = serde_json::from_slice(&std::fs::read(at.join("r.json")).unwrap()).unwrap();
    let asked = report["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|layer| !layer["coefficients"].is_null());
    assert_eq!(asked.count(), 2);

    for method in ["direct", "svd", "dare_ties_svd", "magnitude_prune_svd"] {
        merge(at, &["--method", method, "--format", "kohya"]).worked();
        let merged = Weights::open(at.join("m.safetensors")).unwrap();
        let flat = BLOCK.replace('.', "_");
        let alpha = merged
            .values(&format!("lora_unet_{flat}_attn1_to_q.alpha"))
            .unwrap();
        assert_eq!(
            alpha,
            [if method == "direct" { 7.0 } else { 4.0 }],
            "{method}"
        );
    }
    std::fs::remove_file(at.join("m.safetensors")).unwrap();
    let dry = merge(at, &["--method", "direct", "--dry-run"]).worked();
    assert!(dry.out.starts_with("4 layers in both"), "{}", dry.out);
    assert!(!at.join("m.safetensors").exists());
}

#[test]
fn a_merge_does_not_overwrite_what_it_reads() {
    let folder = folder();
    let at = folder.path();
    for name in ["a.safetensors", "b.safetensors"] {
        Lora::new(4).write(&at.join(name), 1);
    }
    let before = std::fs::read(at.join("b.safetensors")).unwrap();
    let args = [&MERGE[..7], &["b.safetensors", "--method", "direct"]].concat();
    let line = orrery(at, &args).refused(2);
    assert!(line.contains("would be lost"), "{line}");
    assert_eq!(std::fs::read(at.join("b.safetensors")).unwrap(), before);
}

#[test]
fn inspect_tells_format_base_ranks_and_alphas() {
    let folder = folder();
    let kohya = Lora {
        kohya: true,
        alpha: Some(2.0),
        ..Lora::new(4)
    };
    kohya.write(&folder.path().join("a.safetensors"), 1);
    let ran = orrery(
        folder.path(),
        &["lora-rar", "inspect", "a.safetensors", "--json", "--layers"],
    )
    .worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["format"], "kohya");
    assert_eq!(said["base"], "SDXL");
    assert_eq!(said["ranks"], serde_json::json!([4]));
    assert_eq!(said["layers"][0]["scale"], 0.5);
    let ran = orrery(folder.path(), &["lora-rar", "inspect", "a.safetensors"]).worked();
    assert!(
        ran.out.contains("for SDXL") && ran.out.contains("alpha     in every layer"),
        "{}",
        ran.out
    );
}

#[test]
fn inspect_counts_what_is_not_finite() {
    let folder = folder();
    let path = folder.path().join("a.safetensors");
    Lora::new(4).write(&path, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    // The last two values of the file, which are of one layer.
    let end = bytes.len();
    bytes[end - 8..end - 4].copy_from_slice(&f32::NAN.to_le_bytes());
    bytes[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let args = ["lora-rar", "inspect", "a.safetensors", "--layers"];
    let ran = orrery(folder.path(), &args).worked();
    let told = "damaged   2 values are NaN or infinite, in 1 layers, first in unet.down_blocks.1";
    assert!(ran.out.contains(told), "{}", ran.out);
    let ran = orrery(folder.path(), &[&args[..], &["--json"]].concat()).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["not_finite"], 2, "{said}");
    assert_eq!(said["layers_not_finite"].as_array().unwrap().len(), 1);
    assert_eq!(
        said["layers"].as_array().unwrap().len(),
        3,
        "those that are whole"
    );
}

#[test]
fn options_that_a_method_does_not_use_are_refused() {
    let folder = folder();
    let at = folder.path();
    Lora::new(4).write(&at.join("a.safetensors"), 1);
    Lora::new(4).write(&at.join("b.safetensors"), 2);
    for (method, option, value) in [
        ("direct", "--steps", "3"),
        ("direct", "--density", "0.3"),
        ("svd", "--density", "0.3"),
        ("ties", "--seed", "1"),
        ("rar", "--content-prompt", "sks dog"),
        ("cat", "--model", "embedded"),
    ] {
        let line = merge(at, &["--method", method, option, value]).refused(2);
        let told = format!("`{option}` does nothing with `--method {method}`");
        assert!(line.contains(&told), "{line}");
    }
    merge(
        at,
        &["--method", "dare_ties", "--seed", "1", "--density", "0.3"],
    )
    .worked();
}

#[test]
fn what_does_not_go_together_is_refused_in_one_line() {
    let folder = folder();
    let at = folder.path();
    let [a, b] = ["a.safetensors", "b.safetensors"].map(|name| at.join(name));
    hypernet(&at.join("h.safetensors"));
    let rar = ["--hypernet", "h.safetensors"];
    let old = Lora {
        width: 320,
        text: 768,
        ..Lora::new(4)
    };

    Lora::new(4).write(&a, 1);
    Lora::new(4).write(&b, 2);
    let line = merge(at, &[]).refused(2);
    assert!(line.contains("`rar` needs its network"), "{line}");

    // For another base: named, with the first five keys.
    old.write(&b, 2);
    let line = merge(at, &rar).refused(2);
    assert!(
        line.contains("for Stable Diffusion 1.x") && line.contains("for SDXL"),
        "{line}"
    );
    assert_eq!(line.matches("`unet.").count(), 5, "{line}");
    old.write(&a, 1);
    let line = merge(at, &rar).refused(2);
    assert!(
        line.contains("[640, 1280]") && line.matches("`unet.").count() >= 5,
        "{line}"
    );
    merge(at, &["--method", "direct"]).worked();

    // Ranks that differ, where the method needs equal ones.
    Lora::new(4).write(&a, 1);
    Lora::new(3).write(&b, 2);
    let line = merge(at, &["--method", "ties"]).refused(2);
    assert!(
        line.contains("rank 4") && line.contains("ties_svd"),
        "{line}"
    );

    // No alpha in a kohya file: said, and merged as it is.
    Lora {
        kohya: true,
        ..Lora::new(4)
    }
    .write(&b, 2);
    let ran = merge(at, &rar).worked();
    assert!(
        ran.err
            .contains("4 layers of `b.safetensors` have no alpha"),
        "{}",
        ran.err
    );

    let write = |fill: &dyn Fn(&mut TensorFile)| {
        let mut file = TensorFile::new();
        fill(&mut file);
        file.write(&b).unwrap();
    };
    let zeros = |file: &mut TensorFile, name: &str, shape: &[usize]| {
        let values = vec![0.0; shape.iter().product()];
        file.floats(name, shape, &values, Precision::F32).unwrap();
    };
    let q = format!("unet.{BLOCK}.attn1.to_q");
    write(&|file| {
        zeros(file, &format!("{q}.lora_A.weight"), &[0, 640]);
        zeros(file, &format!("{q}.lora_B.weight"), &[640, 0]);
    });
    let line = merge(at, &rar).refused(2);
    assert!(line.contains("rank 0"), "{line}");
    write(&|file| zeros(file, &format!("{q}.lora_A.weight"), &[4, 640]));
    let line = merge(at, &rar).refused(2);
    assert!(line.contains("only its down factor"), "{line}");
    write(&|file| zeros(file, "lora_unet_x.dora_scale", &[1]));
    assert!(merge(at, &rar).refused(2).contains("DoRA"));
    write(&|file| {
        for layer in 0..7 {
            zeros(
                file,
                &format!("transformer.layers.{layer}.lora_A.weight"),
                &[4, 8],
            );
        }
    });
    let line = merge(at, &rar).refused(2);
    assert!(line.contains("another base model"), "{line}");
    assert_eq!(line.matches("`transformer.layers.").count(), 5, "{line}");
    std::fs::write(&b, b"nothing of the kind").unwrap();
    merge(at, &rar).refused(2);
    std::fs::remove_file(&b).unwrap();
    merge(at, &rar).refused(2);
    // A LoRA in the place of the hypernetwork.
    Lora::new(4).write(&b, 2);
    let line = merge(at, &["--hypernet", "a.safetensors"]).refused(2);
    assert!(line.contains("not a hypernetwork"), "{line}");
    let line = merge(at, &["--method", "direct", "--density", "0"]);
    assert_eq!(line.code, Some(2));
}

#[test]
fn the_judge_asks_each_reference_once_and_goes_on() {
    let folder = folder();
    let at = folder.path();
    for place in [
        "made/dog/oil_painting2",
        "data/subjects/dog",
        "data/styles/oil_painting2",
    ] {
        std::fs::create_dir_all(at.join(place)).unwrap();
    }
    let picture = |place: &str, tone: u8| {
        let picture = Image::filled(9, 7, [tone; 3]);
        write_image(at.join(place), &picture, &[]).unwrap();
    };
    picture("made/dog/oil_painting2/0.png", 1);
    picture("data/subjects/dog/0.png", 2);
    picture("data/subjects/dog/1.png", 3);
    picture("data/styles/oil_painting2/0.png", 4);
    let server = ChatServer::start(vec![Mood::Fine], |prompt| {
        // Of the two subject references one is enough for no majority.
        if prompt.contains("oil painting") {
            "Yes."
        } else {
            "No"
        }
        .to_owned()
    });
    let url = server.url();
    let args = [
        "lora-rar",
        "judge",
        "--generated",
        "made",
        "--references",
        "data",
        "--url",
        &url,
        "--model",
        "m",
        "--out",
        "votes.jsonl",
        "--json",
    ];
    let ran = orrery(at, &args).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&said["subject"], &said["style"], &said["both"]),
        (&0.0.into(), &1.0.into(), &0.0.into())
    );
    assert_eq!(server.asked(), 3);
    orrery(at, &args).worked();
    assert_eq!(server.asked(), 3, "what was answered is not asked again");

    std::fs::remove_file(at.join("data/styles/oil_painting2/0.png")).unwrap();
    std::fs::remove_file(at.join("votes.jsonl")).unwrap();
    let line = orrery(at, &args).refused(2);
    assert!(line.contains("holds no picture"), "{line}");
}
