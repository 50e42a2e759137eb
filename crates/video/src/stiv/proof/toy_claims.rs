//! Experiment 1: STIV's own claims on the toy world, from three models trained with one budget.

use engine::numerics::frechet;
use engine::proof::{
    Arm, Better, Claim, Experiment, Figure, Measure, Outcome, Report, Share, Unit, Verdict,
};

use super::features::features;
use super::toy::{Budget, ToyArm, train_arm};
use super::toy_draw::{SHAPE, ToyDrawn, draw};
use super::{ProofError, Stage, sheets};
use crate::stiv::model::Stiv;
use crate::stiv::sample::{Guidance, SampleConfig};

/// Guidance at which captions are read; fixed beforehand.
const SCALE: f32 = 3.0;
/// The paper's guidance scale (section 4.1), at which renorm is tried.
const STRONG: f32 = 7.5;
/// Scale of the given frame in separate guidance, the paper's best (section 4.2).
const IMAGE_SCALE: f32 = 1.5;
/// A frame in the middle of the clip, where a wrong motion shows.
const MIDDLE: usize = 4;

const SOURCE: &str = "arXiv 2412.07730, toy world";
/// Statements and thresholds, as the specification fixes them.
const CLAIMS: [[&str; 2]; 3] = [
    [
        "Image-condition dropout keeps text-to-video alive in a model that also takes images (paper table 4)",
        "captions read right: STIV at least 80 % from text and within 8 points of T2V alone, without dropout at most half \
         of that; from a first frame within 5 points of the model without dropout, first frame as exact",
    ],
    [
        "CFG-renorm tames strong guidance",
        "at scale 7.5 fewer out-of-range values and a lower Fréchet distance with renorm than without",
    ],
    [
        "Joint guidance costs 2 passes a step against 3 for separate guidance",
        "passes counted, captions read right as often within the 95 % interval",
    ],
];

/// What all seeds gave, arm by arm.
#[derive(Default)]
struct Found {
    /// From text alone, by [`ToyArm::ALL`].
    text: [Vec<Share>; 3],
    /// From a first frame.
    frame: [Vec<Share>; 3],
    first: [Vec<(u64, f64)>; 3],
    middle: [Vec<(u64, f64)>; 3],
    /// With renorm, without.
    out_of_range: [Vec<(u64, f64)>; 2],
    distance: [Vec<(u64, f64)>; 2],
    /// Joint, separate.
    guided: [Vec<Share>; 2],
    passes: [Vec<(u64, f64)>; 2],
    strips: Vec<Vec<f32>>,
}

/// Trains, draws, reads, and adds claims, experiments and strips to `report`.
pub(super) fn prove(stage: &mut Stage, report: &mut Report) -> Result<(), ProofError> {
    let seeds: Vec<u64> = match stage.options.full {
        true => stage.options.seeds.clone(),
        false => stage.options.seeds[..1].to_vec(),
    };
    let mut found = Found::default();
    for seed in seeds {
        let models = train(stage, seed)?;
        captions(stage, &models, seed, &mut found)?;
        renorm(stage, &models[2], seed, &mut found)?;
        passes(stage, &models[2], seed, &mut found)?;
    }
    let experiments = experiments(stage, &found);
    report.claims.extend(claims(&experiments));
    report.experiments.extend(experiments);
    let caption = "Toy clips from text, the same noise for all; three captions for each of: T2V only, TI2V without image \
                   dropout, STIV";
    let sheet = sheets::strips(&found.strips, SHAPE)?;
    report.figures.push(Figure::still("toy.png", caption, &sheet)?);
    Ok(())
}

fn train(stage: &mut Stage, seed: u64) -> Result<[Stiv; 3], ProofError> {
    let budget = Budget::of(stage.options.full);
    let mut train = |arm: ToyArm| {
        stage
            .progress
            .say(&format!("toy world: {}, seed {seed}", arm.name()));
        let options = stage.options;
        train_arm(
            arm,
            budget,
            seed,
            &options.runs,
            &options.device,
            stage.stop,
            stage.progress,
        )?
        .ok_or(ProofError::Stopped)
    };
    let [text, image, stiv] = ToyArm::ALL;
    Ok([train(text)?, train(image)?, train(stiv)?])
}

