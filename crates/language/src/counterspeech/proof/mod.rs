//! The small-scale proof of contextual counterspeech:
//!
//! 1. **context**: what community examples, an adapter of the communities, the conversation and the user's history do to the
//!    replies of a real small model to the invented records;
//! 2. **instrument**: studies simulated with known effects, analysed as studies of people are.
//!
//! What people think of replies cannot be tested without people; the proof says so.

mod adapter;
mod context;
mod instrument;

use base::command::{Context, Failure};
use base::proof::{Claim, Proof, ProofOptions, Report, run_parts};

/// For the registry.
pub const PROOF: Proof = Proof {
    parts: &["context", "instrument"],
    seeds: [2, 5],
    run,
};

/// Runs the proof and writes its report.
///
/// # Errors
/// When the run is stopped or fails, or the report cannot be written. An absent model leaves claims not run.
pub fn run(options: &ProofOptions, context: Context) -> Result<Report, Failure> {
    let title = "Contextualized counterspeech";
    run_parts(
        ["counterspeech", title],
        PROOF.parts,
        options,
        |part, report| match part {
            "context" => context::prove(options, context, report),
            _ => {
                instrument::prove(options, context, report)?;
                let people = "needs people who rate replies: `orrery counterspeech study` plans, serves and analyses such a study";
                report.claims.push(Claim::not_run(
                    [
                        "Contextualized replies beat the generic baseline in adequacy and persuasiveness",
                        "mixed model, Holm-corrected p below .05 in both aspects",
                    ],
                    "paper, abstract",
                    people,
                ));
                report.claims.push(Claim::not_run(
                    [
                        "Algorithmic indicators correlate poorly with human ratings",
                        "Spearman's ρ over configurations below 0.5 for most indicators",
                    ],
                    "paper, abstract",
                    people,
                ));
                Ok(())
            }
        },
    )
}
