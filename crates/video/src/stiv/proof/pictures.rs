//! Experiment 1: the embedded picture model before the judge.

use engine::data::pack::EmojiPack;
use engine::proof::{
    Arm, Better, Claim, Experiment, Figure, Measure, Outcome, Report, Share, Unit, Verdict,
};
use engine::rng::Rng;

use super::draw::Canvas;
use super::{ProofError, Stage, sheets};
use crate::stiv::data::{EmojiGrid, Pair, SIZE, picture_micro};
use crate::stiv::judge::{Judge, Verdict as Seen};
use crate::stiv::sample::SampleConfig;
use crate::stiv::studio::Studio;

/// Trained pairs that are asked for.
const TRAINED: usize = 200;
/// Seed that chooses them.
const PAIR_SEED: u64 = 412;
/// The guidance scale, chosen by [`choose`] on trained pairs with its own noise.
pub(super) const SCALE: f32 = 3.0;
/// Scales that were tried.
const SCALES: [f32; 5] = [1.0, 1.5, 2.0, 3.0, 4.0];
/// Noise of the choice; no result is drawn with it.
const CHOICE_SEED: u64 = 77_000;
const CHOICE_PAIRS: usize = 100;
const BATCH: usize = 64;

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
struct Asked {
    pairs: Vec<Pair>,
    prompts: Vec<String>,
}

impl Asked {
    fn new(grid: &EmojiGrid, pairs: Vec<Pair>) -> Self {
        let name = |pair: &Pair| grid.subjects[pair.subject].name("en").unwrap_or_default();
        let prompts = pairs
            .iter()
            .map(|pair| format!("{} {}", name(pair), pair.style));
        Self {
            prompts: prompts.collect(),
            pairs,
        }
    }

    /// How often subject and style are as asked, of pictures drawn with `seed`.
    fn count(&self, seen: &[Seen], seed: u64) -> [Share; 2] {
        let share = |right: &dyn Fn(&Pair, &Seen) -> bool| Share {
            seed,
            hits: self
                .pairs
                .iter()
                .zip(seen)
                .filter(|(pair, seen)| right(pair, seen))
                .count(),
            of: self.pairs.len(),
        };
        [
            share(&|pair, seen| pair.subject == seen.subject),
            share(&|pair, seen| pair.style == seen.style),
        ]
    }
}

/// The experiment at work.
struct Exhibition<'a, 'b> {
    canvas: Canvas<'a>,
    judge: &'a Judge,
    stage: &'a Stage<'b>,
}

impl Exhibition<'_, '_> {
    /// Pictures of all that is asked.
    fn draw(
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
    let grid = EmojiGrid::new(EmojiPack::embedded()?)?;
    let (held_out, mut trained): (Vec<Pair>, Vec<Pair>) =
        grid.pairs().partition(|&pair| grid.is_held_out(pair));
    Rng::new(PAIR_SEED).shuffle(&mut trained);
    let choice = Asked::new(
        &grid,
        trained.iter().rev().take(CHOICE_PAIRS).copied().collect(),
    );
    trained.truncate(TRAINED);
    let sets = [trained, held_out].map(|pairs| Asked::new(&grid, pairs));
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
            "{which} pairs. In each cell: real; guidance 1; guidance {SCALE} with and without renorm"
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

fn arms(stage: &Stage) -> [(String, String, SampleConfig); 3] {
    let guided = format!("guidance {SCALE}");
    [
        (
            "guidance 1".into(),
            "one pass a step; renorm has nothing to do".into(),
            stage.sampling(1.0, true),
        ),
        (
            format!("{guided}, renorm"),
            "the scale was chosen on trained pairs with other noise".into(),
            stage.sampling(SCALE, true),
        ),
        (
            format!("{guided}, no renorm"),
            "plain classifier-free guidance".into(),
            stage.sampling(SCALE, false),
        ),
    ]
}

fn measures() -> Vec<Measure> {
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

fn record(measures: &mut [Measure], set: usize, arm: &str, shares: &[[Share; 2]]) {
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
        let [statement, threshold] = CLAIMS[set];
        let [least_subject, least_style] = THRESHOLDS[set];
        Claim {
            statement: statement.into(),
            source: SOURCE.into(),
            threshold: threshold.into(),
            verdict: Verdict::from_met(met(subject, least_subject) && met(style, least_style)),
            evidence: format!(
                "{arm}: subject {}, style {}",
                subject.show(arm),
                style.show(arm)
            ),
        }
    };
    vec![claim(0), claim(1)]
}

/// How the guidance scale was chosen: subject and style on trained pairs alone, with noise of its own.
fn choose(exhibition: &Exhibition, asked: &Asked) -> Result<Experiment, ProofError> {
    let mut measures = measures();
    measures.truncate(2);
    let mut arms = Vec::new();
    for scale in SCALES {
        let name = format!("guidance {scale}, renorm");
        exhibition
            .stage
            .progress
            .say(&format!("choice of the scale: {name}"));
        let config = exhibition.stage.sampling(scale, true);
        let drawn = exhibition.draw(asked, &config, CHOICE_SEED)?;
        let shares = asked.count(&exhibition.judge.judge(&drawn), CHOICE_SEED);
        record(&mut measures, 0, &name, &[shares]);
        arms.push(Arm::new(&name, ""));
    }
    Ok(Experiment {
        title: "Choice of the guidance scale".into(),
        about: format!(
            "{} trained pairs, noise that no result uses. Held-out pairs had no part in it; the scale in use is {SCALE}.",
            asked.pairs.len()
        ),
        arms,
        measures,
    })
}
