//! The small-scale proof.

use base::command::{Context, Failure};
use base::proof::{Proof, ProofOptions, Report, run_parts};

use super::CARD;

/// Parts that can be run alone.
const PARTS: [&str; 0] = [];

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
pub fn run(options: &ProofOptions, _: Context) -> Result<Report, Failure> {
    run_parts([CARD.slug, CARD.title], &PARTS, options, |_, _| Ok(()))
}
