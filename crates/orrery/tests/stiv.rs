//! The verbs of `orrery stiv`, and `orrery list`.
#![allow(clippy::unwrap_used)]

mod common;

use base::media::{read_clip, read_image};
use common::transcript::Transcript;
use common::{TINY, folder, interrupt, names, orrery, signal, start, tiny_model};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

fn train<'a>(out: &'a str, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["stiv", "train", "--out", out, "--steps", steps];
    args.extend(TINY);
    args.extend(more);
    args
}

#[test]
fn a_run_that_was_interrupted_ends_as_the_one_that_was_not() {
    let folder = folder();
    let at = folder.path();
    orrery(at, &train("whole", "260", &["--seed", "4"])).worked();

    let child = start(at, &train("parts", "260", &["--seed", "4"]));
    let log = at.join("parts/log.jsonl");
    wait_for(|| fs::read_to_string(&log).is_ok_and(|text| text.contains('\n')));
    let line = interrupt(child).refused(130);
    assert!(
        line.contains("stopped at step") && line.contains("--resume"),
        "{line}"
    );
    assert!(!at.join("parts/model.safetensors").exists());
    // Once more the same would lose the run: it is refused.
    assert!(
        orrery(at, &train("parts", "260", &["--seed", "4"]))
            .refused(2)
            .contains("already holds a run")
    );
    let other = orrery(at, &train("parts", "260", &["--seed", "5", "--resume"])).refused(2);
    assert!(other.contains("`--seed` differs"), "{other}");

    let resumed = [
        "stiv", "train", "--stage", "t2i", "--out", "parts", "--resume", "--json",
    ];
    let ran = orrery(at, &resumed).worked();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["step"], 260);
    let read = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
    assert!(read("whole") == read("parts"), "the weights differ");
}

#[test]
fn subjects_are_listed_and_found() {
    let folder = folder();
    let all = orrery(folder.path(), &["stiv", "subjects"]).worked().out;
    assert!(all.lines().count() >= 100 && all.contains("🦊\tfox  (Animals & Nature)"));
    let mut seen = Transcript::new(folder.path());
    seen.line("stiv subjects red apple --count 3").worked();
    seen.line("stiv subjects 여우 --count 2 --json").worked();
    seen.line("stiv subjects qqxxzzy").refused(2);
    seen.run(&["stiv", "subjects", ""]).refused(2);
    seen.compare("subjects");
}

#[test]
fn a_stopped_drawing_leaves_nothing_and_a_stopped_writer_a_whole_file() {
    let folder = folder();
    let at = folder.path();
    for request in ["-INT", "-TERM"] {
        let child = start(
            at,
            &[
                "create", "fox", "--video", "--steps", "1000", "--out", "a.gif",
            ],
        );
        std::thread::sleep(Duration::from_millis(700));
        let line = signal(request, child).refused(130);
        assert!(line.contains("nothing was written"), "{line}");
        assert!(names(at).is_empty());
    }

    for delay in [60, 120, 180, 240, 300, 360] {
        let child = start(
            at,
            &[
                "create", "fox", "--steps", "1", "--size", "16x", "--out", "b.png",
            ],
        );
        std::thread::sleep(Duration::from_millis(delay));
        interrupt(child);
        let left = names(at);
        assert!(left.is_empty() || left == ["b.png"], "{left:?}");
        if !left.is_empty() {
            assert_eq!(read_image(at.join("b.png")).unwrap().width, 512);
        }
    }
}

#[test]
fn a_small_model_goes_through_every_stage() {
    let folder = folder();
    let at = folder.path();
    tiny_model(at);
    let clips = [
        "stiv",
        "train",
        "--stage",
        "stiv",
        "--init",
        "run/model.safetensors",
        "--out",
        "clips",
        "--steps",
        "1",
        "--batch",
        "1",
    ];
    orrery(at, &clips).worked();
    orrery(
        at,
        &["stiv", "export", "run", "--out", "exported.safetensors"],
    )
    .worked();
    let same =
        |a: &str, b: &str| read_image(at.join(a)).unwrap() == read_image(at.join(b)).unwrap();
    for (model, out) in [
        ("run/model.safetensors", "a.png"),
        ("exported.safetensors", "b.png"),
    ] {
        let args = [
            "stiv", "t2i", "fox", "--model", model, "--seed", "1", "--steps", "2", "--out", out,
        ];
        orrery(at, &args).worked();
    }
    assert!(same("a.png", "b.png"), "the export draws something else");

    let clip = |args: &[&str]| {
        let mut all = vec!["stiv"];
        all.extend(args);
        all.extend([
            "--model",
            "clips/model.safetensors",
            "--steps",
            "1",
            "--size",
            "1x",
        ]);
        orrery(at, &all).worked();
        read_clip(at.join(args.last().unwrap())).unwrap()
    };
    let first = clip(&[
        "t2v", "fox", "--cfg", "3", "--renorm", "1", "--solver", "sde", "--out", "t.png",
    ]);
    assert_eq!(first.frames.len(), 16);
    let led = clip(&[
        "ti2v",
        "--image",
        "a.png",
        "--cfg-mode",
        "sit",
        "--out",
        "i.png",
    ]);
    assert_eq!(
        led.frames[0],
        read_image(at.join("a.png")).unwrap().resize_square(32)
    );
    let more = clip(&["predict", "fox", "--clip", "t.png", "--out", "p.png"]);
    assert_eq!(more.frames[..4], first.frames[..4]);
    let between = clip(&["interpolate", "--clip", "t.png", "--out", "s.png"]);
    let even =
        |frames: &[base::media::Image]| frames.iter().step_by(2).cloned().collect::<Vec<_>>();
    assert_eq!(even(&between.frames), even(&first.frames));
    let chosen = clip(&[
        "predict", "--clip", "t.png", "--given", "0,3,7", "--out", "g.png",
    ]);
    assert!(
        [0, 3, 7]
            .iter()
            .all(|&i| chosen.frames[i] == first.frames[i])
    );

    let ran = orrery(
        at,
        &["stiv", "eval", "--model", "run/model.safetensors", "--json"],
    )
    .worked();
    let losses: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(
        losses["held_out"]["loss"][0].as_f64().unwrap() > 0.0,
        "{losses}"
    );
    bad_clips(at);
}

