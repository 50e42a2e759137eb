//! `orrery create` where all goes well.
#![allow(clippy::unwrap_used)]

mod common;

use base::media::{read_clip, read_image, read_text};
use common::transcript::Transcript;
use common::{folder, names, orrery};
use serde_json::Value;
use std::fs;

#[test]
fn a_picture_says_how_it_was_made_and_is_made_again_byte_for_byte() {
    let folder = folder();
    let at = folder.path();
    let ran = orrery(
        at,
        &["create", "red apple", "--seed", "7", "--style", "noto"],
    )
    .worked();
    assert!(
        ran.out.contains("red-apple.png") && ran.out.contains("red apple in noto"),
        "{}",
        ran.out
    );
    let path = at.join("red-apple.png");
    let picture = read_image(&path).unwrap();
    assert_eq!((picture.width, picture.height), (256, 256));

    let text = read_text(&path, "orrery").unwrap().unwrap();
    let params: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(params["prompt"], "red apple");
    assert_eq!(
        (&params["seed"], &params["style"]),
        (&7.into(), &"noto".into())
    );
    for key in ["model", "steps", "guidance", "renorm", "version"] {
        assert!(!params[key].is_null(), "{key} in {params}");
    }

    orrery(
        at,
        &["create", "--again", "red-apple.png", "--out", "b.png"],
    )
    .worked();
    assert_eq!(
        fs::read(&path).unwrap(),
        fs::read(at.join("b.png")).unwrap()
    );
    // Nothing is overwritten unasked.
    orrery(at, &["create", "red apple", "--seed", "8", "--steps", "1"]).worked();
    assert_eq!(names(at), ["b.png", "red-apple-2.png", "red-apple.png"]);
}

#[test]
fn prompts_come_in_many_scripts_and_mean_the_same() {
    let folder = folder();
    let at = folder.path();
    for prompt in [
        "red apple",
        "🍎",
        "빨간 사과",
        "manzana roja",
        "красное яблоко",
    ] {
        let args = [
            "create", prompt, "--steps", "1", "--seed", "1", "--size", "1x", "--json",
        ];
        let ran = orrery(at, &args).worked();
        let said: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(said["subject"], "red apple", "{prompt}");
        assert_eq!((&said["width"], &said["frames"]), (&32.into(), &1.into()));
        assert!(at.join(said["out"].as_str().unwrap()).is_file());
    }
    // An emoji has no letters: the file is named after what it shows.
    assert!(at.join("빨간-사과.png").is_file() && at.join("red-apple-2.png").is_file());
}

#[test]
fn a_sheet_holds_what_each_seed_draws_alone() {
    let folder = folder();
    let at = folder.path();
    let draw = |seed: &str, count: &str, out: &str| {
        let args = [
            "create", "fox", "--steps", "2", "--size", "2x", "--seed", seed, "--count", count,
            "--out", out,
        ];
        orrery(at, &args).worked();
        read_image(at.join(out)).unwrap()
    };
    let sheet = draw("5", "4", "sheet.png");
    let alone = draw("6", "1", "one.png");
    assert!(sheet.width >= 2 * 64 && sheet.height >= 2 * (64 + 16));
    let found = (0..sheet.width - 63).any(|x| {
        (0..sheet.height - 63).any(|y| {
            sheet.pixel(x, y) == alone.pixel(0, 0) && {
                let cell = sheet.crop(x, y, 64, 64);
                let differ = |(a, b): (&u8, &u8)| a.abs_diff(*b) > 1;
                !cell.pixels.iter().zip(&alone.pixels).any(differ)
            }
        })
    });
    assert!(found, "the picture of seed 6 is not on the sheet");
}

