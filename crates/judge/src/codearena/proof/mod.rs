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

use base::command::Failure;
use base::proof::{Proof, ProofOptions, Report};
use serde::Deserialize;

/// For the registry.
pub const PROOF: Proof = Proof::whole("CodeArena and SynCode-Instruct", [3, 15], prove)
    .open_claims(&[
        (
            [
                "A language model as judge ranks code models as people do",
                "needs GPT-4o as judge and the models' answers",
            ],
            "paper, table 2",
            "no language model runs inside the program yet; a 135M judge would be too weak",
        ),
        (
            [
                "Tuning on verified synthetic instructions alone gives HumanEval 92.7, MBPP 86.2",
                "needs the tuning of a 32B model on 256 GPUs",
            ],
            "paper, table 3",
            "out of reach here; the data pipeline is what is shown",
        ),
    ]);

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

fn tasks() -> Result<Vec<Task>, Failure> {
    serde_json::from_str(include_str!("tasks.json")).map_err(unusable)
}

/// Something that ships inside the program is broken.
fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("the recorded cases cannot be used: {error}"))
}

fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let tasks = tasks()?;
    protocol::prove(report)?;
    games::prove(&tasks, report)?;
    synthesis::prove(&tasks, options, report)
}
