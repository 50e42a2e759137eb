//! `orrery rapl make-dpo` and `orrery rapl dpo`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps, check_out, number_in};
use base::files::write_bytes;
use base::job::jsonl;
use base::rng::Rng;
use clap::Args;
use serde_json::{Value, json};

use super::options::Matching;
use crate::rapl::diffusion::{DiffusionPolicy, Example, PolicyConfig, PolicyFit, Preference};
use crate::rapl::encoder::Vision;
use crate::rapl::rankings::{Recorded, read_index};
use crate::rapl::reward::{Experts, Reward};
use crate::rapl::video::read_video;
use crate::rapl::{LearningError, Result};

/// Options of `make-dpo`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery rapl make-dpo --rollouts rollouts --encoder encoder.safetensors --expert rollouts/0003.safetensors --clone policy.safetensors --out pairs.jsonl

Of each few rollouts the one with the greatest reward is paired with the one with the least, if they are far enough apart.")]
pub struct MakeDpo {
    /// Folder of `collect`
    #[arg(long, value_name = "FOLDER")]
    rollouts: PathBuf,
    /// An encoder of `align`
    #[arg(long, value_name = "FILE")]
    encoder: PathBuf,
    /// A preferred video; may be given again
    #[arg(long, value_name = "VIDEO", required = true)]
    expert: Vec<PathBuf>,
    #[command(flatten)]
    matching: Matching,
    /// Rollouts from which a best and a worst are taken
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=64))]
    group: u8,
    /// Share of the pairs, those closest together, that is left out
    #[arg(long, value_name = "SHARE", default_value = "0.25", value_parser = |text: &str| number_in(text, 0.0, 0.95))]
    drop: f32,
    /// Frames of an action chunk
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    chunk: u8,
    /// Also train a diffusion policy on all rollouts and write it here
    #[arg(long, value_name = "FILE")]
    clone: Option<PathBuf>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed of the cloned policy
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

/// The chunks of a rollout, each with the state before it.
fn chunks(recorded: &Recorded, frames: usize) -> Vec<Example> {
    let starts = (0..recorded.actions.len()).step_by(frames);
    starts
        .filter_map(|at| {
            let actions = recorded.actions.get(at..at + frames)?;
            Some(Example {
                observation: recorded.states.get(at)?.clone(),
                action: actions.concat(),
            })
        })
        .collect()
}

fn watch(context: Context) -> Result<()> {
    Ok(context.proceed()?)
}

