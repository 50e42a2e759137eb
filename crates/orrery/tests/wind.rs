//! The verbs of `orrery wind`: a mark from key to detection, and bad input.
#![cfg(feature = "wind")]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../engine/tests/stable_diffusion/tiny.rs"]
mod tiny;

use std::fs;
use std::path::Path;

use common::{Ran, folder, orrery};
use serde_json::Value;

fn wind(at: &Path, line: &str) -> Ran {
    let args: Vec<&str> = std::iter::once("wind")
        .chain(line.split_whitespace())
        .collect();
    orrery(at, &args)
}

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.worked().out).unwrap()
}

#[test]
fn a_mark_is_made_damaged_and_found_and_the_salt_is_never_shown() {
    let folder = folder();
    let at = folder.path();
    let mut shown = String::new();
    let mut run = |line: &str| {
        let ran = wind(at, line);
        shown += &ran.out;
        shown += &ran.err;
        ran.worked()
    };
    run("keygen --out key.json --noises 2000 --groups 32");
    let made = run("generate --key key.json --prompt 3 --out a.png --log ledger.jsonl --json").out;
    let made: Value = serde_json::from_str(&made).unwrap();
    run("generate --key key.json --prompt 3 --out b.png --log ledger.jsonl");
    run("attack --image a.png --attack jpeg:60 --out a.jpg --seed 1");
    let found = run("detect --key key.json --image a.png --json").out;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["verdict"], "match");
    assert_eq!(found["index"], made["index"]);
    assert_eq!(found["group"], made["group"]);
    let found = run("detect --key key.json --image a.jpg --mode full --json").out;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        (&found["verdict"], &found["index"]),
        (&Value::from("match"), &made["index"])
    );
    run("ledger --key key.json --log ledger.jsonl");
    // Another key finds nothing.
    run("keygen --out other.json --noises 2000 --groups 32");
    let other = run("detect --key other.json --image a.png --mode full").out;
    assert!(other.contains("no match"), "{other}");
    let key: Value = serde_json::from_slice(&fs::read(at.join("key.json")).unwrap()).unwrap();
    let salt = key["salt"].as_str().unwrap();
    assert_eq!(salt.len(), 64);
    for name in ["ledger.jsonl", "a.png", "a.jpg"] {
        let bytes = fs::read(at.join(name)).unwrap();
        shown += &String::from_utf8_lossy(&bytes);
    }
    assert!(!shown.contains(&salt[..16]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(at.join("key.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// Its autoencoder is random, so the picture says little of its latents; the same command is the same picture.
#[test]
fn stable_diffusion_draws_and_inverts() {
    let folder = folder();
    let at = folder.path();
    tiny::Tiny::default().write(&at.join("model"));
    wind(at, "keygen --out key.json --noises 100 --groups 4").worked();
    let with = "--key key.json --model model --steps 3 --size 64 --threads 1";
    for out in ["a.png", "b.png"] {
        let line = format!("generate {with} --prompt fox --index 5 --out {out}");
        wind(at, &line).worked();
    }
    assert_eq!(
        fs::read(at.join("a.png")).unwrap(),
        fs::read(at.join("b.png")).unwrap()
    );
    let found = json(wind(at, &format!("detect {with} --image a.png --json")));
    assert!(found["cosine"].as_f64().unwrap().is_finite(), "{found}");
    let line = format!("inpaint {with} --image a.png --out c.png --index 6");
    wind(at, &line).worked();
    let missing = wind(at, "generate --key key.json --model gone --out d.png").refused(2);
    assert!(missing.contains("diffusers folder"), "{missing}");
}

#[test]
fn latents_of_all_methods_go_out_and_in() {
    let folder = folder();
    let at = folder.path();
    wind(at, "keygen --out key.json --noises 3000 --groups 64").worked();
    for (method, group) in [("wind", 2999 % 64), ("ringid", 7), ("tree-ring", 7)] {
        let index = if method == "wind" { 2999 } else { 7 };
        let how = format!("--key key.json --method {method}");
        wind(
            at,
            &format!("embed {how} --index {index} --seed 3 --out z.safetensors"),
        )
        .worked();
        let found = json(wind(
            at,
            &format!("detect {how} --latent z.safetensors --json"),
        ));
        assert_eq!(found["group"], group, "{method}");
    }
}

#[test]
fn bad_input_is_told_in_one_line() {
    let folder = folder();
    let at = folder.path();
    let refused = |line: &str, words: &str| {
        let told = wind(at, line).refused(2);
        assert!(told.contains(words), "{line}: {told}");
    };
    wind(at, "keygen --out key.json --noises 100 --groups 10").worked();
    refused(
        "keygen --out key.json --noises 100 --groups 10",
        "there already",
    );
    refused(
        "keygen --out k2.json --noises 10 --groups 11",
        "no more groups than noises",
    );
    refused("detect --key absent.json --image a.png", "not there");
    fs::write(at.join("text.json"), "salt").unwrap();
    refused("detect --key text.json --image a.png", "not a key file");
    let key = fs::read_to_string(at.join("key.json")).unwrap();
    let changed = key.replace("\"noises\": 100", "\"noises\": 101");
    assert_ne!(changed, key);
    fs::write(at.join("changed.json"), changed).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for name in ["text.json", "changed.json"] {
            fs::set_permissions(at.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    refused("detect --key changed.json --image a.png", "was changed");
    fs::write(at.join("bad.png"), "no picture").unwrap();
    refused("detect --key key.json --image bad.png", "bad.png");
    refused("detect --key key.json --image absent.png", "absent.png");
    refused("detect --key key.json --latent bad.png", "bad.png");
    refused(
        "generate --key key.json --model sd15 --out a.png",
        "`ideal`",
    );
    for option in [
        "--size 64",
        "--steps 20",
        "--guidance 2",
        "--tokenizer clip",
    ] {
        let line = format!("generate --key key.json --out a.png {option}");
        refused(&line, "does nothing with the model `ideal`");
    }
    refused(
        "generate --key key.json --index 100 --out a.png",
        "an index below",
    );
    refused(
        "embed --key key.json --shape 1,64,64 --out z.safetensors",
        "two channels",
    );
    wind(
        at,
        "generate --key key.json --index 5 --out a.png --log l.jsonl",
    )
    .worked();
    wind(
        at,
        "generate --key key.json --index 6 --out a.png --log l.jsonl",
    )
    .worked();
    refused(
        "generate --key key.json --index 5 --out a.png --log l.jsonl",
        "used before",
    );
    let ledger = fs::read_to_string(at.join("l.jsonl")).unwrap();
    let check = |text: &str, words: &str| {
        fs::write(at.join("cut.jsonl"), text).unwrap();
        refused("ledger --key key.json --log cut.jsonl", words);
    };
    check(&ledger[..ledger.len() - 9], "line 2 is cut");
    // Only the end of the line is missing: the entry counts, and the next one gets a line of its own.
    fs::write(at.join("cut.jsonl"), ledger.trim_end()).unwrap();
    wind(at, "ledger --key key.json --log cut.jsonl").worked();
    assert_eq!(fs::read_to_string(at.join("cut.jsonl")).unwrap(), ledger);
    check(
        ledger.split_inclusive('\n').nth(1).unwrap(),
        "does not belong",
    );
    check(
        &ledger.replacen("\"index\":6", "\"index\":7", 1),
        "line 2 was changed",
    );
    #[cfg(unix)]
    refused(
        "generate --key key.json --out b.png --log /dev/zero",
        "not a plain file",
    );
    wind(at, "keygen --out other.json --noises 100 --groups 10").worked();
    refused(
        "ledger --key other.json --log l.jsonl",
        "does not belong to this key",
    );
    refused("ledger --key key.json --log absent.jsonl", "check the name");
    let head = "ledger --key key.json --log l.jsonl --head 00000000";
    refused(head, "missing at its end");
}
