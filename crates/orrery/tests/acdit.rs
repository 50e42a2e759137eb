//! `orrery acdit` from the outside.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use base::media::{Image, read_text, write_image};
use common::{Ran, folder, orrery};
use serde_json::Value;

fn acdit(at: &Path, args: &[&str]) -> Ran {
    orrery(at, &[&["acdit"], args].concat())
}

/// A folder with two classes of small pictures.
fn pictures(at: &Path) {
    for (class, colour) in [("dark", [20, 10, 40]), ("light", [230, 240, 200])] {
        fs::create_dir_all(at.join("data").join(class)).unwrap();
        for number in 0..3 {
            let picture = Image::filled(20, 16 + number, colour);
            let path = at.join(format!("data/{class}/{number}.png"));
            write_image(path, &picture, &[]).unwrap();
        }
    }
}

const TINY: [&str; 17] = [
    "train", "--data", "data", "--out", "run", "--side", "16", "--block", "2x2", "--width", "32",
    "--depth", "1", "--steps", "4", "--batch", "2",
];

#[test]
fn a_small_model_is_trained_goes_on_and_learns_to_classify() {
    let folder = folder();
    let at = folder.path();
    pictures(at);
    acdit(at, &TINY).worked();
    let line = acdit(at, &TINY).refused(2);
    assert!(line.contains("already holds a run"), "{line}");
    acdit(at, &["train", "--resume", "run"]).worked();
    let model = "run/model.safetensors";
    let sample = [
        "sample", "--model", model, "--steps", "2", "--seed", "0", "--out", "a.png",
    ];
    acdit(at, &sample).worked();
    let note = read_text(at.join("a.png"), "orrery acdit")
        .unwrap()
        .unwrap();
    let note: Value = serde_json::from_str(&note).unwrap();
    assert_eq!(note["classes"], serde_json::json!(["dark", "light"]));
    assert_eq!(note["seed"], 0);
    let line = acdit(at, &["classify", "--model", model, "--by", "head", "a.png"]).refused(2);
    assert!(line.contains("--goal head"), "{line}");
    let ran = acdit(at, &["classify", "--model", model, "--draws", "2", "a.png"]).worked();
    assert!(ran.out.contains("error"), "{}", ran.out);
    let head = [
        "train", "--goal", "head", "--init", model, "--data", "data", "--out", "head", "--steps",
        "4", "--batch", "2",
    ];
    acdit(at, &head).worked();
    let model = "head/model.safetensors";
    let ran = acdit(at, &["classify", "--model", model, "data/dark/0.png"]).worked();
    assert!(
        ran.out.contains("dark") && ran.out.contains('%'),
        "{}",
        ran.out
    );
    let ran = acdit(at, &["info", "--model", model, "--json"]).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        said["about"]["classes"],
        serde_json::json!(["dark", "light"])
    );
    assert_eq!(said["classifies"], true);
}

