//! Experiment 1: STIV's own claims on the toy world, from three models trained with one budget.

use base::command::{Failure, Stopped};
use base::numerics::frechet;
use base::proof::{Figure, ProofOptions, Report, Share};

use super::features::features;
use super::toy::{BUDGET, ToyArm, train_arm, trained};
use super::toy_draw::{SHAPE, ToyDrawn, draw};
use super::toy_report::{Found, SCALES, STRONG, claims, experiments, not_run};
use super::{Stage, sheets};
use crate::stiv::model::Stiv;
use crate::stiv::sample::{Guidance, SampleConfig};

/// Noise of the choice; no result is drawn with it.
const CHOICE_SEED: u64 = 77_000;
/// Scale of the given frame in separate guidance, the paper's best (section 4.2).
const IMAGE_SCALE: f32 = 1.5;
/// A frame in the middle of the clip, where a wrong motion shows.
const MIDDLE: usize = 4;

/// Clips drawn for each caption.
const EACH: usize = 4;

/// Trains, draws, reads, and adds claims, experiments and strips to `report`. A short run trains nothing: it reads the
/// seeds whose models an earlier run trained to the end, and leaves it all out where there are none.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let stage = &mut Stage::new(options)?;
    let mut seeds = stage.options.seeds.clone();
    if !stage.options.full {
        seeds.retain(|&seed| trained(BUDGET, seed, &stage.runs));
    }
    if seeds.is_empty() {
        report.claims.extend(not_run());
        return Ok(());
    }
    let mut found = Found::default();
    for seed in seeds {
        for (at, arm) in ToyArm::ALL.into_iter().enumerate() {
            let model = train(stage, arm, seed)?;
            if found.choice.is_empty() {
                choose(stage, &model, &mut found)?;
            }
            captions(stage, (at, arm), &model, seed, &mut found)?;
            if arm == ToyArm::Stiv {
                renorm(stage, &model, seed, &mut found)?;
                passes(stage, &model, seed, &mut found)?;
            }
        }
    }
    let experiments = experiments(stage, &found);
    report.claims.extend(claims(&experiments));
    report.experiments.extend(experiments);
    let caption = "Toy clips from text, the same noise for all; three captions for each of: T2V only, TI2V without image \
                   dropout, STIV";
    let sheet = sheets::strips(&found.strips, SHAPE)?;
    report
        .figures
        .push(Figure::still("toy.png", caption, &sheet)?);
    Ok(())
}

fn train(stage: &mut Stage, arm: ToyArm, seed: u64) -> Result<Stiv, Failure> {
    stage
        .progress
        .println(&format!("toy world: {}, seed {seed}", arm.name()));
    train_arm(
        arm,
        BUDGET,
        seed,
        &stage.runs,
        &stage.device,
        stage.stop,
        &mut stage.progress,
    )?
    .ok_or(Stopped::resumable().into())
}

/// Chooses the scale; `alone` is the first seed's T2V model.
fn choose(stage: &mut Stage, alone: &Stiv, found: &mut Found) -> Result<(), Failure> {
    let mut best = 0;
    for scale in SCALES {
        let config = stage.sampling(scale, true);
        let share = right(
            &clips(stage, alone, false, &config, CHOICE_SEED)?,
            CHOICE_SEED,
        );
        stage.progress.println(&format!(
            "toy world: guidance {scale}: {} of {} captions read right with the noise of the choice",
            share.hits, share.of
        ));
        if found.choice.is_empty() || share.hits > best {
            (best, found.scale) = (share.hits, scale);
        }
        found.choice.push(share);
    }
    Ok(())
}

/// Clips for each caption, with a first frame or without, by one model.
fn clips(
    stage: &Stage,
    model: &Stiv,
    given: bool,
    config: &SampleConfig,
    seed: u64,
) -> Result<ToyDrawn, Failure> {
    let device = &stage.device;
    draw(model, EACH, given, config, seed, device, stage.stop)
}

fn right(drawn: &ToyDrawn, seed: u64) -> Share {
    Share {
        seed,
        hits: drawn.right(),
        of: drawn.clips.len(),
    }
}

/// Claim 1: are shape, colour and direction as asked?
fn captions(
    stage: &Stage,
    (at, arm): (usize, ToyArm),
    model: &Stiv,
    seed: u64,
    found: &mut Found,
) -> Result<(), Failure> {
    let config = stage.sampling(found.scale, true);
    let drawn = clips(stage, model, false, &config, seed)?;
    let share = right(&drawn, seed);
    stage.progress.println(&format!(
        "toy world: {}, seed {seed}: {} of {} captions read right",
        arm.name(),
        share.hits,
        share.of
    ));
    if found.text[at].is_empty() {
        let every = (drawn.clips.len() / 3).max(1);
        let few = drawn.clips.into_iter().step_by(every).take(3);
        found.strips.extend(few);
    }
    found.text[at].push(share);
    if arm != ToyArm::TextOnly {
        let drawn = clips(stage, model, true, &config, seed)?;
        found.frame[at].push(right(&drawn, seed));
        found.first[at].push((seed, drawn.psnr(0)));
        found.middle[at].push((seed, drawn.psnr(MIDDLE)));
    }
    Ok(())
}

/// Claim 2: strong guidance with renorm and without.
fn renorm(stage: &Stage, stiv: &Stiv, seed: u64, found: &mut Found) -> Result<(), Failure> {
    let device = &stage.device;
    for (at, on) in [true, false].into_iter().enumerate() {
        let drawn = clips(stage, stiv, false, &stage.sampling(STRONG, on), seed)?;
        let made = features(&drawn.clips, SHAPE, device);
        let real = features(&drawn.real, SHAPE, device);
        found.out_of_range[at].push((seed, drawn.out_of_range()));
        found.distance[at].push((seed, frechet(&made, &real).map_err(Failure::failed)?));
    }
    Ok(())
}

/// Claim 3: what the two ways to guide cost.
fn passes(stage: &Stage, stiv: &Stiv, seed: u64, found: &mut Found) -> Result<(), Failure> {
    let joint = stage.sampling(found.scale, true);
    let separate = SampleConfig {
        guidance: Guidance::Separate {
            image: IMAGE_SCALE,
            text: found.scale,
        },
        ..joint.clone()
    };
    for (at, config) in [joint, separate].into_iter().enumerate() {
        let drawn = clips(stage, stiv, true, &config, seed)?;
        found.guided[at].push(right(&drawn, seed));
        found.passes[at].push((seed, drawn.passes as f64 / config.steps as f64));
    }
    Ok(())
}
