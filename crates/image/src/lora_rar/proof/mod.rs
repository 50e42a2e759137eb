//! The small-scale proof of LoRA.rar:
//!
//! 1. **world**: sprites, a denoiser, 15 subject and 9 style adapters trained on the spot; a hypernetwork trained on 12 × 7 pairs
//!    merges 3 × 2 pairs that it never saw, beside ZipLoRA, the plain sum, the best constant weights and the classical rules;
//! 2. **cost**: SDXL's 280 layers at rank 64, from the factors and from dense updates.
//!
//! Pictures by a real diffusion model need its weights; what this proof cannot show is listed as not run.

mod arms;
mod cost;
mod denoiser;
mod sprites;
mod tables;
mod world;

use base::command::{Context, Failure};
use base::proof::{Claim, Proof, ProofOptions, Report, run_parts};

/// For the registry.
pub const PROOF: Proof = Proof {
    parts: &["world", "cost"],
    seeds: [3, 5],
    run,
};

const PAPER: &str = "paper, abstract";

/// Runs the proof and writes its report.
///
/// # Errors
/// When the run is stopped or fails, or the report cannot be written.
pub fn run(options: &ProofOptions, context: Context) -> Result<Report, Failure> {
    let title = "LoRA.rar: merging of LoRAs by a hypernetwork";
    run_parts(
        ["lora-rar", title],
        PROOF.parts,
        options,
        |part, report| match part {
            "world" => tables::prove(options, context, report),
            _ => {
                cost::prove(options, context, report)?;
                report.claims.push(Claim::not_run(
                    [
                        "On SDXL more pictures show both subject and style than with ZipLoRA (about 0.71 and 0.58)",
                        "joint accuracy above ZipLoRA's, by a judge that sees",
                    ],
                    PAPER,
                    "needs SDXL, adapters and a judge of billions of parameters: `orrery lora-rar merge` and `judge` are the steps",
                ));
                Ok(())
            }
        },
    )
}