/// Clips for each caption, with a first frame or without, by one model.
fn clips(
    stage: &Stage,
    model: &Stiv,
    given: bool,
    config: &SampleConfig,
    seed: u64,
) -> Result<ToyDrawn, ProofError> {
    let each = if stage.options.full { 4 } else { 2 };
    let device = &stage.options.device;
    draw(model, each, given, config, seed, device, stage.stop)
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
    models: &[Stiv; 3],
    seed: u64,
    found: &mut Found,
) -> Result<(), ProofError> {
    let config = stage.sampling(SCALE, true);
    let first_seed = found.text[0].is_empty();
    for (at, arm) in ToyArm::ALL.into_iter().enumerate() {
        let drawn = clips(stage, &models[at], false, &config, seed)?;
        found.text[at].push(right(&drawn, seed));
        if first_seed {
            let every = drawn.clips.len() / 3;
            found.strips.extend(drawn.clips.into_iter().step_by(every.max(1)).take(3));
        }
        if arm == ToyArm::TextOnly {
            continue;
        }
        let drawn = clips(stage, &models[at], true, &config, seed)?;
        found.frame[at].push(right(&drawn, seed));
        found.first[at].push((seed, drawn.psnr(0)));
        found.middle[at].push((seed, drawn.psnr(MIDDLE)));
    }
    Ok(())
}

/// Claim 2: strong guidance with renorm and without.
fn renorm(stage: &Stage, stiv: &Stiv, seed: u64, found: &mut Found) -> Result<(), ProofError> {
    let device = &stage.options.device;
    for (at, on) in [true, false].into_iter().enumerate() {
        let drawn = clips(stage, stiv, false, &stage.sampling(STRONG, on), seed)?;
        let made = features(&drawn.clips, SHAPE, device);
        let real = features(&drawn.real, SHAPE, device);
        found.out_of_range[at].push((seed, drawn.out_of_range()));
        found.distance[at].push((seed, frechet(&made, &real)?));
    }
    Ok(())
}

