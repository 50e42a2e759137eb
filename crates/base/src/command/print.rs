//! What a verb writes to standard output and standard error.

use std::io::{self, Write};

use super::{Failure, is_quiet};

/// The text without line breaks and other control characters.
pub fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.trim_end().chars().map(clean).collect()
}

/// A line on standard output. A reader that went away (`| head`) is not an error.
///
/// # Errors
/// [`Failure::Failed`] when the line cannot be written, as on a full disk.
pub fn print_line(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "cannot write to standard output: {cause}: check where it is sent"
        ))),
        _ => Ok(()),
    }
}

/// A value as one line of JSON on standard output.
///
/// # Errors
/// As [`print_line`]; when the value cannot be JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print_line(&serde_json::to_string(value).map_err(Failure::failed)?)
}

/// How a verb prints its result.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Output {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

impl Output {
    /// Prints `value` for machines or `text` for people.
    ///
    /// # Errors
    /// As [`print_json`].
    pub fn print(self, value: &impl serde::Serialize, text: &str) -> Result<(), Failure> {
        match self.json {
            true => print_json(value),
            false => print_line(text),
        }
    }
}

/// [`print_line`] for what a verb says when it is done: with `--quiet`, nothing but an object for machines (`json`).
///
/// # Errors
/// As [`print_line`].
pub fn report(json: bool, line: &str) -> Result<(), Failure> {
    match json || !is_quiet() {
        true => print_line(line),
        false => Ok(()),
    }
}

/// A line on standard error; lost when nobody can read it.
pub fn eprint_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Warnings, a line each: the first twenty, and how many more there are.
pub fn warn(lines: &[String]) {
    const MOST: usize = 20;
    for line in lines.iter().take(MOST) {
        eprint_line(&format!("warning: {}", one_line(line)));
    }
    if lines.len() > MOST {
        eprint_line(&format!("warning: and {} more", lines.len() - MOST));
    }
}
