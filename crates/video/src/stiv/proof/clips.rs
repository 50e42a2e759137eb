//! Experiment 3: clips from a given first picture.

use base::command::Failure;
use base::proof::{
    Arm, Better, Claim, Experiment, Figure, Measure, Outcome, ProofOptions, Report, Share, Unit,
};
use engine::data::pack::{ClipPack, EmojiPack, Style};

use super::draw::{Canvas, frame};
use super::{Stage, sheets};
use crate::stiv::clips::{Clips, FRAMES};
use crate::stiv::data::{EmojiGrid, Pair, SIZE};
use crate::stiv::embedded::{self, defaults};
use crate::stiv::judge::Judge;
use crate::stiv::sample::SampleConfig;

/// The guidance scale in use.
const SCALE: f32 = defaults::CLIP_GUIDANCE;
/// `[channels, frames, height, width]`.
const SHAPE: [usize; 4] = [3, FRAMES, SIZE, SIZE];
/// Frames of a real clip that a made one starts from.
const STARTS: [usize; 2] = [0, 8];
/// Subjects of a short run.
const SHORT: usize = 10;

const SOURCE: &str = "Orrery's target for the embedded model";
const CLAIMS: [[&str; 2]; 2] = [
    [
        "A clip made from a picture keeps its subject",
        "the judge names the subject in ≥ 80 % of the frames, real first frames",
    ],
    [
        "It moves as much as the real clip",
        "the mean change between frames is within ±40 % of the real clip's",
    ],
];

/// First pictures, what they show, and how much the real clip moves.
struct Start {
    subject: usize,
    name: String,
    /// A clip whose first frame is given.
    first: Vec<f32>,
    /// Mean change of the real clip; none for a still that no clip belongs to.
    change: Option<f64>,
}

/// Mean absolute change from frame to frame, in `[0, 2]`.
fn change(clip: &[f32]) -> f64 {
    let frames: Vec<Vec<f32>> = (0..FRAMES).map(|at| frame(clip, SHAPE, at)).collect();
    let pairs = frames
        .windows(2)
        .flat_map(|pair| pair[0].iter().zip(&pair[1]));
    let cut = |v: &f32| v.clamp(-1.0, 1.0);
    let sum: f64 = pairs.map(|(a, b)| f64::from((cut(a) - cut(b)).abs())).sum();
    sum / (clip.len() - clip.len() / FRAMES) as f64
}

/// A clip that repeats one picture `[3, 32, 32]`.
fn still(picture: &[f32]) -> Vec<f32> {
    picture
        .chunks_exact(SIZE * SIZE)
        .flat_map(|plane| plane.repeat(FRAMES))
        .collect()
}

/// Adds claims, experiment and a moving sheet to `report`.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let stage = &mut Stage::new(options)?;
    let pipeline = &embedded::clips(&stage.device)?;
    let judge = &Judge::embedded(&stage.device)?;
    let pack = EmojiPack::embedded()?;
    let grid = EmojiGrid::new(pack, judge.codes())?;
    let mut real = Clips::new(pack, ClipPack::embedded()?, &pipeline.tower.codes)?.clips;
    if !stage.options.full {
        let step = (real.len() / SHORT).max(1);
        real = real.into_iter().step_by(step).take(SHORT).collect();
    }
    let mut moving = Vec::new();
    let mut stills = Vec::new();
    for clip in &real {
        let position = grid
            .subjects
            .iter()
            .position(|s| s.code == clip.subject.code);
        let Some(subject) = position else { continue };
        let name = clip.subject.name("en").unwrap_or_default().to_owned();
        let start = |first: Vec<f32>, change: Option<f64>| Start {
            subject,
            name: name.clone(),
            first,
            change,
        };
        for at in STARTS {
            let first = still(&frame(&clip.pixels, SHAPE, at));
            moving.push(start(first, Some(change(&clip.pixels))));
        }
        for style in [Style::Noto, Style::Twemoji] {
            stills.push(start(still(grid.pixels(Pair { subject, style })), None));
        }
    }
    let canvas = Canvas::of(pipeline, &stage.device, stage.stop);
    let seeds = if stage.options.full {
        &stage.options.seeds[..]
    } else {
        &stage.options.seeds[..1]
    };

    let mut measures = measures();
    let ceiling: Vec<Vec<f32>> = real.iter().map(|clip| clip.pixels.clone()).collect();
    let subjects: Vec<usize> = moving
        .iter()
        .step_by(STARTS.len())
        .map(|s| s.subject)
        .collect();
    let kept = subject_kept(judge, &ceiling, &subjects, 0);
    measures[0]
        .outcomes
        .push(Outcome::shares("real clips", &[kept]));
    let unmoved: Vec<(u64, f64)> = vec![(0, 1.0)];
    measures[2]
        .outcomes
        .push(Outcome::numbers("real clips", &unmoved));
    let mut shown = ceiling;
    for (name, _, config) in arms(stage) {
        for (set, starts) in [&moving, &stills].into_iter().enumerate() {
            stage
                .progress
                .println(&format!("clips: {name}, {} first pictures", starts.len()));
            let prompts: Vec<String> = starts.iter().map(|start| start.name.clone()).collect();
            let first: Vec<Vec<f32>> = starts.iter().map(|start| start.first.clone()).collect();
            let subjects: Vec<usize> = starts.iter().map(|start| start.subject).collect();
            let (mut kept, mut ratios) = (Vec::new(), Vec::new());
            for &seed in seeds {
                let drawn = canvas.draw(&prompts, Some(&first), &config, seed)?.samples;
                kept.push(subject_kept(judge, &drawn, &subjects, seed));
                ratios.push((seed, ratio(&drawn, starts)));
                if set == 0 && kept.len() == 1 {
                    shown.extend(drawn.into_iter().step_by(STARTS.len()));
                }
            }
            measures[set].outcomes.push(Outcome::shares(&name, &kept));
            if set == 0 {
                measures[2].outcomes.push(Outcome::numbers(&name, &ratios));
            }
        }
    }
    report.claims.extend(claims(&measures, &arms(stage)[1].0));
    figure(&shown, &moving, report)?;
    report.experiments.push(Experiment {
        title: "Clips from a first picture".into(),
        about: format!(
            "The embedded clip model continues {} real first pictures (frames 0 and 8 of {} animations) and {} stills in \
             other styles; {} Euler steps. The judge has never seen a moving frame: what it makes of the real clips is \
             the ceiling.",
            moving.len(),
            real.len(),
            stills.len(),
            stage.steps()
        ),
        arms: [Arm::new("real clips", "the animations themselves")]
            .into_iter()
            .chain(arms(stage).iter().map(|(name, about, _)| Arm::new(name, about)))
            .collect(),
        measures,
    });
    Ok(())
}

