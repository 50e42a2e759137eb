//! The small-scale proof: depth, the capability phase, near-duplicates, the sliding window, and a preference.

use base::command::{Context, Failure};
use base::proof::{Proof, ProofOptions, Report, run_parts};

use super::CARD;

mod corpus;
mod duplicates;
mod models;
mod parts;
mod style;

/// Parts that can be run alone.
const PARTS: [&str; 5] = ["depth", "capability", "dedup", "window", "style"];

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
    run_parts(
        [CARD.slug, CARD.title],
        &PARTS,
        options,
        |part, report| match part {
            "depth" => parts::depth(options, context, report),
            "capability" => parts::capability(options, context, report),
            "dedup" => duplicates::run(options, context, report),
            "window" => parts::window(options, context, report),
            _ => style::run(options, context, report),
        },
    )
}