impl MakeDpo {
    pub(super) fn run(&self, context: Context) -> std::result::Result<(), Failure> {
        for out in self.clone.iter().chain([&self.out]) {
            check_out(out, [])?;
        }
        let vision = Vision::read(&self.encoder, &engine::device("cpu")?)?;
        let config = vision.config.clone();
        let mut experts = Vec::new();
        for path in &self.expert {
            experts.push(config.prepare(&read_video(path)?));
        }
        let experts: Vec<&[f32]> = experts.iter().map(Vec::as_slice).collect();
        let reward = Reward::transport(vision, &experts, self.matching.transport(), Experts::Best)?;
        let recorded = read_index(&self.rollouts)?;
        let frames = usize::from(self.chunk);
        if recorded.iter().all(|one| chunks(one, frames).is_empty()) {
            return Err(Failure::input(
                "the rollouts have no actions, or fewer than a chunk: record them with `orrery rapl collect`",
            ));
        }
        let mut scores = Vec::new();
        let mut bar = Steps::new("rollouts", self.output.json);
        for (at, one) in recorded.iter().enumerate() {
            context.proceed()?;
            let clip = read_video(&self.rollouts.join(&one.video))?;
            scores.push(reward.video(&config.prepare(&clip))?);
            bar.at(at + 1, recorded.len());
        }
        bar.finish();
        let numbers: Vec<usize> = (0..recorded.len()).collect();
        let mut pairs: Vec<(f64, usize, usize)> = numbers
            .chunks_exact(self.group.into())
            .filter_map(|group| {
                let better = |a: &&usize, b: &&usize| scores[**a].total_cmp(&scores[**b]);
                let (best, worst) = (group.iter().max_by(better)?, group.iter().min_by(better)?);
                Some((scores[*best] - scores[*worst], *best, *worst))
            })
            .collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let kept = ((1.0 - f64::from(self.drop)) * pairs.len() as f64).ceil() as usize;
        pairs.truncate(kept);
        pairs.retain(|pair| pair.0 > 0.0);
        if pairs.is_empty() {
            return Err(Failure::input(
                "no pair differs in reward: give more rollouts",
            ));
        }
        let mut lines = Vec::new();
        let mut count = 0;
        for (_, best, worst) in &pairs {
            let sides = [best, worst].map(|at| chunks(&recorded[*at], frames));
            for (preferred, rejected) in sides[0].iter().zip(&sides[1]) {
                let line = json!({"preferred": preferred, "rejected": rejected});
                serde_json::to_writer(&mut lines, &line).map_err(Failure::failed)?;
                lines.push(b'\n');
                count += 1;
            }
        }
        if let Some(path) = &self.clone {
            let examples: Vec<Example> = recorded
                .iter()
                .flat_map(|one| chunks(one, frames))
                .collect();
            let sizes = (examples[0].observation.len(), examples[0].action.len());
            let rng = Rng::new(self.seed);
            let config = PolicyConfig::small(sizes.0, sizes.1);
            let mut policy =
                DiffusionPolicy::new(config, &mut rng.child("policy"), &engine::device("cpu")?)?;
            let fit = PolicyFit {
                steps: 2000,
                batch: 128,
                learning_rate: 1e-3,
            };
            let mut bar = Steps::new("clone", self.output.json);
            policy.fit(&examples, &fit, &mut rng.child("fit"), |at| {
                bar.at(at, fit.steps);
                watch(context)
            })?;
            bar.finish();
            policy.write(path)?;
        }
        write_bytes(&self.out, &lines)?;
        self.output.print(
            &json!({"rollout_pairs": pairs.len(), "chunk_pairs": count}),
            &format!(
                "{} pairs of rollouts, {count} pairs of chunks in `{}`",
                pairs.len(),
                self.out.display()
            ),
        )
    }
}

/// Options of `dpo`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery rapl dpo --policy policy.safetensors --pairs pairs.jsonl --out preferred.safetensors")]
pub struct DpoVerb {
    /// A diffusion policy, such as `make-dpo --clone` writes
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Pairs of `make-dpo`
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// How much preferences weigh against the policy as it was
    #[arg(long, value_name = "BETA", default_value = "20", value_parser = |text: &str| number_in(text, 1e-3, 1e5))]
    beta: f32,
    /// Steps
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    steps: u32,
    /// Pairs in a step
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Learning rate of Adam
    #[arg(long, value_name = "RATE", default_value = "0.0003", value_parser = |text: &str| number_in(text, 1e-8, 1.0))]
    lr: f32,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl DpoVerb {
    pub(super) fn run(&self, context: Context) -> std::result::Result<(), Failure> {
        check_out(&self.out, [])?;
        let mut policy = DiffusionPolicy::read(&self.policy, &engine::device("cpu")?)?;
        let lines = jsonl::read(&self.pairs).map_err(LearningError::from)?;
        let mut pairs: Vec<Preference> = Vec::new();
        for (number, record) in lines.records {
            let pair = serde_json::from_value(Value::Object(record));
            pairs.push(pair.map_err(|error| {
                Failure::input(format!("`{}` line {number}: {error}", self.pairs.display()))
            })?);
        }
        let fit = PolicyFit {
            steps: self.steps as usize,
            batch: self.batch.into(),
            learning_rate: self.lr.into(),
        };
        let mut bar = Steps::new("dpo", self.output.json);
        let mut rng = Rng::new(self.seed).child("dpo");
        let loss = policy.prefer(&pairs, self.beta.into(), &fit, &mut rng, |at| {
            bar.at(at, fit.steps);
            watch(context)
        })?;
        bar.finish();
        policy.write(&self.out)?;
        self.output.print(
            &json!({"pairs": pairs.len(), "loss": loss}),
            &format!(
                "fine-tuned on {} pairs: loss {loss:.4} (0.6931 before)",
                pairs.len()
            ),
        )
    }
}