#[test]
fn wrong_classes_blocks_and_files_are_told_in_one_line() {
    let folder = folder();
    let at = folder.path();
    pictures(at);
    fs::write(at.join("text.png"), "no picture").unwrap();
    fs::write(at.join("short.safetensors"), [9, 0, 0]).unwrap();
    fs::write(
        at.join("sizes.json"),
        r#"{"hidden_size": 96, "num_heads": 5}"#,
    )
    .unwrap();
    let other = r#"{"hidden_size": 64, "num_heads": 2, "latent_size": 48, "block_size": 4, "spatial_len": 16, "num_classes": 2}"#;
    fs::write(at.join("other.json"), other).unwrap();
    acdit(at, &TINY).worked();
    let model = "run/model.safetensors";
    let cases: &[(&[&str], &str)] = &[
        (&["sample", "--model", model, "--class", "2"], "0 to 1"),
        (
            &["sample", "--model", model, "--class", "lihgt"],
            "did you mean `light`",
        ),
        (&["sample", "--model", model, "--out", "a.tiff"], "`.png`"),
        (
            &["sample", "--model", model, "--out", "absent/a.png"],
            "absent",
        ),
        (&["sample", "--model", "absent.pt"], "absent.pt"),
        (
            &["sample", "--model", "short.safetensors"],
            "short.safetensors",
        ),
        (&["video", "--model", model], "draws pictures"),
        (
            &["continue", "--model", model, "--init", "text.png"],
            "text.png",
        ),
        (
            &["continue", "--model", model, "--init", "absent.gif"],
            "absent.gif",
        ),
        (&["classify", "--model", model, "text.png"], "text.png"),
        (
            &["flops", "--seq", "1000", "--block", "256"],
            "do not divide",
        ),
        (&["train", "--resume", "absent"], "run.json"),
        (&["train", "--data", "absent", "--out", "other"], "absent"),
    ];
    for (args, expected) in cases {
        let line = acdit(at, args).refused(2);
        assert!(line.contains(expected), "{args:?}: {line}");
    }
    for (more, expected) in [
        (&["--block", "3x3"][..], "do not divide"),
        (&["--patch", "5"], "do not divide"),
        (&["--heads", "5"], "do not divide"),
        (&["--frames", "5", "--block-frames", "2"], "do not divide"),
    ] {
        let mut args = TINY.to_vec();
        // The later of two equal options is refused by the parser: take the first away.
        if let Some(first) = args.iter().position(|arg| *arg == more[0]) {
            args.drain(first..first + 2);
        }
        args.extend(more);
        let line = acdit(at, &args).refused(2);
        assert!(line.contains(expected), "{more:?}: {line}");
    }
    for (sizes, expected) in [("sizes.json", "heads"), ("other.json", "x_embedder")] {
        let args = ["sample", "--model", model, "--config", sizes];
        let line = acdit(at, &args).refused(2);
        assert!(line.contains(expected), "{line}");
    }
    fs::write(at.join("data/dark/3.png"), "damaged").unwrap();
    let mut args = TINY;
    args[4] = "again";
    let line = acdit(at, &args).refused(2);
    assert!(line.contains("dark/3.png"), "{line}");
    assert!(!at.join("again").exists());
}

#[test]
fn one_picture_stands_alone_and_a_set_of_pictures_has_no_clips() {
    let folder = folder();
    let at = folder.path();
    let one = [
        "sample", "--class", "sneaker", "--steps", "2", "--seed", "1", "--out", "one.png",
    ];
    acdit(at, &one).worked();
    let picture = base::media::read_image(at.join("one.png")).unwrap();
    assert_eq!([picture.width, picture.height], [128, 128]);
    for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        fs::write(at.join(name), [0; 16]).unwrap();
    }
    let clips = ["train", "--data", ".", "--frames", "4", "--out", "run"];
    let line = acdit(at, &clips).refused(2);
    assert!(line.contains("holds pictures, not clips"), "{line}");
}

#[test]
fn what_a_run_goes_on_with_is_its_own() {
    let folder = folder();
    let at = folder.path();
    pictures(at);
    acdit(at, &TINY).worked();
    for more in [["--steps", "9"], ["--batch", "4"], ["--seed", "3"]] {
        let args = [&["train", "--resume", "run"], &more[..]].concat();
        let line = acdit(at, &args).refused(2);
        assert!(
            line.contains("--resume") && line.contains(more[0]),
            "{line}"
        );
    }
    // A checkpoint that was cut off is told as one.
    let path = at.join("run/checkpoint.safetensors");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let line = acdit(at, &["train", "--resume", "run"]).refused(2);
    assert!(
        line.contains("cannot be resumed") && line.contains("not a whole"),
        "{line}"
    );
    // With `--quiet` there is nothing to say.
    fs::write(&path, &whole).unwrap();
    let ran = acdit(at, &["train", "--resume", "run", "--quiet"]).worked();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
}