fn arms(stage: &Stage) -> [(String, &'static str, SampleConfig); 3] {
    [
        (
            "guidance 1".into(),
            "one pass a step",
            stage.sampling(1.0, true),
        ),
        (
            format!("guidance {SCALE}, renorm"),
            "text and picture guided together (JIT)",
            stage.sampling(SCALE, true),
        ),
        (
            format!("guidance {SCALE}, no renorm"),
            "JIT without renorm",
            stage.sampling(SCALE, false),
        ),
    ]
}

fn measures() -> Vec<Measure> {
    vec![
        Measure::share(
            "subject kept",
            "frames in which the judge names the clip's subject; first frames of real animations (Wilson over frames: \
             those of one clip hang together, so the interval is too narrow)",
        ),
        Measure::share(
            "subject kept, stills",
            "the same, from pictures by the two other vendors, which never move in training",
        ),
        Measure::new(
            "motion",
            "mean absolute change between frames over that of the real clip; all clips' change over all real clips' \
             (1 is as much as the real clips)",
            Better::Near,
            Unit::Number,
        ),
    ]
}

/// Frames after the first in which the judge sees the subject.
fn subject_kept(judge: &Judge, clips: &[Vec<f32>], subjects: &[usize], seed: u64) -> Share {
    let mut share = Share {
        seed,
        hits: 0,
        of: 0,
    };
    for (clip, subject) in clips.iter().zip(subjects) {
        let frames: Vec<Vec<f32>> = (1..FRAMES).map(|at| frame(clip, SHAPE, at)).collect();
        let seen = judge.judge(&frames);
        share.of += seen.len();
        share.hits += seen.iter().filter(|seen| seen.subject == *subject).count();
    }
    share
}

/// The change of all clips over that of the real ones.
fn ratio(clips: &[Vec<f32>], starts: &[Start]) -> f64 {
    let made: f64 = clips.iter().map(|clip| change(clip)).sum();
    let real: f64 = starts.iter().filter_map(|start| start.change).sum();
    made / real
}

fn claims(measures: &[Measure], arm: &str) -> Vec<Claim> {
    let mean = |at: usize| {
        measures[at]
            .of(arm)
            .map_or(f64::NAN, |outcome| outcome.mean)
    };
    let claim = |at: usize, met, evidence| Claim::settled(CLAIMS[at], SOURCE, met, evidence);
    let kept = format!(
        "{arm}: {}; from stills in other styles {}; real clips {}",
        measures[0].show(arm),
        measures[1].show(arm),
        measures[0].show("real clips")
    );
    let motion = format!("{arm}: {} of the real clips' change", measures[2].show(arm));
    vec![
        claim(0, mean(0) >= 0.8, kept),
        claim(1, (0.6..=1.4).contains(&mean(2)), motion),
    ]
}

/// Up to eight subjects: the real clip and what each arm made of its first frame.
fn figure(shown: &[Vec<f32>], moving: &[Start], report: &mut Report) -> Result<(), Failure> {
    let subjects = moving.len() / STARTS.len();
    let columns = subjects.min(8);
    let names: Vec<&str> = moving
        .iter()
        .step_by(STARTS.len())
        .map(|s| s.name.as_str())
        .collect();
    let rows: Vec<Vec<f32>> = shown
        .chunks(subjects.max(1))
        .flat_map(|row| row[..columns.min(row.len())].to_vec())
        .collect();
    let bytes = sheets::clips(&rows, &names[..columns], columns)?;
    let caption = format!(
        "Clips from the real first frame. Rows: real; guidance 1; guidance {SCALE} with and without renorm"
    );
    report
        .figures
        .push(Figure::encoded("clips.gif", &caption, bytes));
    Ok(())
}
