//! `orrery rapl train-policy`.

use std::path::PathBuf;

use base::command::{
    Context, Failure, Output, check_out, eprint_line, number_in, print_json, print_line,
};
use base::rng::Rng;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::{Learning, Matching, WorldArgs};
use crate::rapl::Cycle;
use crate::rapl::agent::{Pay, Training, train};
use crate::rapl::encoder::{EncoderConfig, Vision};
use crate::rapl::learn::{Triplet, Unsupervised, fit_rlhf, fit_unsupervised};
use crate::rapl::rankings::Rankings;
use crate::rapl::reward::{Experts, Reward};
use crate::rapl::sac::SacConfig;
use crate::rapl::video::read_video;

/// What the policy is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// The task's true reward
    Gt,
    /// The share of the blocks in the goal
    Sparse,
    /// Transport to preferred videos with an aligned encoder
    Rapl,
    /// Rewards learned from the rankings
    Rlhf,
    /// Transport to preferred videos with an encoder trained by cycle consistency on the ranked videos
    Tcc,
}

/// How the policy learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Algo {
    /// Soft actor–critic
    Sac,
}

/// Options of `train-policy`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery rapl train-policy --reward sparse --steps 20000 --out policy.safetensors
  orrery rapl train-policy --env avoid --robot mediumstick --reward rapl --encoder encoder.safetensors --expert avoid/0007.safetensors --out policy.safetensors
  orrery rapl train-policy --reward rlhf --triplets rollouts/rankings.jsonl --out policy.safetensors

Observations are states; learned rewards see the rendered episode and are given out when it has ended.")]
pub struct TrainPolicy {
    #[command(flatten)]
    world: WorldArgs,
    /// What the policy is paid
    #[arg(long, value_enum, default_value = "rapl")]
    reward: Source,
    /// How it learns
    #[arg(long, value_enum, default_value = "sac")]
    algo: Algo,
    /// For `rapl`: an encoder of `align`
    #[arg(long, value_name = "FILE")]
    encoder: Option<PathBuf>,
    /// For `rapl` and `tcc`: a preferred video; may be given again
    #[arg(long, value_name = "VIDEO")]
    expert: Vec<PathBuf>,
    /// For `rlhf` and `tcc`: rankings
    #[arg(long, value_name = "FILE")]
    triplets: Option<PathBuf>,
    /// How several preferred videos count
    #[arg(long, value_enum, default_value = "best")]
    pick: Experts,
    /// Frames of training
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=100_000_000))]
    steps: u32,
    /// Frames of random actions at the start
    #[arg(long, value_name = "N", default_value_t = 2000)]
    random: u32,
    /// Updates a frame
    #[arg(long, value_name = "N", default_value = "0.5", value_parser = |text: &str| number_in(text, 0.01, 10.0))]
    updates: f32,
    /// Frames that an action is held
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    repeat: u8,
    /// Networks and batches of XIRL's size instead of a laptop's
    #[arg(long)]
    xirl: bool,
    #[command(flatten)]
    matching: Matching,
    #[command(flatten)]
    learning: Learning,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl TrainPolicy {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        check_out(&self.out, [])?;
        let Algo::Sac = self.algo;
        let device = engine::device("cpu")?;
        let pay = self.pay(context)?;
        let layout = self.world.layout();
        let lengths = (layout.state_len(), layout.embodiment.actions());
        let config = match self.xirl {
            true => SacConfig::xirl(lengths.0, lengths.1),
            false => SacConfig::small(lengths.0, lengths.1),
        };
        let steps = self.steps as usize;
        let training = Training {
            layout,
            view: self.world.view,
            steps,
            random: self.random as usize,
            updates: self.updates.into(),
            eval_every: (steps / 10).max(layout.frames()),
            eval_episodes: 5,
            repeat: self.repeat.into(),
            seed: self.learning.seed,
        };
        let outcome = train(&training, config, &pay, &device, self.output.json, context)?;
        outcome.agent.write(&self.out)?;
        if self.output.json {
            return print_json(&json!({"curve": outcome.curve}));
        }
        print_line(&format!(
            "{:>8}{:>8}{:>10}{:>13}",
            "frames", "score", "success", "true return"
        ))?;
        for point in &outcome.curve {
            print_line(&format!(
                "{:>8}{:>8.3}{:>9.1}%{:>13.2}",
                point.step,
                point.score,
                100.0 * point.success,
                point.truth
            ))?;
        }
        Ok(())
    }

    fn pay(&self, context: Context) -> Result<Pay, Failure> {
        let device = engine::device("cpu")?;
        let missing = |what: &str| {
            Failure::input(format!(
                "this reward needs `{what}`: give it, or choose another `--reward`"
            ))
        };
        let rankings = || -> Result<Rankings, Failure> {
            let path = self
                .triplets
                .as_ref()
                .ok_or_else(|| missing("--triplets"))?;
            Ok(Rankings::read(path)?)
        };
        let fresh = || {
            let mut rng = Rng::new(self.learning.seed).child("weights");
            Vision::new(EncoderConfig::default(), &mut rng, &device)
        };
        let fit = self.learning.fit();
        let reward = match self.reward {
            Source::Gt => return Ok(Pay::Truth),
            Source::Sparse => return Ok(Pay::Sparse),
            Source::Rapl => {
                let path = self.encoder.as_ref().ok_or_else(|| missing("--encoder"))?;
                self.transport(Vision::read(path, &device)?)?
            }
            Source::Rlhf => {
                let (vision, rankings) = (fresh()?, rankings()?);
                let videos = rankings.prepared(&vision.config)?;
                let pairs: Vec<[usize; 2]> =
                    rankings.triplets.iter().flat_map(Triplet::pairs).collect();
                let scored = fit_rlhf(
                    &vision,
                    &videos,
                    &pairs,
                    &fit,
                    ("RLHF", self.output.json, context),
                )?;
                Reward::Scores {
                    vision,
                    scored: Box::new(scored),
                }
            }
            Source::Tcc => {
                let (mut vision, rankings) = (fresh()?, rankings()?);
                let videos = rankings.prepared(&vision.config)?;
                let how = Unsupervised::Cycle(Cycle::default());
                fit_unsupervised(
                    &mut vision,
                    &videos,
                    how,
                    &fit,
                    ("TCC", self.output.json, context),
                )?;
                self.transport(vision)?
            }
        };
        if !self.output.json {
            eprint_line("the learned reward is ready");
        }
        Ok(Pay::Learned(Box::new(reward)))
    }

    fn transport(&self, vision: Vision) -> Result<Reward, Failure> {
        if self.expert.is_empty() {
            return Err(Failure::input(
                "this reward needs a preferred video: give `--expert`",
            ));
        }
        let mut experts = Vec::new();
        for path in &self.expert {
            experts.push(vision.config.prepare(&read_video(path)?));
        }
        let experts: Vec<&[f32]> = experts.iter().map(Vec::as_slice).collect();
        Ok(Reward::transport(
            vision,
            &experts,
            self.matching.transport(),
            self.pick,
        )?)
    }
}
