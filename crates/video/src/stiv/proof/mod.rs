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
use std::time::Instant;

use burn::tensor::Device;
use clap::ValueEnum;
use engine::data::pack::PackError;
use engine::media::MediaError;
use engine::numerics::FrechetError;
use engine::proof::{Report, ReportError};
use engine::train::{Progress, TrainError};
use engine::weights::WeightsError;

use super::embedded::{self, defaults};
use super::judge::Judge;
use super::sample::{Guidance, SampleConfig};

pub use engine::proof::Report as ProofReport;
pub use look::look;

/// A part of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The paper's claims in the toy world
    Toy,
    /// The embedded picture model
    Pictures,
    /// The embedded clip model
    Clips,
}

impl Part {
    /// The file that keeps its results.
    fn file(self) -> &'static str {
        match self {
            Self::Toy => "part-toy.json",
            Self::Pictures => "part-pictures.json",
            Self::Clips => "part-clips.json",
        }
    }
}

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct ProofOptions {
    /// All seeds, samples and steps; otherwise what fits ten minutes on two cores.
    pub full: bool,
    /// The parts to run; the others are taken from an earlier run. All where there is none.
    pub only: Vec<Part>,
    /// Seeds: each trains its own toy models and draws its own noise. A short run trains no toy models, and reads those that
    /// an earlier run trained to the end.
    pub seeds: Vec<u64>,
    /// Where the report goes.
    pub out: PathBuf,
    /// Where trainings stand; finished ones are read, unfinished ones go on.
    pub runs: PathBuf,
    /// Where models run.
    pub device: Device,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// A pack cannot be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A model cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// What a model drew is no picture.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// What a model drew has no features.
    #[error(transparent)]
    Frechet(#[from] FrechetError),
    /// The report cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// There is nothing to run with.
    #[error("no seed was given: name at least one with `--seed`")]
    NoSeed,
    /// An earlier run is missing.
    #[error("no earlier run of the part {0:?} is in `{1}`: run the proof without `--only`")]
    NoPart(Part, String),
    /// Stopped from outside; trainings go on from where they stand when the proof is run again.
    #[error("stopped; the same command goes on from here")]
    Stopped,
}

/// What an experiment needs beside its models.
struct Stage<'a> {
    options: &'a ProofOptions,
    stop: &'a AtomicBool,
    progress: &'a mut Progress,
}

/// Runs the proof and writes its report into `options.out`.
///
/// # Errors
/// [`ProofError`]; nothing is written then, but trainings keep their checkpoints.
pub fn run(
    options: &ProofOptions,
    stop: &AtomicBool,
    progress: &mut Progress,
) -> Result<ProofReport, ProofError> {
    if options.seeds.is_empty() {
        return Err(ProofError::NoSeed);
    }
    let command = if options.full {
        "orrery prove stiv --full"
    } else {
        "orrery prove stiv"
    };
    let title = "STIV: text- and image-conditioned video generation";
    let new = || Report::new("stiv", title, command, options.full, &options.seeds);
    let parts = Part::value_variants();
    let mut done = Vec::new();
    for &part in parts {
        let wanted = options.only.is_empty() || options.only.contains(&part);
        if wanted {
            let begun = Instant::now();
            let mut stage = Stage {
                options,
                stop,
                progress: &mut *progress,
            };
            let mut report = new();
            run_part(part, &mut stage, &mut report)?;
            report.seconds = begun.elapsed().as_secs_f64();
            report.keep(&options.runs.join(part.file()), &options.out)?;
            done.push((part, report));
        }
    }
    let mut report = new();
    for &part in parts {
        let at = done.iter().position(|(done, _)| *done == part);
        let path = options.runs.join(part.file());
        let part = match at {
            Some(at) => done.swap_remove(at).1,
            None => {
                let mut kept = Report::kept(&path, &options.out)
                    .ok_or_else(|| ProofError::NoPart(part, options.runs.display().to_string()))?;
                kept.seconds = 0.0;
                let name = part.to_possible_value();
                let name = name.as_ref().map_or("", |value| value.get_name());
                kept.notes
                    .push(format!("The part `{name}` was drawn by a run of its own."));
                kept
            }
        };
        report.append(part);
    }
    report.write(&options.out)?;
    Ok(report)
}

fn run_part(part: Part, stage: &mut Stage, report: &mut Report) -> Result<(), ProofError> {
    let device = &stage.options.device;
    match part {
        Part::Toy => toy_claims::prove(stage, report),
        Part::Pictures => {
            let judge = Judge::embedded(device)?;
            pictures::prove(&embedded::pictures(device)?, &judge, stage, report)
        }
        Part::Clips => {
            let judge = Judge::embedded(device)?;
            clips::prove(&embedded::clips(device)?, &judge, stage, report)
        }
    }
}

impl Stage<'_> {
    /// Euler steps of all samples: what `orrery create` takes.
    fn steps(&self) -> usize {
        defaults::STEPS
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
