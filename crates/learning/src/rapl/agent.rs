//! Episodes of a policy, with a reward that is labelled when they end, and SAC on them (specification 2.3).

use base::command::{Context, Steps};
use base::media::Clip;
use base::rng::Rng;
use burn::tensor::Device;

use super::Result;
use super::reward::Reward;
use super::sac::{Agent, Buffer, SacConfig, Transition};
use super::video::DELAY_MS;
use super::world::{ACTION_LIMITS, Layout, View, World};

/// What the policy is paid.
#[derive(Clone, Debug)]
pub enum Pay {
    /// The share of the blocks in the goal.
    Sparse,
    /// The task's true reward.
    Truth,
    /// A learned reward of the rendered episode.
    Learned(Box<Reward>),
}

/// How long and where a policy learns.
#[derive(Clone, Debug)]
pub struct Training {
    /// What is to be done.
    pub layout: Layout,
    /// What learned rewards see.
    pub view: View,
    /// Frames in all.
    pub steps: usize,
    /// Frames of random actions at the start.
    pub random: usize,
    /// Updates a frame, on average.
    pub updates: f64,
    /// Frames between two evaluations.
    pub eval_every: usize,
    /// Episodes of an evaluation.
    pub eval_episodes: usize,
    /// Frames that an action is repeated.
    pub repeat: usize,
    /// Seed.
    pub seed: u64,
}

/// A point of the learning curve.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Point {
    /// Frames so far.
    pub step: usize,
    /// Mean share of the blocks in the goal at the end.
    pub score: f64,
    /// Share of the episodes that succeeded with their constraint kept.
    pub success: f64,
    /// Mean true return.
    pub truth: f64,
}

/// Actions in −1..1 as the world takes them: speed, turn, and for the gripper the fingers.
pub fn scaled(action: &[f32]) -> Vec<f64> {
    let limits = [ACTION_LIMITS[0], ACTION_LIMITS[1], 1.0];
    action
        .iter()
        .zip(limits)
        .map(|(a, limit)| f64::from(*a) * limit)
        .collect()
}

/// One episode of `act`, which says an action in −1..1 for a state, each held for `repeat` frames; with a side, also its pictures.
pub fn episode(
    layout: Layout,
    (view, side): (View, Option<u32>),
    repeat: usize,
    rng: &mut Rng,
    mut act: impl FnMut(&[f32], &mut Rng) -> Vec<f32>,
) -> Episode {
    let mut world = World::new(layout, rng);
    let mut state = Vec::new();
    world.state(&mut state);
    let mut out = Episode::default();
    loop {
        let action = act(&state, rng);
        let before = state.clone();
        let mut sums = [0.0; 2];
        let mut done = false;
        for _ in 0..repeat.max(1) {
            let step = world.step(&scaled(&action));
            sums[0] += step.sparse;
            sums[1] += step.truth;
            done = step.done;
            if done {
                break;
            }
        }
        world.state(&mut state);
        if let Some(side) = side {
            out.frames.push(world.image(view, side));
        }
        out.transitions.push(Transition {
            observation: before,
            action,
            reward: sums[0] as f32,
            next: state.clone(),
            // Running out of time is not an end.
            mask: 1.0,
        });
        out.truths.push(sums[1]);
        if done {
            break;
        }
    }
    out.score = world.score();
    out.success = world.succeeded();
    out.truth = world.truth().total;
    out
}

/// What an episode left.
#[derive(Clone, Debug, Default)]
pub struct Episode {
    /// Its steps, paid by the share of blocks in the goal.
    pub transitions: Vec<Transition>,
    /// The true reward of each step.
    pub truths: Vec<f64>,
    /// A picture after each step.
    pub frames: Vec<base::media::Image>,
    /// Share of the blocks in the goal at the end.
    pub score: f64,
    /// Whether all is as wanted.
    pub success: bool,
    /// The true return.
    pub truth: f64,
}

impl Episode {
    /// Its pictures as a video.
    ///
    /// # Errors
    /// An episode without pictures.
    pub fn clip(&self) -> Result<Clip> {
        Ok(Clip::new(self.frames.clone(), DELAY_MS)?)
    }
}

/// A policy after training, with its curve.
#[derive(Debug)]
pub struct Outcome {
    /// The policy.
    pub agent: Agent,
    /// One point an evaluation.
    pub curve: Vec<Point>,
}

