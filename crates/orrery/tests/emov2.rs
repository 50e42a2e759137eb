//! `orrery emov2` as a user runs it, on tiny data.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use base::media::{Clip, Image, write_clip, write_image};
use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile};
use serde_json::Value;

mod common;
use common::{folder, names, orrery};

/// A data set of two kinds of pictures, light and dark.
fn data(folder: &Path) -> PathBuf {
    let place = folder.join("data");
    let mut rng = Rng::new(1);
    for (class, base) in [("dark", 20), ("light", 200)] {
        std::fs::create_dir_all(place.join(class)).unwrap();
        for at in 0..20 {
            let pixels = (0..24 * 20 * 3)
                .map(|_| base + rng.below(40) as u8)
                .collect();
            let picture = Image::new(24, 20, pixels).unwrap();
            write_image(place.join(class).join(format!("{at}.png")), &picture, &[]).unwrap();
        }
    }
    place
}

const QUICK: [&str; 12] = [
    "--size",
    "32",
    "--epochs",
    "2",
    "--batch",
    "8",
    "--least-crop",
    "0.9",
    "--jitter",
    "0",
    "--threads",
    "2",
];

/// A classifier trained for moments.
fn trained(folder: &Path) -> PathBuf {
    data(folder);
    let mut args = vec!["emov2", "train", "--data", "data", "--out", "run"];
    args.extend(QUICK);
    orrery(folder, &args).worked();
    folder.join("run/model.safetensors")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_folder_of_pictures_becomes_a_classifier_that_looks_at_anything() {
    let at = folder();
    let at = at.path();
    trained(at);
    assert_eq!(
        names(&at.join("run")),
        [
            "checkpoint.safetensors",
            "lock",
            "log.jsonl",
            "model.safetensors",
            "run.json"
        ]
    );
    let model = ["--model", "run/model.safetensors"];

    // Pictures of every kind; what cannot be read is told in one line.
    let grey = Image::filled(33, 17, [90; 3]);
    write_image(at.join("grey.jpg"), &grey, &[]).unwrap();
    write_image(at.join("dot.png"), &Image::filled(1, 1, [9; 3]), &[]).unwrap();
    write_image(at.join("strip.png"), &Image::filled(3000, 2, [9; 3]), &[]).unwrap();
    let frames = [[0; 3], [250; 3]].map(|c| Image::filled(20, 20, c));
    let clip = Clip::new(frames.to_vec(), 100).unwrap();
    write_clip(at.join("moving.gif"), &clip, &[]).unwrap();
    for image in ["grey.jpg", "dot.png", "strip.png", "moving.gif"] {
        let args = ["emov2", "classify", image, "--json"];
        let ran = orrery(at, &[&args[..], &model[..]].concat()).worked();
        let said = json(&ran.out);
        let classes = said["classes"].as_array().unwrap();
        assert_eq!(classes.len(), 2, "{image}");
        let sum: f64 = classes
            .iter()
            .map(|c| c["probability"].as_f64().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-4, "{image}: {sum}");
    }
    std::fs::write(at.join("text.png"), "no picture").unwrap();
    let line = orrery(
        at,
        &[&["emov2", "classify", "text.png"], &model[..]].concat(),
    )
    .refused(2);
    assert!(line.contains("not a picture"), "{line}");

    // Drawn, measured, taken apart and written again.
    let args = ["emov2", "classify", "grey.jpg", "--out", "answer.png"];
    orrery(at, &[&args[..], &model[..]].concat()).worked();
    assert!(at.join("answer.png").exists());
    let args = ["emov2", "eval", "--data", "data", "--json"];
    let ran = orrery(at, &[&args[..], &model[..]].concat()).worked();
    assert_eq!(json(&ran.out)["pictures"], 4);
    let args = [
        "emov2",
        "features",
        "grey.jpg",
        "--stage",
        "4",
        "--out",
        "f.safetensors",
        "--json",
    ];
    let ran = orrery(at, &[&args[..], &model[..]].concat()).worked();
    assert_eq!(
        json(&ran.out)["shapes"]["stage4"].as_array().unwrap().len(),
        4
    );
    let args = [
        "emov2",
        "export",
        "--precision",
        "f16",
        "--out",
        "half.safetensors",
    ];
    orrery(at, &[&args[..], &model[..]].concat()).worked();
    let args = [
        "emov2",
        "classify",
        "grey.jpg",
        "--model",
        "half.safetensors",
    ];
    orrery(at, &args).worked();

    // A finished run is not trained over, and goes on by its own settings alone.
    let again = ["emov2", "train", "--data", "data", "--out", "run"];
    assert!(
        orrery(at, &again)
            .refused(2)
            .contains("already holds a run")
    );
    let other = [
        "emov2", "train", "--out", "run", "--resume", "--epochs", "9",
    ];
    assert!(orrery(at, &other).refused(2).contains("its own settings"));
    orrery(at, &["emov2", "train", "--out", "run", "--resume"]).worked();
}

#[test]
fn bad_data_sets_are_told_in_one_line() {
    let at = folder();
    let at = at.path();
    let train = |data: &str| {
        let mut args = vec!["emov2", "train", "--data", data, "--out", "run"];
        args.extend(QUICK);
        orrery(at, &args).refused(2)
    };
    assert!(train("absent").contains("absent"));
    std::fs::create_dir_all(at.join("none")).unwrap();
    assert!(train("none").contains("holds no data set"));
    std::fs::create_dir_all(at.join("one/cats")).unwrap();
    let picture = Image::filled(8, 8, [9; 3]);
    write_image(at.join("one/cats/a.png"), &picture, &[]).unwrap();
    assert!(train("one").contains("single class"));
    std::fs::create_dir_all(at.join("one/dogs")).unwrap();
    assert!(train("one").contains("holds no PNG"));

    // IDX files: cut short, and with labels beyond the names.
    let idx = |name: &str, head: &[u8], body: usize| {
        let mut bytes = head.to_vec();
        bytes.resize(head.len() + body, 3);
        std::fs::create_dir_all(at.join("idx")).unwrap();
        std::fs::write(at.join("idx").join(name), bytes).unwrap();
    };
    let images = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4];
    idx("train-images-idx3-ubyte", &images, 31);
    idx("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2], 2);
    assert!(train("idx").contains("do not fit"));
    idx("train-images-idx3-ubyte", &images, 32);
    std::fs::write(at.join("names.txt"), "shirt\nshoe\n").unwrap();
    let args = [
        "emov2",
        "train",
        "--data",
        "idx",
        "--class-names",
        "names.txt",
        "--out",
        "run",
    ];
    assert!(orrery(at, &args).refused(2).contains("out of range"));
}

#[test]
fn damaged_pictures_stop_a_training_by_name() {
    let at = folder();
    let at = at.path();
    let place = data(at);
    std::fs::write(place.join("dark/0.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    let mut args = vec!["emov2", "train", "--data", "data", "--out", "run"];
    args.extend(QUICK);
    let ran = orrery(at, &args);
    assert_ne!(ran.code, Some(0));
    assert!(ran.err.contains("0.png"), "{}", ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

#[test]
fn checkpoints_of_another_kind_and_wrong_options_are_told_in_one_line() {
    let at = folder();
    let at = at.path();
    write_image(at.join("p.png"), &Image::filled(8, 8, [9; 3]), &[]).unwrap();
    let classify =
        |model: &str| orrery(at, &["emov2", "classify", "p.png", "--model", model]).refused(2);
    assert!(classify("absent.pth").contains("absent.pth"));
    std::fs::write(at.join("junk.pth"), [0x80, 2, 9, 9, 9]).unwrap();
    assert!(classify("junk.pth").contains("junk.pth"));
    let mut file = TensorFile::new();
    file.floats(
        "stage0.0.conv.weight",
        &[2, 3, 3, 3],
        &[0.0; 54],
        Precision::F32,
    )
    .unwrap();
    file.write(at.join("other.safetensors")).unwrap();
    assert!(classify("other.safetensors").contains("no network here"));
    // A config that asks for more than the file holds is refused before anything of its size is made.
    let mut config = vision::emov2::EmoConfig::nano(2);
    config.embed_dims = [16_000; 4];
    config.dim_heads = [16; 4];
    file.note("emov2.config", serde_json::to_string(&config).unwrap());
    file.write(at.join("vast.safetensors")).unwrap();
    assert!(classify("vast.safetensors").contains("its config asks for"));
    let args = [
        "emov2",
        "detect",
        "p.png",
        "--head",
        "ssdlite",
        "--model",
        "other.safetensors",
    ];
    assert!(orrery(at, &args).refused(2).contains("no such head"));
    let args = [
        "emov2",
        "segment",
        "p.png",
        "--head",
        "fpn",
        "--model",
        "other.safetensors",
    ];
    assert!(orrery(at, &args).refused(2).contains("conv_seg"));
    assert_eq!(orrery(at, &["emov2", "count", "emo2-7m"]).code, Some(2));
    let ran = orrery(at, &["emov2", "count", "emo2-5m", "--json"]).worked();
    let row = &json(&ran.out)["networks"][0];
    assert_eq!(row["parameters"], 5_126_440);
    assert_eq!(row["total"], 1_035_473_760);
}
