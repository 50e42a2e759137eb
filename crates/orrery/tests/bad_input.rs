//! Whatever is typed: one line, the right exit code, nothing left behind.
#![allow(clippy::unwrap_used)]

mod common;

use base::media::{Clip, Image, gif_bytes, png_bytes};
use common::transcript::Transcript;
use common::{folder, names, orrery, tiny_model};
use std::fs;

#[test]
fn prompts_and_numbers_that_make_no_picture() {
    let folder = folder();
    let mut seen = Transcript::new(folder.path());
    let long = "a".repeat(100_000);
    // One argument of Linux is at most 128 kB.
    let long = long.as_str();
    for args in [
        &[""][..],
        &["  \n "],
        &[],
        &[long],
        &["qqxxzzy"],
        &["xpple"],
        &["red qwrtzu"],
        &["noto"],
        &["\u{1b}[31mzz\nqq"],
        &["fox", "--stpes", "3"],
        &["fox", "--from", "a.png"],
        &["fox", "--video", "--count", "64", "--size", "16x"],
    ] {
        seen.run(&[&["create"], args].concat()).refused(2);
    }
    for (option, values) in [
        (
            "--steps",
            &["0", "-1", "1.5", "99999999999999999999", ""][..],
        ),
        ("--guidance", &["nan", "-1", "inf", "1e9", "much"]),
        ("--renorm", &["-0.1", "1.5", "NaN"]),
        ("--count", &["0", "1e9", "1000000000", "-3"]),
        ("--size", &["0x", "3x", "huge", "99999999999", "-8x"]),
        ("--seed", &["-2", "x", "99999999999999999999999"]),
        ("--style", &["oil", ""]),
        ("--device", &["cuda", "toaster"]),
        ("--threads", &["0", "-1", "many", "1e9"]),
        ("--guided-until", &["-0.5", "1.5", "nan"]),
    ] {
        for value in values {
            seen.run(&["create", "fox", option, value]).refused(2);
        }
    }
    assert!(names(folder.path()).is_empty());
    seen.compare("prompts_and_numbers");
}

#[test]
fn pictures_to_start_from_that_are_none() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("empty.png"), b"").unwrap();
    fs::write(at.join("text.png"), b"hello, I am no picture").unwrap();
    let wide = png_bytes(&Image::filled(9000, 1, [0; 3]), &[]).unwrap();
    fs::write(at.join("wide.png"), &wide).unwrap();
    let whole = png_bytes(&Image::filled(20, 20, [7; 3]), &[]).unwrap();
    fs::write(at.join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    let mut seen = Transcript::new(at);
    for name in [
        "absent.png",
        ".",
        "empty.png",
        "text.png",
        "wide.png",
        "cut.png",
    ] {
        let args = ["create", "fox", "--video", "--steps", "1", "--from", name];
        seen.run(&args).refused(2);
    }
    // A moving one is used, with a warning.
    let frames = vec![
        Image::filled(9, 5, [200, 0, 0]),
        Image::filled(9, 5, [0; 3]),
    ];
    let gif = gif_bytes(&Clip::new(frames, 100).unwrap()).unwrap();
    fs::write(at.join("moving.gif"), gif).unwrap();
    seen.line("create fox --video --steps 1 --seed 1 --size 1x --from moving.gif")
        .worked();
    seen.compare("pictures_to_start_from");
}

#[test]
fn places_that_cannot_be_written() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("file"), b"x").unwrap();
    fs::create_dir(at.join("dir.png")).unwrap();
    let before = names(at);
    let mut seen = Transcript::new(at);
    for (out, code) in [
        ("missing/a.png", 2),
        ("dir.png", 2),
        ("file/a.png", 2),
        ("a.bmp", 2),
        ("a", 2),
        ("", 2),
        ("/dev/full", 1),
    ] {
        let args = ["create", "fox", "--steps", "1", "--out", out];
        seen.run(&args).refused(code);
    }
    seen.line("stiv train --stage words --out file").refused(2);
    seen.compare("places");
    assert_eq!(names(at), before);
}

