//! SAC on SweepToTop, paid by the learned reward or by the sparse one.

use base::command::{Context, Failure};
use base::proof::{Bound, Claim, ProofOptions, Report, Trial};
use base::rng::Rng;

use crate::rapl::agent::{Episode, Pay, Point, Training, episode, train};
use crate::rapl::encoder::{EncoderConfig, Vision};
use crate::rapl::learn::{Fit, Triplet, align, usual_alignment};
use crate::rapl::reward::{Experts, Reward};
use crate::rapl::sac::SacConfig;
use crate::rapl::world::{Embodiment, Layout, Task, Variant, View};

/// Frames of training.
const STEPS: usize = 20_000;
/// Frames between two evaluations; what is tested is the mean of the last ten.
const EVERY: usize = 500;
const LAST: usize = 10;
/// Rankings of a demonstration and two rollouts.
const TRIPLETS: usize = 30;

const LAYOUT: Layout = Layout {
    task: Task::Sweep,
    embodiment: Embodiment::Longstick,
    variant: Variant::Demo,
};

/// The small encoder of 48 × 48 pixels; the arena is mostly white, as the toy scenes are.
fn config() -> EncoderConfig {
    EncoderConfig {
        mean: EncoderConfig::toy().mean,
        std: EncoderConfig::toy().std,
        ..EncoderConfig::default()
    }
}

/// A rollout of a policy that goes ahead with this speed and swerve, actions in −1..1.
fn rollout(speed: f32, swerve: f32, rng: &mut Rng) -> Episode {
    let side = config().side as u32;
    episode(LAYOUT, (View::Allo, Some(side)), 1, rng, |_, rng| {
        vec![speed.min(1.0), (swerve * rng.normal()).clamp(-1.0, 1.0)]
    })
}

/// Rollouts of wandering policies, in pairs whose true returns differ, the better first: a user has no preference where no block
/// was moved in either.
fn pairs(rng: &Rng) -> Vec<[Episode; 2]> {
    let wander = |at: u64| {
        let mut rng = rng.item(at);
        let (speed, swerve) = (2.0 * rng.uniform() - 0.7, 0.6 * rng.uniform());
        rollout(speed, swerve, &mut rng)
    };
    (0u64..)
        .map(|at| [wander(2 * at), wander(2 * at + 1)])
        .filter(|[a, b]| (a.truth - b.truth).abs() > 1e-3)
        .map(|[a, b]| if a.truth > b.truth { [a, b] } else { [b, a] })
        .take(TRIPLETS)
        .collect()
}

/// The reward aligned with a simulated user's rankings; the demonstration sweeps straight up.
fn aligned(seed: u64, context: Context) -> Result<Reward, Failure> {
    let rng = Rng::new(seed);
    let config = config();
    let demonstration = rollout(1.0, 0.0, &mut rng.child("demonstration"));
    let mut videos = vec![config.prepare(&demonstration.clip()?)];
    let mut triplets = Vec::new();
    for pair in pairs(&rng.child("rollouts")) {
        triplets.push(Triplet::ranked([0, videos.len(), videos.len() + 1]));
        for one in pair {
            videos.push(config.prepare(&one.clip()?));
        }
    }
    let device = engine::device("cpu")?;
    let mut vision = Vision::new(config, &mut rng.child("weights"), &device)?;
    let alignment = usual_alignment();
    let fit = Fit {
        seed,
        ..Fit::default()
    };
    let watch = ("align", true, context);
    align(&mut vision, &videos, &triplets, &alignment, &fit, watch)?;
    Ok(Reward::transport(
        vision,
        &[&videos[0]],
        alignment.transport,
        Experts::Best,
    )?)
}

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let statements = [
        "SAC paid by RAPL's reward sweeps two of three blocks or more into the goal",
        "It does no worse than SAC paid by the sparse reward",
    ];
    let ours = "specification, section 6";
    if !options.full {
        let why = "20,000 frames for each arm and seed: run with `--full`";
        report.not_run(&statements, "see `--full`", ours, why);
        return Ok(());
    }
    let about = format!(
        "SweepToTop, Longstick, states as observations, {STEPS} frames, an update a frame. The learned reward is aligned with {TRIPLETS} \
         rankings of a demonstration and two wandering rollouts by the true return. The world is the same in every episode and the most \
         probable action is taken, so one episode is an evaluation; every value is the mean of the last {LAST}, {EVERY} frames apart."
    );
    let trial = Trial::new("control", "SAC on SweepToTop", &about, options)
        .arm("RAPL", "rewards of the whole episode when it has ended")
        .arm(
            "sparse",
            "the share of the blocks in the goal in each frame",
        )
        .arm("truth", "the true reward: what SAC reaches at best here")
        .share("score", "share of the blocks in the goal at the end")
        .higher("true return", "minus the mean distance, summed");
    let device = engine::device("cpu")?;
    let found = trial.run(options, |arm, seed| {
        let pay = match arm {
            "RAPL" => Pay::Learned(Box::new(aligned(seed, options.context)?)),
            "truth" => Pay::Truth,
            _ => Pay::Sparse,
        };
        let training = Training {
            layout: LAYOUT,
            view: View::Allo,
            steps: STEPS,
            random: 2000,
            updates: 1.0,
            eval_every: EVERY,
            eval_episodes: 1,
            repeat: 1,
            seed,
        };
        let config = SacConfig::small(LAYOUT.state_len(), LAYOUT.embodiment.actions());
        let outcome = train(&training, config, &pay, &device, true, options.context)?;
        let last = &outcome.curve[outcome.curve.len().saturating_sub(LAST)..];
        if last.is_empty() {
            return Err(Failure::failed("no evaluation"));
        }
        let mean = |of: fn(&Point) -> f64| last.iter().map(of).sum::<f64>() / last.len() as f64;
        Ok(vec![mean(|at| at.score), mean(|at| at.truth)])
    })?;
    let score = &found.measures[0];
    if let [Some(rapl), Some(sparse)] = ["RAPL", "sparse"].map(|arm| score.of(arm)) {
        let bound = Bound::AtLeast(2.0 / 3.0);
        report
            .claims
            .push(Claim::tested(statements[0], ours, bound, (score, rapl)));
        let bound = Bound::AtLeast(0.0);
        report.claims.push(Claim::tested(
            statements[1],
            ours,
            bound,
            (score, &rapl.minus(sparse)),
        ));
    }
    report.experiments.push(found);
    Ok(())
}