#[test]
fn a_clip_starts_with_the_given_picture_and_is_made_again() {
    let folder = folder();
    let at = folder.path();
    orrery(
        at,
        &[
            "create", "octopus", "--steps", "1", "--size", "1x", "--out", "a.png",
        ],
    )
    .worked();
    let args = [
        "create", "octopus", "--video", "--from", "a.png", "--steps", "1", "--size", "1x",
        "--seed", "3",
    ];
    let ran = orrery(at, &args).worked();
    assert!(ran.out.contains("octopus.gif"), "{}", ran.out);
    let mut apng = args.to_vec();
    apng.extend(["--out", "b.png"]);
    orrery(at, &apng).worked();
    let clip = read_clip(at.join("b.png")).unwrap();
    assert_eq!(clip.frames.len(), 16);
    assert_eq!(clip.frames[0], read_image(at.join("a.png")).unwrap());
    for (made, again) in [("octopus.gif", "c.gif"), ("b.png", "c.png")] {
        orrery(at, &["create", "--again", made, "--out", again]).worked();
        assert_eq!(
            fs::read(at.join(made)).unwrap(),
            fs::read(at.join(again)).unwrap()
        );
    }
}

#[test]
fn a_clip_from_text_starts_with_the_picture_that_the_picture_model_draws() {
    let folder = folder();
    let at = folder.path();
    let common = [
        "--steps",
        "2",
        "--size",
        "1x",
        "--seed",
        "5",
        "--guidance",
        "2",
    ];
    let draw = |first: &[&str]| {
        let mut args = vec!["create", "penguin"];
        args.extend(first);
        args.extend(common);
        orrery(at, &args).worked();
    };
    // Of clips all steps are guided, and the style has no scale of its own.
    draw(&[
        "--style",
        "fluent3d",
        "--style-guidance",
        "2",
        "--guided-until",
        "1",
        "--out",
        "a.png",
    ]);
    draw(&["--video", "--count", "1", "--out", "clip.png"]);
    let clip = read_clip(at.join("clip.png")).unwrap();
    assert_eq!(clip.frames[0], read_image(at.join("a.png")).unwrap());
    orrery(at, &["create", "--again", "clip.png", "--out", "b.png"]).worked();
    assert_eq!(
        fs::read(at.join("clip.png")).unwrap(),
        fs::read(at.join("b.png")).unwrap()
    );
}

#[test]
fn the_style_has_a_scale_of_its_own() {
    let folder = folder();
    let at = folder.path();
    let draw = |options: &[&str], out: &str| {
        let mut args = vec![
            "create", "fox", "--steps", "2", "--seed", "5", "--size", "1x", "--out", out,
        ];
        args.extend(options);
        orrery(at, &args).worked();
        read_image(at.join(out)).unwrap()
    };
    // Both verbs read it alike, its usual value is a multiple of the other's, and another draws another picture.
    let verb = "stiv t2i fox --cfg 3 --cfg-style 5 --steps 2 --seed 5 --size 1x --out t.png";
    orrery(at, &verb.split(' ').collect::<Vec<_>>()).worked();
    let same = draw(&["--guidance", "3", "--style-guidance", "5"], "a.png");
    assert_eq!(same, read_image(at.join("t.png")).unwrap());
    assert_eq!(same, draw(&["--guidance", "3"], "c.png"));
    let other = draw(&["--guidance", "3", "--style-guidance", "9"], "b.png");
    assert!(same != other);
}

#[test]
fn doubtful_and_unknown_words_are_told() {
    let folder = folder();
    let mut seen = Transcript::new(folder.path());
    for prompt in [
        "a picture of the fox",
        "blorptastic fox",
        "fruit",
        "a fox beside a rocket",
        "zzq xxq yyq vvq wwq fox",
    ] {
        let options = [
            "--steps", "1", "--seed", "1", "--size", "1x", "--out", "a.png",
        ];
        let args = [&["create", prompt][..], &options].concat();
        seen.run(&args).worked();
    }
    seen.compare("words");
    // A slip is read as the nearest subject, and that is told.
    for (prompt, subject, told) in [
        ("red appel", "red apple", "`appel` read as `apple`"),
        (
            "a happy elefant dancing",
            "elephant",
            "`elefant` read as `elephant`",
        ),
        ("appel", "", "did you mean `apple`?"),
    ] {
        let args = [
            "create", prompt, "--steps", "1", "--seed", "1", "--size", "1x", "--out", "a.png",
        ];
        let ran = common::orrery(folder.path(), &args).worked();
        assert!(ran.err.contains(told), "{prompt}: {}", ran.err);
        assert!(ran.out.contains(subject), "{prompt}: {}", ran.out);
    }
}

