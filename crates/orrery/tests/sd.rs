//! `orrery sd` at the command line, on a tiny random model.
#![cfg(feature = "sd")]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../engine/tests/stable_diffusion/tiny.rs"]
mod tiny;

use std::path::Path;

use base::media::read_text;
use common::{folder, names, orrery};
use serde_json::{Value, json};
use tiny::Tiny;

fn model(place: &Path) {
    Tiny::default().write(&place.join("model"));
}

/// Runs `orrery sd ARGS`, with the tiny model and few steps.
fn sd(place: &Path, args: &[&str]) -> common::Ran {
    let mut all = vec!["sd"];
    all.extend(args);
    all.extend(["--model", "model", "--steps", "2", "--threads", "1"]);
    orrery(place, &all)
}

#[test]
fn pictures_and_the_same_ones_again() {
    let place = folder();
    let place = place.path();
    model(place);
    let ran = sd(
        place,
        &["generate", "A red fox!", "--seed", "7", "--count", "2"],
    )
    .worked();
    assert!(ran.out.contains("a-red-fox-7.png"), "{}", ran.out);
    assert_eq!(
        names(place),
        ["a-red-fox-7.png", "a-red-fox-8.png", "model"]
    );
    let first = std::fs::read(place.join("a-red-fox-7.png")).unwrap();
    let second = std::fs::read(place.join("a-red-fox-8.png")).unwrap();
    assert_ne!(first, second);
    // Alone it is what it was beside another one.
    let again = [
        "sd",
        "generate",
        "--again",
        "a-red-fox-8.png",
        "--out",
        "again.png",
    ];
    orrery(place, &again).worked();
    assert_eq!(std::fs::read(place.join("again.png")).unwrap(), second);
    let parameters = read_text(place.join("again.png"), "parameters")
        .unwrap()
        .unwrap();
    assert!(
        parameters.starts_with(
            "A red fox!\nSteps: 2, Sampler: PLMS, CFG scale: 7.5, Seed: 8, Size: 16x16"
        )
    );
    // Other formats say the same.
    let jpeg = [
        "sd",
        "generate",
        "--again",
        "a-red-fox-8.png",
        "--out",
        "a.jpg",
    ];
    orrery(place, &jpeg).worked();
    let back = ["sd", "generate", "--again", "a.jpg", "--out", "back.png"];
    orrery(place, &back).worked();
    assert_eq!(std::fs::read(place.join("back.png")).unwrap(), second);
    // From a picture, and into one.
    let from = [
        "img2img",
        "a house",
        "--image",
        "again.png",
        "--strength",
        "0.5",
        "--json",
        "--out",
        "from.png",
    ];
    let ran = sd(place, &from).worked();
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["files"], json!(["from.png"]));
    let into = [
        "inpaint",
        "a cat",
        "--image",
        "again.png",
        "--mask",
        "from.png",
        "--out",
        "into.png",
        "--quiet",
    ];
    sd(place, &into).worked();
    let ran = orrery(place, &["sd", "info", "--model", "model"]).worked();
    assert!(ran.out.contains("reads 4 channels"), "{}", ran.out);
    // A longer prompt is told.
    let long = "fox ".repeat(tiny::TOKENS);
    let ran = sd(place, &["generate", long.as_str(), "--out", "long.png"]).worked();
    assert!(ran.err.contains("2 chunks"), "{}", ran.err);
}

#[test]
fn a_picture_is_edited_by_a_model_made_for_it() {
    let place = folder();
    let place = place.path();
    let editor = Tiny {
        more: 4,
        ..Tiny::default()
    };
    editor.write(&place.join("model"));
    Tiny::default().write(&place.join("plain"));
    let picture = base::media::Image::filled(19, 18, [250, 20, 60]);
    let bytes = base::media::png_bytes(&picture, &[]).unwrap();
    std::fs::write(place.join("photo.png"), bytes).unwrap();
    let edit = ["edit", "make it snow", "--image", "photo.png"];
    let mut args = edit.to_vec();
    args.extend(["--seed", "3", "--out", "snow.png"]);
    let ran = sd(place, &args).worked();
    // Sides that the model can.
    assert!(ran.out.contains("18x18"), "{}", ran.out);
    let again = ["sd", "generate", "--again", "snow.png", "--out", "b.png"];
    orrery(place, &again).worked();
    let read = |name: &str| std::fs::read(place.join(name)).unwrap();
    assert_eq!(read("snow.png"), read("b.png"));
    let ran = orrery(place, &["sd", "info", "--model", "model"]).worked();
    assert!(ran.out.contains("edits pictures"), "{}", ran.out);
    let line = sd(place, &["generate", "snow"]).refused(2);
    assert!(line.contains("orrery sd edit"), "{line}");
    let mut args = vec!["sd", "--model", "plain"];
    args.splice(1..1, edit);
    let line = orrery(place, &args).refused(2);
    assert!(line.contains("does not edit pictures"), "{line}");
}

