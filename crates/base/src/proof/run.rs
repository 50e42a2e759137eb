//! How a proof is asked for and reached.

use std::path::PathBuf;

use super::Report;
use crate::command::{Context, Failure};

/// A system's small-scale proof, as the registry holds it.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Parts that can be run alone with `--only`; empty where it is one piece.
    pub parts: &'static [&'static str],
    /// Number of seeds of a short and of a full run.
    pub seeds: [u64; 2],
    /// Runs it and writes `report.json`, `report.md` and pictures into [`ProofOptions::out`].
    pub run: fn(&ProofOptions, Context) -> Result<Report, Failure>,
}

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct ProofOptions {
    /// As long as the specification says; otherwise under about ten minutes on two cores.
    pub full: bool,
    /// Parts to run, names of [`Proof::parts`]; the others are taken from an earlier run into the same folder. Empty: all.
    pub only: Vec<String>,
    /// Seeds; at least one.
    pub seeds: Vec<u64>,
    /// The folder for the report, which exists.
    pub out: PathBuf,
    /// Whether progress is shown on standard error.
    pub progress: bool,
}

impl ProofOptions {
    /// Whether `part` is to be run.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }

    /// The command that makes this run of `slug`, for the report.
    pub fn command(&self, slug: &str) -> String {
        format!(
            "orrery prove {slug}{}",
            if self.full { " --full" } else { "" }
        )
    }
}

/// Runs the parts that are asked for, each kept in `out/runs/part-NAME.json` once it is done, takes the others from there
/// and writes the whole report.
///
/// # Errors
/// What `part` says; [`Failure::Input`] where a part that is not asked for was never run; when files cannot be written.
pub fn run_parts(
    [slug, title]: [&str; 2],
    parts: &[&str],
    options: &ProofOptions,
    mut part: impl FnMut(&str, &mut Report) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let command = options.command(slug);
    let new = || Report::new(slug, title, &command, options.full, &options.seeds);
    let runs = options.out.join("runs");
    let file = |name: &str| runs.join(format!("part-{name}.json"));
    let mut whole = new();
    for name in parts.iter().copied().filter(|name| options.wants(name)) {
        let begun = std::time::Instant::now();
        let mut report = new();
        part(name, &mut report)?;
        report.seconds = begun.elapsed().as_secs_f64();
        report.keep(&file(name), &options.out)?;
    }
    for name in parts {
        let mut kept = Report::kept(&file(name), &options.out).ok_or_else(|| {
            Failure::input(format!(
                "no earlier run of the part `{name}` is in `{}`: run the proof without `--only`",
                runs.display()
            ))
        })?;
        if !options.wants(name) {
            kept.seconds = 0.0;
            kept.notes
                .push(format!("The part `{name}` is from an earlier run."));
        }
        whole.append(kept);
    }
    whole.write(&options.out)?;
    Ok(whole)
}
