//! The real binary, run as a user runs it.
#![allow(dead_code)]

pub mod language_model;
pub mod transcript;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// What a run left.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The run worked, and said nothing but warnings on standard error.
    pub fn worked(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        assert!(self.complaints().is_empty(), "{}", self.err);
        self
    }

    /// The run ended with `code` and one line, which is given back.
    pub fn refused(&self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{} {}", self.out, self.err);
        let lines = self.complaints();
        assert_eq!(lines.len(), 1, "not one line: {}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert!(lines[0].len() < 600, "a long line: {}", lines[0]);
        lines[0].to_owned()
    }

    fn complaints(&self) -> Vec<&str> {
        let lines = self.err.lines();
        lines
            .filter(|line| !line.starts_with("warning: ") && !line.starts_with("training: step "))
            .collect()
    }
}

/// `orrery ARGS` in `folder`.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orrery"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs `orrery ARGS` in `folder`.
pub fn orrery(folder: &Path, args: &[&str]) -> Ran {
    command(folder, args).output().unwrap().into()
}

/// Starts `orrery ARGS` in `folder`.
pub fn start(folder: &Path, args: &[&str]) -> Child {
    let mut command = command(folder, args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Presses Ctrl-C and waits.
pub fn interrupt(child: Child) -> Ran {
    signal("-INT", child)
}

/// Sends a signal and waits.
pub fn signal(signal: &str, child: Child) -> Ran {
    let pid = child.id().to_string();
    Command::new("kill").args([signal, &pid]).output().unwrap();
    child.wait_with_output().unwrap().into()
}

/// A folder of its own.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Names in a folder, hidden ones too, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Options of a training that takes moments.
pub const TINY: [&str; 8] = [
    "--stage", "t2i", "--width", "32", "--depth", "1", "--batch", "2",
];

/// A tiny trained picture model in `folder`.
pub fn tiny_model(folder: &Path) -> PathBuf {
    let mut args = vec!["stiv", "train", "--out", "run", "--steps", "2"];
    args.extend(TINY);
    orrery(folder, &args).worked();
    folder.join("run/model.safetensors")
}