/// Whichever verb writes: it is bad input, and the line says what to do.
#[cfg(all(target_os = "linux", feature = "sd", feature = "wind"))]
#[test]
fn all_verbs_agree_on_where_nothing_can_be_written_and_on_long_prompts() {
    let folder = folder();
    let at = folder.path();
    let run = |line: &str| orrery(at, &line.split_whitespace().collect::<Vec<_>>()).refused(2);
    let keygen = "wind keygen --noises 100 --groups 8";
    orrery(
        at,
        &format!("{keygen} --out key.json")
            .split(' ')
            .collect::<Vec<_>>(),
    )
    .worked();
    for (line, name) in [
        ("create fox --steps 1", "a.png"),
        ("sd generate fox --steps 1", "a.png"),
        ("wind generate --key key.json", "a.png"),
        (keygen, "a.json"),
        ("wind embed --key key.json", "a.safetensors"),
    ] {
        let told = run(&format!("{line} --out /proc/{name}"));
        assert!(told.contains("choose another folder"), "{line}: {told}");
        let told = run(&format!("{line} --out missing/{name}"));
        assert!(told.contains("mkdir -p missing"), "{line}: {told}");
    }
    let long = "a".repeat(100_000);
    for line in [
        "create",
        "stiv t2i",
        "sd generate --steps 1",
        "wind generate --key key.json --model embedded --steps 1 --out a.png --prompt",
    ] {
        let told = run(&format!("{line} {long}"));
        assert!(told.contains("shorte"), "{line}: {told}");
    }
    assert_eq!(names(at), ["key.json"]);
}

#[test]
fn weights_that_do_not_fit() {
    let folder = folder();
    let at = folder.path();
    let whole = fs::read(tiny_model(at)).unwrap();
    let refuse = |name: &str| {
        let args = ["create", "fox", "--steps", "1", "--model", name];
        orrery(at, &args).refused(2)
    };
    let edit = |name: &str, from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at_byte = whole
            .windows(from.len())
            .position(|part| part == from.as_bytes());
        let at_byte = at_byte.unwrap_or_else(|| panic!("`{from}` is not in the file"));
        let mut bytes = whole.clone();
        bytes[at_byte..at_byte + to.len()].copy_from_slice(to.as_bytes());
        fs::write(at.join(name), bytes).unwrap();
        refuse(name)
    };
    assert!(refuse("absent.safetensors").contains("cannot read"));
    assert!(refuse("run").contains("cannot read"));
    fs::write(at.join("empty.safetensors"), b"").unwrap();
    assert!(refuse("empty.safetensors").contains("empty"));
    fs::write(at.join("cut.safetensors"), &whole[..whole.len() / 2]).unwrap();
    assert!(refuse("cut.safetensors").contains("not a whole safetensors file"));
    fs::write(at.join("text.safetensors"), b"hello, I am no tensor at all").unwrap();
    assert!(refuse("text.safetensors").contains("it is a text"));
    fs::write(
        at.join("a.safetensors"),
        png_bytes(&Image::filled(4, 4, [9; 3]), &[]).unwrap(),
    )
    .unwrap();
    assert!(refuse("a.safetensors").contains("it is a PNG picture, not a safetensors file"));
    // An archive with an empty file `a`: its header, the directory, the end.
    let zip = [
        &b"PK\x03\x04"[..],
        &[0; 22],
        &[1, 0, 0, 0],
        b"a",
        b"PK\x01\x02",
        &[0; 24],
        &[1, 0],
        &[0; 16],
        b"a",
        b"PK\x05\x06",
        &[0; 4],
        &[1, 0, 1, 0, 47, 0, 0, 0, 31, 0, 0, 0, 0, 0],
    ];
    fs::write(at.join("a.zip"), zip.concat()).unwrap();
    assert!(refuse("a.zip").contains("ZIP archive"));
    assert!(edit("typed.safetensors", "\"F16\"", "\"I16\"").contains("cannot be read as floats"));
    assert!(
        edit("wide.safetensors", "\\\"width\\\":32", "\\\"width\\\":64")
            .contains("`cubify.weight`")
    );
    assert!(edit("deep.safetensors", "\\\"depth\\\":1", "\\\"depth\\\":9").contains("`blocks.8"));
    assert!(
        edit("none.safetensors", "\\\"depth\\\":1", "\\\"depth\\\":0").contains("`depth` is 0")
    );
    assert!(
        edit("key.safetensors", "\"head.weight\"", "\"hand.weight\"")
            .contains("1 missing: `head.weight`")
    );
    let clip = [
        "create",
        "fox",
        "--video",
        "--steps",
        "1",
        "--model",
        "run/model.safetensors",
    ];
    assert!(orrery(at, &clip).refused(2).contains("picture model"));
}

