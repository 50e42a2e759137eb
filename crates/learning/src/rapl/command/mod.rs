//! The verbs of `orrery rapl`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod align;
mod collect;
mod dpo;
mod eval_reward;
mod options;
pub(super) mod rank;
mod reward;
mod train_policy;

/// What `orrery rapl` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Record videos of wandering, good or trained policies
    Collect(Box<collect::Collect>),
    /// Rank triplets of videos: in the terminal, on a page in the browser, or by a synthetic user
    Rank(Box<rank::Rank>),
    /// Align an encoder with ranked videos
    Align(Box<align::Align>),
    /// What the frames of a video are worth beside a preferred one
    Reward(Box<reward::RewardVerb>),
    /// Compare RAPL with its baselines: how learned rewards follow the true ones
    EvalReward(Box<eval_reward::EvalReward>),
    /// Train a policy with SAC, paid by a true or a learned reward
    TrainPolicy(Box<train_policy::TrainPolicy>),
    /// Pair rollouts by the learned reward: preferences without further humans
    MakeDpo(Box<dpo::MakeDpo>),
    /// Fine-tune a diffusion policy on such pairs
    Dpo(Box<dpo::DpoVerb>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Collect(verb) => verb.run(context),
            Self::Rank(verb) => verb.run(context),
            Self::Align(verb) => verb.run(context),
            Self::Reward(verb) => verb.run(),
            Self::EvalReward(verb) => verb.run(context),
            Self::TrainPolicy(verb) => verb.run(context),
            Self::MakeDpo(verb) => verb.run(context),
            Self::Dpo(verb) => verb.run(context),
        }
    }
}
