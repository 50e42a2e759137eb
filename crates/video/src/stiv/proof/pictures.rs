//! Experiment 2: the embedded picture model before the judge.

use engine::data::pack::EmojiPack;
use engine::proof::{
    Arm, Better, Claim, Experiment, Figure, Measure, Outcome, Report, Share, Unit,
};
use engine::rng::Rng;

use super::choice::choose;
use super::draw::Canvas;
use super::{ProofError, Stage, sheets};
use crate::stiv::data::{EmojiGrid, Pair, SIZE, Split, picture_micro};
use crate::stiv::embedded::defaults;
use crate::stiv::judge::{Judge, Verdict as Seen};
use crate::stiv::sample::{Guidance, SampleConfig};
use crate::stiv::studio::Studio;

/// Trained pairs that are asked for.
const TRAINED: usize = 200;
/// Seed that chooses them.
pub(super) const PAIR_SEED: u64 = 412;
/// The guidance scale in use.
pub(super) const SCALE: f32 = defaults::GUIDANCE;
/// A scale of the style apart, fixed beforehand at twice the other.
const STYLE_SCALE: f32 = 2.0 * SCALE;
pub(super) const BATCH: usize = 64;

const SOURCE: &str = "Orrery's target for the embedded model";
const CLAIMS: [[&str; 2]; 2] = [
    [
        "Asked for a trained pair, the picture model draws the right subject in the right style",
        "subject ≥ 90 % and style ≥ 95 % of 200 trained pairs (chance 1 % and 33 %)",
    ],
    [
        "It also draws pairs of subject and style that it never saw together",
        "subject ≥ 35 % and style ≥ 75 % of the held-out pairs (chance 1 % and 33 %)",
    ],
];
const THRESHOLDS: [[f64; 2]; 2] = [[0.90, 0.95], [0.35, 0.75]];

/// Pairs that are asked for, with the prompts that ask.
pub(super) struct Asked {
    pub pairs: Vec<Pair>,
    pub prompts: Vec<String>,
    /// The judge's number for each pair's subject, where it knows it.
    meant: Vec<Option<usize>>,
}

impl Asked {
    pub fn new(grid: &EmojiGrid, pairs: Vec<Pair>, judge: &Judge) -> Self {
        let name = |pair: &Pair| grid.subjects[pair.subject].name("en").unwrap_or_default();
        let prompts = pairs
            .iter()
            .map(|pair| format!("{} {}", name(pair), pair.style));
        let number = |pair: &Pair| {
            let code = &grid.subjects[pair.subject].code;
            judge.codes().iter().position(|known| known == code)
        };
        Self {
            prompts: prompts.collect(),
            meant: pairs.iter().map(number).collect(),
            pairs,
        }
    }

    /// How often subject and style are as asked, of pictures drawn with `seed`.
    pub fn count(&self, seen: &[Seen], seed: u64) -> [Share; 2] {
        let share = |right: &dyn Fn(usize, &Seen) -> bool| Share {
            seed,
            hits: (0..seen.len()).filter(|&at| right(at, &seen[at])).count(),
            of: self.pairs.len(),
        };
        [
            share(&|at, seen| self.meant[at] == Some(seen.subject)),
            share(&|at, seen| self.pairs[at].style == seen.style),
        ]
    }
}

/// The experiment at work.
pub(super) struct Exhibition<'a, 'b> {
    canvas: Canvas<'a>,
    pub judge: &'a Judge,
    pub stage: &'a Stage<'b>,
}

impl Exhibition<'_, '_> {
    /// Pictures of all that is asked.
    pub fn draw(
        &self,
        asked: &Asked,
        config: &SampleConfig,
        seed: u64,
    ) -> Result<Vec<Vec<f32>>, ProofError> {
        Ok(self
            .canvas
            .draw(&asked.prompts, None, config, seed)?
            .samples)
    }
}

