//! The small-scale proof of CodeArena and SynCode-Instruct, as far as it needs no language model:
//!
//! 1. **protocol**: labels and scores of recorded cases of the official code;
//! 2. **two games**: a rubric judge prefers full answers to bare ones in both orders; a judge that always says A decides
//!    nothing, because two games are played;
//! 3. **SynCode**: pages are cleaned, a scripted model asks and answers with seeded faults, the sandbox must find them all.

mod games;
mod pages;
mod protocol;
mod synthesis;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use engine::proof::{Claim, Report, ReportError, Verdict};
use serde::Deserialize;

use super::sandbox::SandboxError;

pub use engine::proof::Report as ProofReport;

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct ProofOptions {
    /// Five times the seeds.
    pub full: bool,
    /// Seeds of the faults.
    pub seeds: Vec<u64>,
    /// Where the report goes.
    pub out: PathBuf,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Answers cannot be run.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The report cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Something that ships inside the program is broken.
    #[error("the recorded cases cannot be used: {0}")]
    Cases(String),
    /// Stopped from outside.
    #[error("stopped; nothing was written")]
    Stopped,
}

/// A question with a right answer, wrong ones and tests, written by us.
#[derive(Clone, Debug, Deserialize)]
struct Task {
    name: String,
    question: String,
    explanation: String,
    code: String,
    wrong: Vec<String>,
    tests: Vec<String>,
}

fn tasks() -> Result<Vec<Task>, ProofError> {
    serde_json::from_str(include_str!("tasks.json"))
        .map_err(|error| ProofError::Cases(error.to_string()))
}

/// Runs the proof and writes its report into `options.out`.
///
/// # Errors
/// [`ProofError`]; nothing is written then.
pub fn run(options: &ProofOptions, stop: &AtomicBool) -> Result<ProofReport, ProofError> {
    let begun = Instant::now();
    let command = match options.full {
        true => "orrery prove codearena --full",
        false => "orrery prove codearena",
    };
    let title = "CodeArena and SynCode-Instruct";
    let mut report = Report::new("codearena", title, command, options.full, &options.seeds);
    let tasks = tasks()?;
    protocol::prove(&mut report)?;
    games::prove(&tasks, &mut report)?;
    synthesis::prove(&tasks, &options.seeds, stop, &mut report)?;
    report.claims.push(Claim {
        statement: "A language model as judge ranks code models as people do".into(),
        source: "paper, table 2".into(),
        threshold: "needs GPT-4o as judge and the models' answers".into(),
        verdict: Verdict::NotRun,
        evidence: "no language model runs inside the program yet; a 135M judge would be too weak"
            .into(),
    });
    report.claims.push(Claim {
        statement: "Tuning on verified synthetic instructions alone gives HumanEval 92.7, MBPP 86.2".into(),
        source: "paper, table 3".into(),
        threshold: "needs the tuning of a 32B model on 256 GPUs".into(),
        verdict: Verdict::NotRun,
        evidence: "out of reach here; the data pipeline is what is shown".into(),
    });
    report.seconds = begun.elapsed().as_secs_f64();
    report.write(&options.out)?;
    Ok(report)
}
