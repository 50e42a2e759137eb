//! The small-scale proof of WIND.

use base::command::{Context, Failure};
use base::proof::{Proof, ProofOptions, Report, run_parts};

/// For the registry.
pub const PROOF: Proof = Proof {
    parts: &["attacks"],
    seeds: [3, 3],
    run,
};

/// Runs the proof and writes its report.
///
/// # Errors
/// When the run is stopped or fails, or the report cannot be written.
pub fn run(options: &ProofOptions, _context: Context) -> Result<Report, Failure> {
    run_parts(["wind", "WIND"], PROOF.parts, options, |_, _| Ok(()))
}