/// Claim 3: what the two ways to guide cost.
fn passes(stage: &Stage, stiv: &Stiv, seed: u64, found: &mut Found) -> Result<(), ProofError> {
    let joint = stage.sampling(SCALE, true);
    let separate = SampleConfig {
        guidance: Guidance::Separate {
            image: IMAGE_SCALE,
            text: SCALE,
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

const RENORM_ARMS: [&str; 2] = ["renorm", "no renorm"];
const GUIDANCE_ARMS: [&str; 2] = ["joint (JIT)", "separate (SIT)"];

fn experiments(stage: &Stage, found: &Found) -> [Experiment; 3] {
    let Budget { steps, batch, rate } = Budget::of(stage.options.full);
    let names = ToyArm::ALL.map(ToyArm::name);
    let measure = |name: &str, about: &str, better, unit, outcomes: Vec<Outcome>| Measure {
        outcomes,
        ..Measure::new(name, about, better, unit)
    };
    let shares = |names: &[&str], values: &[Vec<Share>]| -> Vec<Outcome> {
        let arms = names.iter().zip(values).filter(|(_, values)| !values.is_empty());
        arms.map(|(name, values)| Outcome::trained_shares(name, values)).collect()
    };
    let numbers = |names: &[&str], values: &[Vec<(u64, f64)>]| -> Vec<Outcome> {
        let arms = names.iter().zip(values).filter(|(_, values)| !values.is_empty());
        arms.map(|(name, values)| Outcome::numbers(name, values)).collect()
    };
    let (high, low) = (Better::Higher, Better::Lower);
    let captions = Experiment {
        title: "Toy world: text and first frame in one model".into(),
        about: format!(
            "A shape (3 kinds, 4 colours) moves in one of 4 directions over a textured ground, 8 frames of 16×16. Three models of \
             one size, {steps} steps of {batch} clips at a learning rate of {rate}, draw clips for all 48 captions; shape, colour \
             and direction are read off by template matching, all three must be right (chance 2 %). Guidance {SCALE}, renorm, {} \
             Euler steps.",
            stage.steps()
        ),
        arms: ToyArm::ALL.map(|arm| Arm::new(arm.name(), arm.about())).into(),
        measures: vec![
            measure("caption from text", "no frame given", high, Unit::Share, shares(&names, &found.text)),
            measure("caption from a first frame", "the first frame of a real clip of that caption", high, Unit::Share, shares(&names, &found.frame)),
            measure("first frame", "peak signal-to-noise ratio to what was given, cut at 100 dB", high, Unit::Decibel, numbers(&names, &found.first)),
            measure("frame 4", "peak signal-to-noise ratio to the real clip, whose motion the caption tells", high, Unit::Decibel, numbers(&names, &found.middle)),
        ],
    };
    let renorm = Experiment {
        title: format!("Toy world: renorm at guidance {STRONG}"),
        about: "STIV's clips from text, the same noise for both.".into(),
        arms: vec![
            Arm::new(RENORM_ARMS[0], "the guided velocity scaled to the conditional one's length"),
            Arm::new(RENORM_ARMS[1], "plain guidance"),
        ],
        measures: vec![
            measure("out of range", "values beyond [-1, 1]", low, Unit::Share, numbers(&RENORM_ARMS, &found.out_of_range)),
            measure("Fréchet distance", "to fresh real clips of the same captions, features of a random 3-D convolutional network", low, Unit::Number, numbers(&RENORM_ARMS, &found.distance)),
        ],
    };
    let guidance = Experiment {
        title: "Toy world: what guidance costs".into(),
        about: "STIV's clips from a first frame, the same noise for both.".into(),
        arms: vec![
            Arm::new(GUIDANCE_ARMS[0], "text and frame dropped together"),
            Arm::new(GUIDANCE_ARMS[1], "a scale for the frame (1.5) and one for the text"),
        ],
        measures: vec![
            measure("passes a step", "counted by the sampler", low, Unit::Number, numbers(&GUIDANCE_ARMS, &found.passes)),
            measure("caption from a first frame", "as above", high, Unit::Share, shares(&GUIDANCE_ARMS, &found.guided)),
        ],
    };
    [captions, renorm, guidance]
}

/// The verdicts, read off the experiments as they are printed.
fn claims([captions, renorm, guidance]: &[Experiment; 3]) -> [Claim; 3] {
    let mean = |measure: &Measure, arm: &str| measure.of(arm).map_or(f64::NAN, |found| found.mean);
    let claim = |at: usize, met: bool, evidence: String| Claim {
        statement: CLAIMS[at][0].into(),
        source: SOURCE.into(),
        threshold: CLAIMS[at][1].into(),
        verdict: Verdict::from_met(met),
        evidence,
    };
    let [alone, always, stiv] = ToyArm::ALL.map(ToyArm::name);
    let [text, frame, first] = [0, 1, 2].map(|at| &captions.measures[at]);
    let alive = mean(text, stiv) >= 0.80
        && mean(text, stiv) >= mean(text, alone) - 0.08
        && mean(text, always) <= 0.5 * mean(text, stiv)
        && mean(frame, stiv) >= mean(frame, always) - 0.05
        && (mean(first, stiv) - mean(first, always)).abs() < 0.1;
    let alive = claim(
        0,
        alive,
        format!(
            "from text: STIV {}, T2V only {}, without dropout {}; from a first frame: STIV {}, without dropout {}; first frame {} \
             and {}",
            text.show(stiv),
            text.show(alone),
            text.show(always),
            frame.show(stiv),
            frame.show(always),
            first.show(stiv),
            first.show(always),
        ),
    );
    let [with, without] = RENORM_ARMS;
    let tame = renorm.measures.iter().all(|measure| mean(measure, with) < mean(measure, without));
    let shown = |measure: &Measure| {
        format!("{} {} with, {} without", measure.name, measure.show(with), measure.show(without))
    };
    let tame = claim(1, tame, renorm.measures.iter().map(shown).collect::<Vec<_>>().join("; "));
    let [joint, separate] = GUIDANCE_ARMS;
    let (passes, read) = (&guidance.measures[0], &guidance.measures[1]);
    let within = |a: &str, b: &str| {
        let interval = read.of(a).and_then(|found| found.interval);
        interval.is_some_and(|interval| (interval.low..=interval.high).contains(&mean(read, b)))
    };
    let cheap = mean(passes, joint) == 2.0
        && mean(passes, separate) == 3.0
        && (within(joint, separate) || within(separate, joint));
    let cheap = claim(
        2,
        cheap,
        format!(
            "passes a step: {} joint, {} separate; captions right {} joint, {} separate",
            mean(passes, joint),
            mean(passes, separate),
            read.show(joint),
            read.show(separate)
        ),
    );
    [alive, tame, cheap]
}