/// Draws, judges, and adds claims, experiment and sheets to `report`.
pub(super) fn prove(
    studio: &Studio,
    judge: &Judge,
    stage: &mut Stage,
    report: &mut Report,
) -> Result<(), ProofError> {
    let grid = EmojiGrid::new(EmojiPack::embedded()?, &studio.tower.codes)?;
    let [mut trained, development, held_out] =
        [Split::Train, Split::Development, Split::Test].map(|split| grid.pairs_of(split));
    Rng::new(PAIR_SEED).shuffle(&mut trained);
    trained.truncate(TRAINED);
    let choice = Asked::new(&grid, development, judge);
    let sets = [trained, held_out].map(|pairs| Asked::new(&grid, pairs, judge));
    let stage = &*stage;
    let exhibition = Exhibition {
        canvas: Canvas {
            model: &studio.model,
            tower: &studio.tower,
            shape: [3, 1, SIZE, SIZE],
            micro: picture_micro(0.0, 0.0),
            batch: BATCH,
            device: &stage.options.device,
            stop: stage.stop,
        },
        judge,
        stage,
    };

    let mut measures = measures();
    let mut first: [Vec<Vec<Vec<f32>>>; 2] = Default::default();
    for (set, asked) in sets.iter().enumerate() {
        let real: Vec<Vec<f32>> = asked
            .pairs
            .iter()
            .map(|&p| grid.pixels(p).to_vec())
            .collect();
        let shares = asked.count(&judge.judge(&real), 0);
        record(&mut measures, set, "real pictures", &[shares]);
        first[set].push(real);
    }
    for (name, _, config) in arms(stage) {
        for (set, asked) in sets.iter().enumerate() {
            stage
                .progress
                .say(&format!("pictures: {name}, {} pairs", asked.pairs.len()));
            let mut shares = Vec::new();
            for &seed in stage.seeds_of(set) {
                let drawn = exhibition.draw(asked, &config, seed)?;
                shares.push(asked.count(&judge.judge(&drawn), seed));
                if shares.len() == 1 {
                    first[set].push(drawn);
                }
            }
            record(&mut measures, set, &name, &shares);
        }
    }
    report.claims.extend(claims(&measures, &arms(stage)[1].0));
    for (set, file) in ["pictures-trained.png", "pictures-held-out.png"]
        .into_iter()
        .enumerate()
    {
        let sheet = sheets::pictures(&sets[set].prompts, &first[set])?;
        let which = ["Trained", "Held-out"][set];
        let caption = format!(
            "{which} pairs. In each cell: real; guidance 1; guidance {SCALE} with and without renorm; style apart"
        );
        report.figures.push(Figure::still(file, &caption, &sheet)?);
    }
    report.experiments.push(Experiment {
        title: "Pictures".into(),
        about: format!(
            "The embedded picture model draws {} trained pairs of subject and style and all {} held-out pairs, asked in \
             English; {} Euler steps. A judge trained on the real pictures of all subjects says what it sees.",
            sets[0].pairs.len(),
            sets[1].pairs.len(),
            stage.steps()
        ),
        arms: [Arm::new("real pictures", "what the judge makes of the originals: the ceiling")]
            .into_iter()
            .chain(arms(stage).iter().map(|(name, about, _)| Arm::new(name, about)))
            .collect(),
        measures,
    });
    if stage.options.full {
        report.experiments.push(choose(&exhibition, &choice)?);
    }
    Ok(())
}

impl Stage<'_> {
    /// Noise seeds of a set: a short run draws the many trained pairs once.
    fn seeds_of(&self, set: usize) -> &[u64] {
        match (set, self.options.full) {
            (0, false) => &self.options.seeds[..1],
            _ => &self.options.seeds,
        }
    }
}

/// Separate scales for subject and style.
pub(super) fn styled(stage: &Stage, text: f32, style: f32, renorm: bool) -> SampleConfig {
    SampleConfig {
        guidance: Guidance::Style { text, style },
        ..stage.sampling(text, renorm)
    }
}

fn arms(stage: &Stage) -> [(String, String, SampleConfig); 4] {
    let guided = format!("guidance {SCALE}");
    [
        (
            "guidance 1".into(),
            "one pass a step; renorm has nothing to do".into(),
            stage.sampling(1.0, true),
        ),
        (
            format!("{guided}, renorm"),
            "the scale that `orrery create` takes".into(),
            stage.sampling(SCALE, true),
        ),
        (
            format!("{guided}, no renorm"),
            "plain classifier-free guidance".into(),
            stage.sampling(SCALE, false),
        ),
        (
            format!("{guided}, style {STYLE_SCALE}, renorm"),
            "the style guided apart, twice as strongly: 3 passes a step".into(),
            styled(stage, SCALE, STYLE_SCALE, true),
        ),
    ]
}

pub(super) fn measures() -> Vec<Measure> {
    let measure = |name: &str, about: &str| Measure::new(name, about, Better::Higher, Unit::Share);
    vec![
        measure(
            "subject, trained",
            "the judge's first choice is the subject asked for",
        ),
        measure(
            "style, trained",
            "the judge's first choice is the style asked for",
        ),
        measure(
            "subject, held out",
            "the same over pairs that training never saw",
        ),
        measure(
            "style, held out",
            "the same over pairs that training never saw",
        ),
    ]
}

pub(super) fn record(measures: &mut [Measure], set: usize, arm: &str, shares: &[[Share; 2]]) {
    for what in 0..2 {
        let of: Vec<Share> = shares.iter().map(|shares| shares[what]).collect();
        measures[2 * set + what]
            .outcomes
            .push(Outcome::shares(arm, &of));
    }
}

fn claims(measures: &[Measure], arm: &str) -> Vec<Claim> {
    let claim = |set: usize| {
        let [subject, style] = [0, 1].map(|what| &measures[2 * set + what]);
        let met = |measure: &Measure, least: f64| {
            measure.of(arm).is_some_and(|outcome| outcome.mean >= least)
        };
        let [least_subject, least_style] = THRESHOLDS[set];
        let met = met(subject, least_subject) && met(style, least_style);
        let evidence = format!(
            "{arm}: subject {}, style {}",
            subject.show(arm),
            style.show(arm)
        );
        Claim::settled(CLAIMS[set], SOURCE, met, evidence)
    };
    vec![claim(0), claim(1)]
}