/// The last preview is the picture before its last step, and the picture does not depend on it.
#[test]
fn previews_are_kept_while_a_picture_is_drawn() {
    let place = folder();
    let place = place.path();
    model(place);
    let plain = ["generate", "fox", "--seed", "3", "--out", "plain.png"];
    sd(place, &plain).worked();
    for decoder in ["model/vae", ""] {
        let mut args = vec![
            "generate",
            "fox",
            "--seed",
            "3",
            "--out",
            "fox.png",
            "--preview",
            "so-far.png",
            "--preview-every",
            "1",
        ];
        if !decoder.is_empty() {
            args.extend(["--preview-vae", decoder]);
        }
        sd(place, &args).worked();
        let read = |name: &str| std::fs::read(place.join(name)).unwrap();
        assert_eq!(read("fox.png"), read("plain.png"));
        let [drawn, preview] = ["fox.png", "so-far.png"]
            .map(|name| base::media::read_image(place.join(name)).unwrap());
        assert_eq!([drawn.width, drawn.height], [preview.width, preview.height]);
        assert!(drawn != preview);
        std::fs::remove_file(place.join("so-far.png")).unwrap();
    }
    let wrong = ["generate", "fox", "--preview", "so-far.gif"];
    let line = sd(place, &wrong).refused(2);
    assert!(line.contains(".png"), "{line}");
}

#[test]
fn wrong_input_is_refused_in_one_line() {
    let place = folder();
    let place = place.path();
    model(place);
    let before = names(place);
    let endless = "fox ".repeat(1000);
    for (args, wanted) in [
        (vec!["generate", "fox", "--size", "17x16"], "multiples of 2"),
        (
            vec!["generate", "fox", "--size", "16384x16384"],
            "too large",
        ),
        (vec!["generate", "fox", "--sampler", "ddpm"], "ddim"),
        (vec!["generate", "fox", "--guidance", "nan"], "number"),
        (vec!["generate", "fox", "--out", "fox.tiff"], "`.png`"),
        (vec!["generate", "fox", "--clip-skip", "9"], "no layer"),
        (
            vec!["generate", "fox", "--lora", "nowhere.safetensors"],
            "nowhere",
        ),
        (
            vec![
                "generate",
                "fox",
                "--lora",
                "model/unet/diffusion_pytorch_model.safetensors",
            ],
            "no part of a LoRA",
        ),
        (vec!["generate", "fox", "--vae", "nowhere"], "nowhere"),
        (
            vec!["img2img", "fox", "--image", "nowhere.png"],
            "nowhere.png",
        ),
        (vec!["generate", endless.as_str()], "shorten"),
    ] {
        let ran = sd(place, &args);
        let line = ran.refused(2);
        assert!(line.contains(wanted), "{args:?}: {line}");
    }
    for (args, wanted) in [
        (
            vec!["sd", "generate", "fox", "--model", "nowhere"],
            "nowhere",
        ),
        (
            vec!["sd", "info", "--model", "model/vae"],
            "model_index.json",
        ),
        (
            vec![
                "sd",
                "info",
                "--model",
                "model/vae/diffusion_pytorch_model.safetensors",
            ],
            "not a checkpoint",
        ),
        (
            vec!["sd", "generate", "--again", "model/model_index.json"],
            "model_index.json",
        ),
    ] {
        let line = orrery(place, &args).refused(2);
        assert!(line.contains(wanted), "{args:?}: {line}");
    }
    assert_eq!(names(place), before);
    // A picture whose model has moved says which one is wanted.
    sd(
        place,
        &["generate", "fox", "--seed", "1", "--out", "fox.png"],
    )
    .worked();
    std::fs::rename(place.join("model"), place.join("moved")).unwrap();
    let again = ["sd", "generate", "--again", "fox.png", "--out", "b.png"];
    let line = orrery(place, &again).refused(2);
    assert!(
        line.contains("made with the model `model`") && line.contains("--model"),
        "{line}"
    );
    let line = orrery(place, &["sd", "info", "--model", "no such model"]).refused(2);
    assert!(
        line.contains("no model `no such model`") && line.contains("diffusers folder"),
        "{line}"
    );
    let moved = [&again[..], &["--model", "moved"]].concat();
    orrery(place, &moved).worked();
}

#[test]
fn the_embedded_model_needs_no_name() {
    let place = folder();
    let place = place.path();
    let draw = [
        "sd",
        "generate",
        "elephant twemoji",
        "--seed",
        "3",
        "--transparent",
    ];
    let again = [
        "sd",
        "generate",
        "--again",
        "elephant-twemoji-3.png",
        "--out",
        "b.png",
    ];
    orrery(place, &draw).worked();
    orrery(place, &again).worked();
    let [first, second] =
        ["elephant-twemoji-3.png", "b.png"].map(|name| std::fs::read(place.join(name)).unwrap());
    assert_eq!(first, second);
    let picture = base::media::read_image(place.join("b.png")).unwrap();
    assert_eq!([picture.width, picture.height], [64; 2]);
    // A PNG with transparency.
    assert_eq!(first[25], 6);
    let ran = orrery(place, &["sd", "info", "--model", "embedded"]).worked();
    assert!(ran.out.contains("draws 64x64"), "{}", ran.out);
}

#[test]
fn a_model_is_not_packed_over_itself() {
    let place = folder();
    let place = place.path();
    model(place);
    let weights = "model/unet/diffusion_pytorch_model.safetensors";
    let before = std::fs::read(place.join(weights)).unwrap();
    for (out, wanted) in [(weights, "own folder"), ("packed.bin", ".safetensors")] {
        let line = orrery(place, &["sd", "pack", "model", "--out", out]).refused(2);
        assert!(line.contains(wanted), "{line}");
    }
    assert_eq!(std::fs::read(place.join(weights)).unwrap(), before);
}