#[test]
fn files_that_cannot_be_made_again() {
    let folder = folder();
    let at = folder.path();
    let mut seen = Transcript::new(at);
    seen.line("create --again absent.png").refused(2);
    let picture = Image::filled(4, 4, [9; 3]);
    fs::write(at.join("plain.png"), png_bytes(&picture, &[]).unwrap()).unwrap();
    seen.line("create --again plain.png").refused(2);
    for (name, params) in [
        ("steps.png", r#"{"prompt":"fox","steps":0}"#),
        ("many.png", r#"{"prompt":"fox","count":100000000}"#),
        ("size.png", r#"{"prompt":"fox","size":4000000000}"#),
        ("style.png", r#"{"prompt":"fox","style":"oil"}"#),
        (
            "given.png",
            r#"{"prompt":"fox","video":true,"known":[{"at":99,"png":"zz"}]}"#,
        ),
        ("no.png", "[1, 2"),
        ("null.png", r#"{"prompt":null}"#),
    ] {
        let texts = [("orrery".to_owned(), params.to_owned())];
        fs::write(at.join(name), png_bytes(&picture, &texts).unwrap()).unwrap();
        seen.run(&["create", "--again", name]).refused(2);
    }
    seen.compare("made_again");
}

#[test]
fn verbs_and_systems_that_are_not_there() {
    let folder = folder();
    let mut seen = Transcript::new(folder.path());
    for line in [
        "unireal",
        "unireal eval",
        "prove unireal",
        "lsit",
        "prove sitv",
        "stiv tv2",
        "list nothing-of-the-kind",
        "stiv",
    ] {
        seen.line(line).refused(2);
    }
    seen.compare("verbs_and_systems");
    // Which systems it lists depends on features.
    let help = orrery(folder.path(), &[]);
    assert!(help.out.starts_with("One engine for 27 AI systems"));
    assert!(help.refused(2).contains("a subcommand is required"));
}

/// A name that is no UTF-8 is a name, on the screen and in JSON.
#[cfg(unix)]
#[test]
fn names_in_another_encoding_are_names() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let at = folder.path();
    tiny_model(at);
    fs::write(at.join("a.jsonl"), "{\"text\": \"a page\"}\n").unwrap();
    let end = |name: &'static [u8]| OsStr::from_bytes(name);
    let runs: [(&[&str], &[u8]); 4] = [
        (
            &["create", "fox", "--steps", "1", "--size", "1x", "--out"],
            b"caf\xe9.png",
        ),
        (&["stiv", "export", "run", "--out"], b"caf\xe9.safetensors"),
        (
            &[
                "moxin",
                "data",
                "filter",
                "a.jsonl",
                "--min-chars",
                "1",
                "--out",
            ],
            b"caf\xe9",
        ),
        (&["moxin", "openness"], b"caf\xe9"),
    ];
    for (args, name) in runs {
        for more in [&[][..], &["--json"]] {
            let mut run = common::command(at, args);
            let ran = common::Ran::from(run.arg(end(name)).args(more).output().unwrap());
            assert!(!ran.err.contains("panicked"), "{args:?}: {}", ran.err);
            // The same folder is not filled twice.
            if ran.code != Some(2) {
                assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
            }
            if more.is_empty() || ran.code == Some(2) {
                continue;
            }
            let said: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
            assert!(said.is_object(), "{said}");
        }
    }
    // What a later run reads back must name the same folder: refused before anything is trained.
    let mut train = common::command(at, &["emov2", "train", "--out", "run2", "--steps", "1"]);
    fs::create_dir(at.join(end(b"d\xe9"))).unwrap();
    let ran = common::Ran::from(train.arg("--data").arg(end(b"d\xe9")).output().unwrap());
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}
