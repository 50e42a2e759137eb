//! The small-scale proof: how many rankings an aligned reward needs, what it does for a diffusion policy, and for SAC.

use base::command::{Context, Failure};
use base::proof::{Proof, ProofOptions, Report, run_parts};

use super::CARD;

mod control;
mod modes;
mod rankings;

/// Parts that can be run alone.
const PARTS: [&str; 3] = ["rankings", "modes", "control"];

/// The first seed: those before it were looked at while the proof was made.
const FIRST: u64 = 5;

/// For the registry.
pub const PROOF: Proof = Proof {
    parts: &PARTS,
    seeds: [5, 5],
    run,
};

/// Runs the proof.
///
/// # Errors
/// As [`run_parts`].
pub fn run(options: &ProofOptions, context: Context) -> Result<Report, Failure> {
    let names = [CARD.slug, CARD.title];
    let options = ProofOptions {
        seeds: options.seeds.iter().map(|seed| FIRST + seed).collect(),
        ..options.clone()
    };
    run_parts(names, &PARTS, &options, |part, report| match part {
        "rankings" => rankings::run(&options, context, report),
        "modes" => modes::run(&options, context, report),
        _ => control::run(&options, context, report),
    })
}
