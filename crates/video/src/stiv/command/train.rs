//! `orrery stiv train`: words, then pictures, then clips.

mod start;

use std::path::PathBuf;

use base::command::{
    Context, Failure, learning_rate, number_in, report, use_calling_thread_as_worker,
};
use burn::tensor::Device;
use clap::Args;
use engine::device;
use engine::train::{CHECKPOINT, Progress, Run, RunLock, TrainError};
use engine::weights::Precision;
use serde_json::json;

use super::run_config::{MODEL, RunConfig, Stage, TOWER};
use super::run_training::{Start, run_training, write_tower};
use crate::stiv::stages::StageOptimizer;
use crate::stiv::subjects::SubjectSet;
use crate::stiv::train::TimeDraw;

/// Width of a head of the embedded models.
const HEAD: usize = 32;

/// Options of `train`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery stiv train --stage words --out runs/words
  orrery stiv train --stage t2i --init runs/words/model.safetensors --out runs/pictures
  orrery stiv train --stage stiv --init runs/pictures/model.safetensors --out runs/clips
  orrery stiv train --stage t2i --out runs/pictures --resume
  orrery stiv train --stage t2i --init runs/masked/model.safetensors --out runs/unmasked")]
pub struct Train {
    /// words: the text tower; t2i: text to picture; stiv: text and frames to clip; judge: the classifier of the proof
    #[arg(long, value_enum)]
    stage: Stage,
    /// The run's folder: checkpoint, log and at the end `model.safetensors`
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Go on with the run in the folder, where there is one
    #[arg(long)]
    resume: bool,
    /// Optimisation steps [default: 1500, 4000, 2000 and 1200 for the four stages]
    #[arg(long)]
    steps: Option<u64>,
    /// Samples a step [default: 64 for t2i, 8 for stiv]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=4096))]
    batch: Option<u64>,
    /// Peak learning rate [default: 0.02, 0.001, 0.0006 and 0.001]
    #[arg(long, value_parser = learning_rate)]
    learning_rate: Option<f64>,
    /// Seed of weights and batches [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Fraction of spatial patches masked for the main blocks (MaskDiT; the paper takes 0.5, then trains on without), 0 to 0.9
    #[arg(long, value_parser = fraction, allow_negative_numbers = true)]
    mask: Option<f32>,
    /// t2i and stiv: how times are drawn; logit-normal looks more often at pictures half way between noise and data,
    /// noisy at those that are mostly noise, which teaches many subjects sooner
    /// [default: uniform]
    #[arg(long, value_enum)]
    times: Option<TimeDraw>,
    /// t2i, stiv and judge: optimizer; muon learns more from each sample and takes longer over a step
    /// [default: adamw]
    #[arg(long, value_enum)]
    optimizer: Option<StageOptimizer>,
    /// Mixed precision: linear layers multiply bf16 values where the CPU has them, about 1.5 times as fast
    #[arg(long)]
    bf16: bool,
    /// words and judge: which subjects to learn; the other stages learn what their text tower knows [default: recognised]
    #[arg(long, value_enum)]
    subjects: Option<SubjectSet>,
    /// Where to begin: for words a text tower whose subjects keep their vectors, for t2i a text tower or a picture model,
    /// for stiv a picture model; a run that goes on keeps what it began with [default: the embedded tower,
    /// and for stiv the embedded picture model]
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// t2i, with a picture model in --init: the text tower to learn with, in place of the model's own; so a model goes on
    /// with other subjects
    #[arg(long, value_name = "FILE", requires = "init")]
    tower: Option<PathBuf>,
    /// t2i: width of a token, a multiple of 32 [default: 192]
    #[arg(long, value_parser = clap::value_parser!(u64).range(32..=4096))]
    width: Option<u64>,
    /// t2i: blocks [default: 6]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    depth: Option<u64>,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

fn fraction(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 0.9)
}