#[test]
fn a_masked_training_goes_on_without_the_mask() {
    let folder = folder();
    let at = folder.path();
    let mut masked = train("masked", "2", &["--mask", "0.5"]);
    orrery(at, &masked).worked();
    let on = |mask: &'static str| {
        [
            "stiv",
            "train",
            "--stage",
            "t2i",
            "--batch",
            "2",
            "--steps",
            "1",
            "--init",
            "masked/model.safetensors",
            "--out",
            "on",
            "--mask",
            mask,
        ]
    };
    orrery(at, &on("0")).worked();
    let plan: Value = serde_json::from_slice(&fs::read(at.join("on/run.json")).unwrap()).unwrap();
    assert_eq!(
        (&plan["shape"]["extra_blocks"], &plan["mask"]),
        (&2.into(), &0.0.into())
    );
    let drawn = [
        "create",
        "fox",
        "--model",
        "on/model.safetensors",
        "--steps",
        "1",
        "--out",
        "a.png",
    ];
    orrery(at, &drawn).worked();

    masked = train("plain", "1", &[]);
    orrery(at, &masked).worked();
    let none = [
        "stiv",
        "train",
        "--stage",
        "t2i",
        "--mask",
        "0.5",
        "--init",
        "plain/model.safetensors",
        "--out",
        "x",
    ];
    assert!(orrery(at, &none).refused(2).contains("without masking"));
    let wrong = [
        "stiv", "train", "--stage", "words", "--mask", "0.5", "--out", "x",
    ];
    assert!(orrery(at, &wrong).refused(2).contains("leave it out"));
}

fn bad_clips(at: &Path) {
    let mut seen = Transcript::new(at);
    for line in [
        "stiv interpolate --clip a.png",
        "stiv predict --clip a.png --given 0,1",
        "stiv predict --clip t.png --given 16",
        "stiv t2v fox --cfg-image 2",
        "stiv train --stage stiv --out x --width 64",
        "stiv train --stage t2i --out x --width 50",
        "stiv export absent --out x.safetensors",
    ] {
        seen.line(line).refused(2);
    }
    seen.compare("clips_and_options");
    assert!(!at.join("x").exists());
}

#[test]
fn files_of_scores_and_answers() {
    let folder = folder();
    let at = folder.path();
    let mut seen = Transcript::new(at);
    seen.line("stiv vbench-aggregate absent.json").refused(2);
    for (verb, name, text) in [
        ("vbench-aggregate", "list.json", "[1, 2]"),
        (
            "vbench-aggregate",
            "few.json",
            r#"{"subject_consistency": 0.9}"#,
        ),
        ("vbench-aggregate", "percent.json", r#"{"scene": 55.0}"#),
        ("caption-check", "cut.json", r#"[[{"object": "a dog", "fr"#),
    ] {
        fs::write(at.join(name), text).unwrap();
        seen.run(&["stiv", verb, name]).refused(2);
    }
    let dog = r#"[{"object": "a dog", "frame_answers": [true, false]}]"#;
    let cat = r#"[{"object": "a cat", "frame_answers": [false]}]"#;
    fs::write(at.join("answers.json"), format!("[{dog}, {cat}]")).unwrap();
    seen.line("stiv caption-check answers.json").worked();
    seen.line("stiv caption-check answers.json --json").worked();
    seen.compare("scores_and_answers");
}

#[test]
fn the_list_has_27_systems() {
    let folder = folder();
    let ran = orrery(folder.path(), &["list"]).worked();
    assert_eq!(ran.out.lines().count(), 28, "27 and the sum");
    let ran = orrery(folder.path(), &["list", "--json"]).worked();
    let cards: Value = serde_json::from_str(&ran.out).unwrap();
    let cards = cards.as_array().unwrap();
    assert_eq!(cards.len(), 27);
    let works: Vec<&Value> = cards
        .iter()
        .filter(|card| card["status"] == "works")
        .collect();
    assert!(works.iter().any(|card| card["slug"] == "stiv"));
    assert!(
        orrery(folder.path(), &["list", "stiv"])
            .worked()
            .out
            .contains("2412.07730")
    );
}

#[test]
fn every_verb_has_help_with_an_example() {
    let folder = folder();
    let verbs: [&[&str]; 15] = [
        &[],
        &["create"],
        &["list"],
        &["prove"],
        &["stiv", "t2i"],
        &["stiv", "t2v"],
        &["stiv", "ti2v"],
        &["stiv", "predict"],
        &["stiv", "interpolate"],
        &["stiv", "train"],
        &["stiv", "eval"],
        &["stiv", "export"],
        &["stiv", "scenes"],
        &["stiv", "vbench-aggregate"],
        &["stiv", "caption-check"],
    ];
    for verb in verbs {
        let mut args = verb.to_vec();
        args.push("--help");
        let ran = orrery(folder.path(), &args).worked();
        assert!(
            ran.out.contains("Example") && ran.out.contains("  orrery "),
            "{verb:?}: {}",
            ran.out
        );
    }
}

fn wait_for(mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it did not come in 12 s");
}
