//! `orrery rapl collect`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps};
use base::files::{make_folder, write_bytes};
use base::rng::Rng;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::WorldArgs;
use crate::rapl::agent::episode;
use crate::rapl::rankings::{INDEX, Recorded};
use crate::rapl::sac::Agent;
use crate::rapl::video::write_video;

/// Who moves the robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Who {
    /// Ahead with some speed and some swerve, other in each episode
    Wander,
    /// Straight ahead at full speed
    Ahead,
    /// Anything
    Random,
}

/// How videos are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A tensor `frames`
    Safetensors,
    /// A moving picture
    Gif,
}

/// Options of `collect`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery rapl collect --episodes 60 --out rollouts
  orrery rapl collect --env avoid --robot mediumstick --who wander --episodes 90 --gif --out avoid
  orrery rapl collect --policy policy.safetensors --episodes 10 --out trained

The folder gets one video an episode and `videos.jsonl` with the true return, score, states and actions of each.")]
pub struct Collect {
    #[command(flatten)]
    world: WorldArgs,
    /// Who moves the robot
    #[arg(long, value_enum, default_value = "wander", conflicts_with = "policy")]
    who: Who,
    /// A policy of `train-policy` moves it
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Episodes
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    episodes: u16,
    /// Side of the pictures, pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 96, value_parser = clap::value_parser!(u16).range(16..=384))]
    side: u16,
    /// How videos are stored
    #[arg(long, value_enum, default_value = "safetensors")]
    kind: Kind,
    /// Short for `--kind gif`
    #[arg(long)]
    gif: bool,
    /// Folder to fill; must not hold videos yet
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Collect {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let layout = self.world.layout();
        let agent = match &self.policy {
            Some(path) => Some(Agent::read(path, &engine::device("cpu")?)?),
            None => None,
        };
        if let Some(agent) = &agent
            && (agent.config().observation, agent.config().action)
                != (layout.state_len(), layout.embodiment.actions())
        {
            return Err(Failure::input(
                "the policy was trained with another robot: give the same `--robot`",
            ));
        }
        let index = self.out.join(INDEX);
        if index.exists() {
            return Err(Failure::input(format!(
                "`{}` is there already: give `--out` another folder",
                index.display()
            )));
        }
        make_folder(&self.out)?;
        let ending = match self.gif || self.kind == Kind::Gif {
            true => "gif",
            false => "safetensors",
        };
        let rng = Rng::new(self.seed);
        let mut lines = Vec::new();
        let mut sums = [0.0; 3];
        let mut bar = Steps::new("episodes", self.output.json);
        for number in 0..u64::from(self.episodes) {
            context.proceed()?;
            let mut rng = rng.item(number);
            let (speed, swerve) = match self.who {
                Who::Wander => (2.0 * rng.uniform() - 0.7, 0.6 * rng.uniform()),
                Who::Ahead => (1.0, 0.0),
                Who::Random => (0.0, 0.0),
            };
            let side = Some(u32::from(self.side));
            let found = episode(
                layout,
                (self.world.view, side),
                1,
                &mut rng,
                |state, rng| {
                    if let Some(agent) = &agent {
                        return agent.act(state, None);
                    }
                    let mut action: Vec<f32> = (0..layout.embodiment.actions())
                        .map(|_| 2.0 * rng.uniform() - 1.0)
                        .collect();
                    if self.who != Who::Random {
                        action[0] = speed.min(1.0);
                        action[1] = (swerve * rng.normal()).clamp(-1.0, 1.0);
                    }
                    action
                },
            );
            let video = format!("{number:04}.{ending}");
            write_video(&self.out.join(&video), &found.clip()?)?;
            for (sum, value) in
                sums.iter_mut()
                    .zip([found.score, f64::from(u8::from(found.success)), found.truth])
            {
                *sum += value / f64::from(self.episodes);
            }
            let recorded = Recorded {
                video,
                truth: found.truth,
                score: found.score,
                success: found.success,
                actions: found
                    .transitions
                    .iter()
                    .map(|one| one.action.clone())
                    .collect(),
                states: found
                    .transitions
                    .iter()
                    .map(|one| one.observation.clone())
                    .collect(),
            };
            serde_json::to_writer(&mut lines, &recorded).map_err(Failure::failed)?;
            lines.push(b'\n');
            bar.at(number as usize + 1, self.episodes.into());
        }
        bar.finish();
        write_bytes(&index, &lines)?;
        let [score, success, truth] = sums;
        self.output.print(
            &json!({"episodes": self.episodes, "score": score, "success": success, "truth": truth}),
            &format!(
                "{} videos in `{}`: mean score {score:.3}, success {:.1} %, true return {truth:.2}",
                self.episodes,
                self.out.display(),
                100.0 * success
            ),
        )
    }
}