impl Train {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let device = device(&self.device)?.autodiff();
        if self.out.exists() && !self.out.is_dir() {
            let path = self.out.clone();
            return Err(TrainError::NotAFolder { path }.into());
        }
        // Held until the run has ended.
        let mut lock = match self.out.is_dir() {
            true => Some(RunLock::take(&self.out)?),
            false => None,
        };
        let old = if self.resume {
            RunConfig::read(&self.out)?
        } else {
            None
        };
        let begun = self.out.join(CHECKPOINT).exists();
        let start = match (&old, begun) {
            (Some(config), true) => self.again(config, &device)?,
            _ => self.start(&device)?,
        };
        let config = self.config(&start);
        if let Some(old) = old.filter(|_| begun) {
            self.compare(&old)?;
            let followed = self.follow(&old, start, context, &device);
            drop(lock);
            return followed;
        }
        if begun && !self.resume {
            let path = self.out.join(CHECKPOINT);
            return Err(TrainError::Occupied { path }.into());
        }
        if let Some(problem) = config.shape.problem() {
            return Err(Failure::input(problem));
        }
        base::files::make_folder(&self.out)?;
        if lock.is_none() {
            lock = Some(RunLock::take(&self.out)?);
        }
        if let Some(tower) = &start.tower {
            write_tower(tower, &config, Precision::F32, &self.out.join(TOWER))?;
        }
        config.write(&self.out)?;
        let followed = self.follow(&config, start, context, &device);
        drop(lock);
        followed
    }

    fn config(&self, start: &Start) -> RunConfig {
        let (steps, batch, rate) = match self.stage {
            Stage::Words => (1500, 256, 0.02),
            Stage::Judge => (1200, 64, 1e-3),
            Stage::T2i => (4000, 64, 1e-3),
            Stage::Stiv => (2000, 8, 6e-4),
        };
        RunConfig {
            stage: self.stage,
            steps: self.steps.unwrap_or(steps),
            batch: self.batch.map_or(batch, |batch| batch as usize),
            learning_rate: self.learning_rate.unwrap_or(rate),
            mask: self.mask.unwrap_or(0.0),
            times: self.times.unwrap_or_default(),
            bf16: self.bf16,
            optimizer: self.optimizer.unwrap_or_default(),
            subjects: self.subjects.unwrap_or_default(),
            seed: self.seed.unwrap_or(0),
            shape: start.shape.clone(),
        }
    }

    /// Options of a resumed run must be those it began with, or absent.
    fn compare(&self, old: &RunConfig) -> Result<(), Failure> {
        let given = [
            ("--stage", self.stage != old.stage),
            (
                "--steps",
                self.steps.is_some_and(|steps| steps != old.steps),
            ),
            (
                "--batch",
                self.batch.is_some_and(|batch| batch as usize != old.batch),
            ),
            (
                "--learning-rate",
                self.learning_rate
                    .is_some_and(|rate| rate != old.learning_rate),
            ),
            ("--mask", self.mask.is_some_and(|mask| mask != old.mask)),
            (
                "--times",
                self.times.is_some_and(|times| times != old.times),
            ),
            (
                "--optimizer",
                self.optimizer
                    .is_some_and(|optimizer| optimizer != old.optimizer),
            ),
            ("--bf16", self.bf16 && !old.bf16),
            (
                "--subjects",
                self.subjects.is_some_and(|set| set != old.subjects),
            ),
            ("--seed", self.seed.is_some_and(|seed| seed != old.seed)),
            (
                "--width",
                self.width
                    .is_some_and(|width| width as usize != old.shape.width),
            ),
            (
                "--depth",
                self.depth
                    .is_some_and(|depth| depth as usize != old.shape.depth),
            ),
        ];
        match given.iter().find(|(_, differs)| *differs) {
            Some((option, _)) => Err(Failure::input(format!(
                "`{option}` differs from what the run in `{}` began with: leave it out, or start a new run",
                self.out.display()
            ))),
            None => Ok(()),
        }
    }

    fn follow(
        &self,
        config: &RunConfig,
        start: Start,
        context: Context,
        device: &Device,
    ) -> Result<(), Failure> {
        // Off a terminal it is a plain line now and then.
        let mut progress = Progress::shown("training", !self.json);
        let run = Run {
            folder: &self.out,
            resume: self.resume,
            stop: context.stop,
            progress: &mut progress,
        };
        let outcome = run_training(config, start, run, &self.out, device)?;
        let folder = self.out.display();
        if outcome.interrupted {
            return Err(Failure::interrupted(format!(
                "stopped at step {} of {}: go on with `--resume`",
                outcome.step, config.steps
            )));
        }
        let loss = Some(outcome.loss).filter(|loss| loss.is_finite());
        report(
            self.json,
            &if self.json {
                json!({"out": base::files::shown(self.out.join(MODEL)), "step": outcome.step, "loss": loss}).to_string()
            } else {
                let loss = loss.map_or_else(String::new, |loss| format!(", loss {loss:.4}"));
                format!("wrote {folder}/{MODEL}: step {}{loss}", outcome.step)
            },
        )
    }
}
