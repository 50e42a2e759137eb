//! SAC on SweepToTop, paid by the learned reward or by the sparse one.

use base::command::{Context, Failure};
use base::proof::{Better, Bound, Claim, ProofOptions, Report, Trial, Unit};
use base::rng::Rng;

use crate::rapl::agent::{Pay, Training, episode, train};
use crate::rapl::encoder::{EncoderConfig, Vision};
use crate::rapl::learn::{Fit, Triplet, align, usual_alignment};
use crate::rapl::reward::{Experts, Reward};
use crate::rapl::sac::SacConfig;
use crate::rapl::world::{Embodiment, Layout, Task, Variant, View};

/// Frames of training.
const STEPS: usize = 20_000;
/// Ranked triplets of rollouts.
const TRIPLETS: usize = 30;

const LAYOUT: Layout = Layout {
    task: Task::Sweep,
    embodiment: Embodiment::Longstick,
    variant: Variant::Demo,
};

/// A rollout of a wandering policy that goes ahead with some speed; 0 sweeps straight up.
fn wander(at: u64, rng: &Rng) -> crate::rapl::agent::Episode {
    let mut rng = rng.item(at);
    let (speed, swerve) = match at {
        0 => (1.0, 0.0),
        _ => (2.0 * rng.uniform() - 0.7, 0.6 * rng.uniform()),
    };
    let side = EncoderConfig::default().side as u32;
    episode(LAYOUT, (View::Allo, Some(side)), 1, &mut rng, |_, rng| {
        vec![speed, swerve * rng.normal()]
    })
}

/// The reward aligned with a synthetic user's rankings of rollouts; the expert is the best of them.
fn aligned(seed: u64, context: Context) -> Result<Reward, Failure> {
    let rng = Rng::new(seed);
    let config = EncoderConfig::default();
    let draw = rng.child("rollouts");
    let rollouts: Vec<_> = (0..3 * TRIPLETS as u64)
        .map(|at| wander(at, &draw))
        .collect();
    let mut videos = Vec::new();
    for rollout in &rollouts {
        videos.push(config.prepare(&rollout.clip()?));
    }
    let mut order: Vec<usize> = (0..videos.len()).collect();
    rng.child("triplets").shuffle(&mut order);
    let better = |a: &usize, b: &usize| rollouts[*b].truth.total_cmp(&rollouts[*a].truth);
    let triplets: Vec<Triplet> = order
        .chunks_exact(3)
        .map(|three| {
            let mut ranking = [three[0], three[1], three[2]];
            ranking.sort_by(better);
            Triplet::ranked(ranking)
        })
        .collect();
    let best = (0..videos.len()).min_by(better).unwrap_or(0);
    let device = engine::device("cpu")?;
    let mut vision = Vision::new(config, &mut rng.child("weights"), &device)?;
    let alignment = usual_alignment();
    let fit = Fit {
        seed,
        ..Fit::default()
    };
    align(
        &mut vision,
        &videos,
        &triplets,
        &alignment,
        &fit,
        ("align", true, context),
    )?;
    Ok(Reward::transport(
        vision,
        &[&videos[best]],
        alignment.transport,
        Experts::Best,
    )?)
}

pub(super) fn run(
    options: &ProofOptions,
    context: Context,
    report: &mut Report,
) -> Result<(), Failure> {
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
        "SweepToTop, Longstick, states as observations, {STEPS} frames. The learned reward is aligned with {TRIPLETS} rankings of wandering \
         rollouts by the true return; the best rollout is the demonstration."
    );
    let trial = Trial::new("control", "SAC on SweepToTop", &about, options)
        .arm("RAPL", "rewards of the whole episode when it has ended")
        .arm(
            "sparse",
            "the share of the blocks in the goal in each frame",
        )
        .measure(
            "score",
            "share of the blocks in the goal at the end",
            Better::Higher,
            Unit::Share,
        )
        .measure(
            "true return",
            "minus the mean distance, summed",
            Better::Higher,
            Unit::Number,
        );
    let device = engine::device("cpu")?;
    let found = trial.run(options, context, |arm, seed| {
        let pay = match arm {
            "RAPL" => Pay::Learned(Box::new(aligned(seed, context)?)),
            _ => Pay::Sparse,
        };
        let training = Training {
            layout: LAYOUT,
            view: View::Allo,
            steps: STEPS,
            random: 2000,
            updates: 0.5,
            eval_every: STEPS,
            eval_episodes: 1,
            repeat: 1,
            seed,
        };
        let config = SacConfig::small(LAYOUT.state_len(), LAYOUT.embodiment.actions());
        let outcome = train(&training, config, &pay, &device, true, context)?;
        let last = outcome
            .curve
            .last()
            .ok_or_else(|| Failure::failed("no evaluation"))?;
        Ok(vec![last.score, last.truth])
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
