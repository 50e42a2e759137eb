//! The small-scale proof: accuracy beside the baselines, what aggregation costs, and what a server reconstructs.

use base::command::{Context, Failure};
use base::proof::{Proof, ProofOptions, Report, run_parts};

use super::CARD;

mod accuracy;
mod privacy;

/// Parts that can be run alone.
const PARTS: [&str; 4] = ["digits", "few", "fashion", "privacy"];

/// For the registry.
pub const PROOF: Proof = Proof {
    parts: &PARTS,
    seeds: [3, 5],
    run,
};

/// Runs the proof.
///
/// # Errors
/// As [`run_parts`].
pub fn run(options: &ProofOptions, context: Context) -> Result<Report, Failure> {
    let names = [CARD.slug, CARD.title];
    run_parts(names, &PARTS, options, |part, report| match part {
        "digits" => accuracy::digits(options, context, report),
        "few" => accuracy::few(options, context, report),
        "fashion" => accuracy::fashion(options, context, report),
        _ => privacy::run(options, context, report),
    })
}
