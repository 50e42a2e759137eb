//! The small-scale proof of STIV, in three experiments:
//!
//! 1. **toy world**: the paper's own claims on image-condition dropout, CFG-renorm and joint guidance, on moving shapes
//!    where everything can be read off exactly;
//! 2. **pictures**: does the embedded picture model draw what and how it was asked, also pairs of subject and style
//!    that it never saw? A judge trained on real pictures tells;
//! 3. **clips**: does a clip stay with the picture it starts from, and does it move as much as a real one?

mod asked;
mod choice;
mod clips;
mod draw;
mod features;
mod goals;
mod look;
mod pictures;
mod sheets;
mod toy;
mod toy_claims;
mod toy_draw;
mod toy_report;
mod toy_world;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use base::command::Failure;
use base::proof::{Proof, ProofOptions};
use burn::tensor::Device;
use engine::train::Progress;

use super::embedded::defaults;
use super::sample::{Guidance, SampleConfig};

pub use look::look;

/// The paper's claims in the toy world, the embedded picture model, the embedded clip model. Each seed trains its own toy
/// models and draws its own noise. A short run trains no toy models, and reads those that an earlier run trained to the end.
pub const PROOF: Proof = Proof::new(
    "STIV: text- and image-conditioned video generation",
    [3, 3],
    &[
        ("toy", toy_claims::prove),
        ("pictures", pictures::prove),
        ("clips", clips::prove),
    ],
);

/// What an experiment needs beside its models.
struct Stage<'a> {
    options: &'a ProofOptions,
    /// Where trainings stand; finished ones are read, unfinished ones go on.
    runs: PathBuf,
    /// Where models run.
    device: Device,
    stop: &'a AtomicBool,
    progress: Progress,
}

impl<'a> Stage<'a> {
    fn new(options: &'a ProofOptions) -> Result<Self, Failure> {
        Ok(Self {
            options,
            runs: options.out.join("runs"),
            device: engine::device("cpu")?,
            stop: options.context.stop,
            progress: Progress::shown("proof", options.progress),
        })
    }

    /// Euler steps of all samples where an arm does not say.
    fn steps(&self) -> usize {
        defaults::CLIP_STEPS
    }

    /// Joint guidance at `scale` with or without renorm.
    fn sampling(&self, scale: f32, renorm: bool) -> SampleConfig {
        SampleConfig {
            steps: self.steps(),
            guidance: Guidance::Joint { scale },
            renorm: if renorm { 1.0 } else { 0.0 },
            ..SampleConfig::default()
        }
    }
}
