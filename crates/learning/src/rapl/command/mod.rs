//! The verbs of `orrery rapl`.

mod align;
mod collect;
mod dpo;
mod eval_reward;
mod options;
pub(super) mod rank;
mod reward;
mod train_policy;

base::verbs! {
    /// What `orrery rapl` can do.
    pub enum Command {
        /// Record videos of wandering, good or trained policies
        Collect(collect::Collect),
        /// Rank triplets of videos: in the terminal, on a page in the browser, or by a synthetic user
        Rank(rank::Rank),
        /// Align an encoder with ranked videos
        Align(align::Align),
        /// What the frames of a video are worth beside a preferred one
        Reward(reward::RewardVerb),
        /// Compare RAPL with its baselines: how learned rewards follow the true ones
        EvalReward(eval_reward::EvalReward),
        /// Train a policy with SAC, paid by a true or a learned reward
        TrainPolicy(train_policy::TrainPolicy),
        /// Pair rollouts by the learned reward: preferences without further humans
        MakeDpo(dpo::MakeDpo),
        /// Fine-tune a diffusion policy on such pairs
        Dpo(dpo::DpoVerb),
    }
}
