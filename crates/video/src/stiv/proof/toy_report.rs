//! What the toy world shows: tables and verdicts.

use base::proof::{Arm, Better, Claim, Experiment, Measure, Outcome, Share, Unit};

use super::Stage;
use super::toy::{BUDGET, Budget, ToyArm};

/// Guidance scales of which one is chosen for all arms: the one at which T2V alone, which makes no claim, reads best.
pub(super) const SCALES: [f32; 4] = [1.0, 1.5, 2.0, 3.0];
/// The paper's guidance scale (section 4.1), at which renorm is tried.
pub(super) const STRONG: f32 = 7.5;

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

const RENORM_ARMS: [&str; 2] = ["renorm", "no renorm"];
const GUIDANCE_ARMS: [&str; 2] = ["joint (JIT)", "separate (SIT)"];

/// What all seeds gave, arm by arm.
#[derive(Default)]
pub(super) struct Found {
    /// The guidance scale in use, and what T2V alone read right at each of [`SCALES`] with the noise of the choice.
    pub scale: f32,
    pub choice: Vec<Share>,
    /// From text alone, by [`ToyArm::ALL`].
    pub text: [Vec<Share>; 3],
    /// From a first frame.
    pub frame: [Vec<Share>; 3],
    pub first: [Vec<(u64, f64)>; 3],
    pub middle: [Vec<(u64, f64)>; 3],
    /// With renorm, without.
    pub out_of_range: [Vec<(u64, f64)>; 2],
    pub distance: [Vec<(u64, f64)>; 2],
    /// Joint, separate.
    pub guided: [Vec<Share>; 2],
    pub passes: [Vec<(u64, f64)>; 2],
    pub strips: Vec<Vec<f32>>,
}

/// The claims, as not run.
pub(super) fn not_run() -> [Claim; 3] {
    let why = "left out of a short run: `orrery prove stiv --full` trains its models";
    CLAIMS.map(|claim| Claim::not_run(claim, SOURCE, why))
}

/// The seeds whose models were read, in words.
fn seeds(found: &Found) -> String {
    let seeds = found.text[0].iter().map(|share| share.seed.to_string());
    seeds.collect::<Vec<_>>().join(", ")
}

/// What the choice of the scale was made by, in words.
fn choice(found: &Found) -> String {
    let each = SCALES.iter().zip(&found.choice);
    let each = each.map(|(scale, share)| format!("{scale}: {:.0} %", 100.0 * share.value()));
    each.collect::<Vec<_>>().join(", ")
}

/// What was measured, as three experiments.
pub(super) fn experiments(stage: &Stage, found: &Found) -> [Experiment; 3] {
    let Budget { steps, batch, rate } = BUDGET;
    let names = ToyArm::ALL.map(ToyArm::name);
    let measure = |name: &str, about: &str, better, unit, outcomes: Vec<Outcome>| Measure {
        outcomes,
        ..Measure::new(name, about, better, unit)
    };
    let shares = |names: &[&str], values: &[Vec<Share>]| -> Vec<Outcome> {
        let arms = names
            .iter()
            .zip(values)
            .filter(|(_, values)| !values.is_empty());
        arms.map(|(name, values)| Outcome::trained_shares(name, values))
            .collect()
    };
    let numbers = |names: &[&str], values: &[Vec<(u64, f64)>]| -> Vec<Outcome> {
        let arms = names
            .iter()
            .zip(values)
            .filter(|(_, values)| !values.is_empty());
        arms.map(|(name, values)| Outcome::numbers(name, values))
            .collect()
    };
    let (high, low) = (Better::Higher, Better::Lower);
    let captions = Experiment {
        title: "Toy world: text and first frame in one model".into(),
        about: format!(
            "A shape (3 kinds, 4 colours) moves in one of 4 directions over a textured ground, 8 frames of 16×16. Three models of \
             one size, trained with each of the seeds {} for {steps} steps of {batch} clips at a learning rate of {rate}, draw clips for all 48 captions; shape, colour \
             and direction are read off by template matching, all three must be right (chance 2 %). Guidance {}, renorm, {} \
             Euler steps; the scale was chosen for all arms by T2V alone with noise of its own ({}), a rule \
             made after a first reading at scale 3, where T2V alone read 8.3 points more than STIV. Where the shape starts gives its direction away: from a first frame the motion is tested, not the \
             reading of the text.",
            seeds(found),
            found.scale,
            stage.steps(),
            choice(found)
        ),
        arms: ToyArm::ALL
            .map(|arm| Arm::new(arm.name(), arm.about()))
            .into(),
        measures: vec![
            measure(
                "caption from text",
                "no frame given",
                high,
                Unit::Share,
                shares(&names, &found.text),
            ),
            measure(
                "caption from a first frame",
                "the first frame of a real clip of that caption",
                high,
                Unit::Share,
                shares(&names, &found.frame),
            ),
            measure(
                "first frame",
                "peak signal-to-noise ratio to what was given, cut at 100 dB",
                high,
                Unit::Decibel,
                numbers(&names, &found.first),
            ),
            measure(
                "frame 4",
                "peak signal-to-noise ratio to the real clip, whose motion the caption tells",
                high,
                Unit::Decibel,
                numbers(&names, &found.middle),
            ),
        ],
    };
    let renorm = Experiment {
        title: format!("Toy world: renorm at guidance {STRONG}"),
        about: "STIV's clips from text, the same noise for both.".into(),
        arms: vec![
            Arm::new(
                RENORM_ARMS[0],
                "the guided velocity scaled to the conditional one's length",
            ),
            Arm::new(RENORM_ARMS[1], "plain guidance"),
        ],
        measures: vec![
            measure(
                "out of range",
                "values beyond [-1, 1]",
                low,
                Unit::Share,
                numbers(&RENORM_ARMS, &found.out_of_range),
            ),
            measure(
                "Fréchet distance",
                "to fresh real clips of the same captions, features of a random 3-D convolutional network",
                low,
                Unit::Number,
                numbers(&RENORM_ARMS, &found.distance),
            ),
        ],
    };
    let guidance = Experiment {
        title: "Toy world: what guidance costs".into(),
        about: "STIV's clips from a first frame, the same noise for both.".into(),
        arms: vec![
            Arm::new(GUIDANCE_ARMS[0], "text and frame dropped together"),
            Arm::new(
                GUIDANCE_ARMS[1],
                "a scale for the frame (1.5) and one for the text",
            ),
        ],
        measures: vec![
            measure(
                "passes a step",
                "counted by the sampler",
                low,
                Unit::Number,
                numbers(&GUIDANCE_ARMS, &found.passes),
            ),
            measure(
                "caption from a first frame",
                "as above",
                high,
                Unit::Share,
                shares(&GUIDANCE_ARMS, &found.guided),
            ),
        ],
    };
    [captions, renorm, guidance]
}

/// The verdicts, read off the experiments as they are printed.
pub(super) fn claims([captions, renorm, guidance]: &[Experiment; 3]) -> [Claim; 3] {
    let mean = |measure: &Measure, arm: &str| measure.of(arm).map_or(f64::NAN, |found| found.mean);
    let claim = |at: usize, met, evidence| Claim::settled(CLAIMS[at], SOURCE, met, evidence);
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
    let tame = renorm
        .measures
        .iter()
        .all(|measure| mean(measure, with) < mean(measure, without));
    let shown = |measure: &Measure| {
        format!(
            "{} {} with, {} without",
            measure.name,
            measure.show(with),
            measure.show(without)
        )
    };
    let tame = claim(
        1,
        tame,
        renorm
            .measures
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join("; "),
    );
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
