//! `orrery frames` at the command line: wrong input gets one line and exit code 2.
#![cfg(feature = "frames")]
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn orrery(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orrery"));
    command
        .env("HF_HUB_CACHE", home.path())
        .env("HOME", home.path());
    command.arg("frames").args(arguments).output().unwrap()
}

fn refused(arguments: &[&str], wanted: &str) {
    let output = orrery(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(error.contains(wanted), "{arguments:?}: {error}");
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn wrong_input_is_refused_in_one_line() {
    refused(&["build"], "--out");
    refused(&["probe", "--concept", "woman.n.01"], "--text");
    refused(&["top", "--text", "x"], "orrery pull smollm2");
    refused(&["guide", "--prompt", "x"], "--towards");
    refused(&["guide", "--prompt", "x", "--preset", "harm"], "safe");
    refused(
        &["guide", "--prompt", "x", "--towards", "a.n.01", "-k", "0"],
        "-k",
    );
    refused(
        &[
            "guide",
            "--prompt",
            "x",
            "--towards",
            "a.n.01",
            "--weight",
            "nan",
        ],
        "number",
    );
    refused(&["rank", "--wordnet", "/nonexistent"], "wordnet-base");
    let folder = tempfile::tempdir().unwrap();
    for kind in ["data", "index"] {
        for part in ["noun", "verb", "adj", "adv"] {
            let text = if kind == "data" { "not WordNet\n" } else { "" };
            std::fs::write(folder.path().join(format!("{kind}.{part}")), text).unwrap();
        }
    }
    refused(
        &["rank", "--wordnet", folder.path().to_str().unwrap()],
        "line 1 of",
    );
    let concepts = folder.path().join("concepts.safetensors");
    std::fs::write(&concepts, b"x").unwrap();
    let concepts = concepts.to_str().unwrap();
    refused(&["compare", concepts, concepts], "safetensors");
    let prompts = folder.path().join("prompts.txt");
    std::fs::write(&prompts, "# none\n").unwrap();
    refused(
        &[
            "bias",
            "--prompts",
            prompts.to_str().unwrap(),
            "--pairs",
            "a,b",
        ],
        "0 words",
    );
}

#[test]
fn help_has_examples() {
    for verb in ["build", "probe", "top", "guide", "rank", "compare", "bias"] {
        let output = orrery(&[verb, "--help"]);
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            help.contains(&format!("orrery frames {verb}")) && help.contains("--json"),
            "{help}"
        );
    }
}