/// Trains SAC from states. Learned rewards are computed from the whole rendered episode when it has ended; once the random
/// episodes are over, one factor makes theirs sum to 10 on average, and only then they enter the buffer.
///
/// # Errors
/// As [`Reward::frames`]; Ctrl-C.
pub fn train(
    training: &Training,
    config: SacConfig,
    pay: &Pay,
    device: &Device,
    quiet: bool,
    context: Context,
) -> Result<Outcome> {
    let rng = Rng::new(training.seed);
    let mut agent = Agent::new(config, &mut rng.child("agent"), device);
    let mut buffer = Buffer::new(1_000_000);
    let mut draws = rng.child("updates");
    let mut scale: Option<f32> = None;
    let mut waiting: Vec<Vec<Transition>> = Vec::new();
    let mut owed = 0.0;
    let (mut done, mut number, mut next_eval) = (0, 0u64, training.eval_every);
    let mut curve = Vec::new();
    let mut bar = Steps::new("frames", quiet);
    let side = match pay {
        Pay::Learned(reward) => Some(reward.vision().config.side as u32),
        _ => None,
    };
    while done < training.steps {
        context.proceed()?;
        let random = done < training.random;
        let mut episode_rng = rng.child("episode").item(number);
        let mut found = episode(
            training.layout,
            (training.view, side),
            training.repeat,
            &mut episode_rng,
            |state, rng| match random {
                true => (0..agent.config().action)
                    .map(|_| 2.0 * rng.uniform() - 1.0)
                    .collect(),
                false => agent.act(state, Some(rng)),
            },
        );
        number += 1;
        match pay {
            Pay::Sparse => {}
            Pay::Truth => {
                for (transition, truth) in found.transitions.iter_mut().zip(&found.truths) {
                    transition.reward = *truth as f32;
                }
            }
            Pay::Learned(reward) => {
                let rewards = labelled(reward, &found.clip()?)?;
                for (transition, paid) in found.transitions.iter_mut().zip(rewards) {
                    transition.reward = paid as f32;
                }
            }
        }
        owed += found.transitions.len() as f64 * training.updates;
        done += found.transitions.len() * training.repeat.max(1);
        waiting.push(found.transitions);
        if done >= training.random {
            let scale = *scale.get_or_insert_with(|| match pay {
                Pay::Learned(_) => to_ten(&waiting),
                Pay::Sparse | Pay::Truth => 1.0,
            });
            for mut one in waiting.drain(..).flatten() {
                one.reward *= scale;
                buffer.push(one);
            }
            while owed >= 1.0 {
                owed -= 1.0;
                let batch = buffer.sample(agent.config().batch, &mut draws);
                agent.update(&batch, &mut draws);
            }
        } else {
            owed = 0.0;
        }
        bar.at(done.min(training.steps), training.steps);
        if done >= next_eval || done >= training.steps {
            next_eval += training.eval_every.max(1);
            curve.push(evaluate(&agent, training, done));
        }
    }
    bar.finish();
    Ok(Outcome { agent, curve })
}

/// What rewards are multiplied by so that an episode's sum to ±10 on average.
fn to_ten(episodes: &[Vec<Transition>]) -> f32 {
    let sums = episodes.iter().map(|one| {
        let sum: f64 = one.iter().map(|step| f64::from(step.reward)).sum();
        sum.abs()
    });
    let mean = sums.sum::<f64>() / episodes.len().max(1) as f64;
    (10.0 / mean.max(1e-6)) as f32
}

/// The reward of every frame of an episode.
fn labelled(reward: &Reward, clip: &Clip) -> Result<Vec<f64>> {
    let mut config = reward.vision().config.clone();
    config.frames = clip.frames.len();
    reward.frames(&config.prepare(clip))
}

/// Episodes of the most probable actions.
pub fn evaluate(agent: &Agent, training: &Training, step: usize) -> Point {
    let rng = Rng::new(training.seed).child("evaluation");
    let mut point = Point {
        step,
        score: 0.0,
        success: 0.0,
        truth: 0.0,
    };
    let share = 1.0 / training.eval_episodes.max(1) as f64;
    for at in 0..training.eval_episodes.max(1) {
        let mut rng = rng.item(at as u64);
        let found = episode(
            training.layout,
            (training.view, None),
            training.repeat,
            &mut rng,
            |state, _| agent.act(state, None),
        );
        point.score += share * found.score;
        point.success += share * f64::from(u8::from(found.success));
        point.truth += share * found.truth;
    }
    point
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_of_the_first_episodes_sum_to_ten_on_average() {
        let step = |reward: f32| Transition {
            observation: Vec::new(),
            action: Vec::new(),
            reward,
            next: Vec::new(),
            mask: 1.0,
        };
        let episodes = [vec![step(-1.0), step(-2.0)], vec![step(-5.0)]];
        let scale = to_ten(&episodes);
        let sums = episodes.map(|one| one.iter().map(|step| scale * step.reward).sum::<f32>());
        assert!((sums[0] + sums[1] + 20.0).abs() < 1e-5);
    }
}