#[test]
fn four_at_once_write_four_files() {
    let folder = folder();
    let args = ["create", "fox", "--steps", "1", "--size", "1x", "--quiet"];
    let runs: Vec<_> = (0..4)
        .map(|_| common::start(folder.path(), &args))
        .collect();
    for run in runs {
        let ran: common::Ran = run.wait_with_output().unwrap().into();
        assert!(ran.worked().out.is_empty());
    }
    assert_eq!(
        common::names(folder.path()),
        ["fox-2.png", "fox-3.png", "fox-4.png", "fox.png"]
    );
}

#[test]
fn every_format_says_how_it_was_made() {
    let folder = folder();
    let at = folder.path();
    for name in ["a.png", "a.gif", "a.jpg", "a.webp"] {
        let args = [
            "create",
            "빨간 사과 🍎",
            "--steps",
            "1",
            "--size",
            "2x",
            "--seed",
            "-1",
            "--threads",
            "1",
            "--out",
            name,
        ];
        orrery(at, &args).worked();
        let again = format!("b.{}", &name[2..]);
        orrery(at, &["create", "--again", name, "--out", &again]).worked();
        assert!(
            fs::read(at.join(name)).unwrap() == fs::read(at.join(&again)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn a_prompt_comes_from_a_pipe_and_a_picture_goes_into_one() {
    use std::io::Write;
    use std::process::Stdio;
    let folder = folder();
    let args = ["create", "-", "--out", "-", "--steps", "1"];
    let mut command = common::command(folder.path(), &args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    run.stdin.take().unwrap().write_all(b"fox\n").unwrap();
    let ran = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        ran.status.success() && ran.stdout.starts_with(b"\x89PNG"),
        "{said}"
    );
    assert!(said.contains("fox in noto"), "{said}");
    assert!(common::names(folder.path()).is_empty());
}

#[test]
fn shells_and_man_know_the_commands() {
    let folder = folder();
    let run = |line: &str| orrery(folder.path(), &line.split(' ').collect::<Vec<_>>());
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&format!("completions {shell}")).worked().out;
        assert!(
            script.contains("create") && script.contains("style-guidance"),
            "{shell}"
        );
    }
    let page = run("man stiv train").worked().out;
    assert!(
        page.starts_with(".ie") && page.contains("learning\\-rate"),
        "{page}"
    );
    assert!(
        run("man stiv trian")
            .refused(2)
            .contains("no command `trian`")
    );
    let version = run("--version").worked().out;
    assert!(
        version.contains("commit ") && version.contains("GPU features: "),
        "{version}"
    );
}

#[cfg(unix)]
#[test]
fn a_read_that_blocks_ends_soon_after_the_first_signal() {
    use std::time::{Duration, Instant};
    let folder = folder();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    for signal in ["-INT", "-TERM"] {
        for args in [
            &["create", "fox", "--video", "--from", "pipe"][..],
            &["create", "--again", "pipe"],
            &["stiv", "scenes", "--clip", "pipe"],
            // It reads while it writes.
            &["moxin", "data", "filter", "pipe", "--out", "filtered"],
        ] {
            let child = common::start(folder.path(), args);
            std::thread::sleep(Duration::from_secs(2));
            let asked = Instant::now();
            let ran = common::signal(signal, child);
            // A second, and time for a busy machine.
            assert!(asked.elapsed() < Duration::from_secs(4), "{args:?}");
            ran.refused(130);
        }
    }
    let work = folder.path().join("filtered");
    let left = std::fs::read_dir(work).unwrap().map(Result::unwrap);
    let left = left.filter(|entry| entry.file_name().to_string_lossy().contains(".tmp"));
    assert_eq!(left.count(), 0);
}

#[test]
fn output_may_go_to_a_pipe_that_closes() {
    let folder = folder();
    let script = format!("{} list | head -1", env!("CARGO_BIN_EXE_orrery"));
    let shell = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(
        shell.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&shell.stderr)
    );
    let args = ["create", "fox", "--steps", "1", "--out", "/dev/stdout"];
    let ran = common::command(folder.path(), &args).output().unwrap();
    assert!(ran.status.success() && ran.stdout.starts_with(b"\x89PNG"));
}
