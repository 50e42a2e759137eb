//! Experiment 2: the embedded picture model before the judge.

use base::command::Failure;
use base::proof::{Arm, Experiment, Figure, ProofOptions, Report, Share};
use base::rng::Rng;
use engine::data::pack::EmojiPack;

use super::asked::Asked;
use super::choice::{SCALE, STYLE_SCALE, choose, measures, record, styled};
use super::draw::Canvas;
use super::goals::{OF_ALL, OF_RECOGNISED, claims};
use super::{Stage, sheets};
use crate::stiv::data::{EmojiGrid, Pair, Split};
use crate::stiv::embedded::{self, defaults};
use crate::stiv::judge::Judge;
use crate::stiv::sample::SampleConfig;
use crate::stiv::subjects::SubjectSet;

/// Trained pairs that are asked for.
const TRAINED: usize = 200;
/// The sets of pairs.
const TRAINED_SET: usize = 0;
const HELD_OUT: usize = 1;
const FAMILIAR: usize = 2;
/// Seed that chooses them.
pub(super) const PAIR_SEED: u64 = 412;
/// Draws, judges, and adds claims, experiment and sheets to `report`.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let stage = &mut Stage::new(options)?;
    let pipeline = &embedded::images(&stage.device)?;
    let judge = &Judge::embedded(&stage.device)?;
    let grid = EmojiGrid::new(EmojiPack::embedded()?, &pipeline.tower.codes)?;
    let known = SubjectSet::Recognised.codes(EmojiPack::embedded()?);
    let recognised = |pair: &Pair| known.contains(&grid.subjects[pair.subject].code);
    let [mut trained, development, held_out] =
        [Split::Train, Split::Development, Split::Test].map(|split| grid.pairs_of(split));
    Rng::new(PAIR_SEED).shuffle(&mut trained);
    let mut familiar = trained.clone();
    familiar.retain(recognised);
    for pairs in [&mut trained, &mut familiar] {
        pairs.truncate(TRAINED);
    }
    let choice = Asked::new(&grid, development, judge);
    let sets = [trained, held_out, familiar].map(|pairs| Asked::new(&grid, pairs, judge));
    let stage = &*stage;
    let canvas = Canvas::of(pipeline, &stage.device, stage.stop);

    let mut of_all = measures();
    let mut of_recognised = measures();
    let friend = judge.among(&known);
    let mut tell = |set: usize, arm: &str, drawn: &[(u64, Vec<Vec<f32>>)]| {
        let count = |judge: &Judge, wanted: &dyn Fn(&Pair) -> bool| -> Vec<[Share; 2]> {
            let of = |(seed, drawn): &(u64, Vec<Vec<f32>>)| {
                sets[set].count_of(&judge.judge(drawn), *seed, wanted)
            };
            drawn.iter().map(of).collect()
        };
        if set != FAMILIAR {
            record(&mut of_all, set, arm, &count(judge, &|_| true));
        }
        if set != TRAINED_SET {
            let at = usize::from(set == HELD_OUT);
            record(&mut of_recognised, at, arm, &count(&friend, &recognised));
        }
    };
    let mut first: [Vec<Vec<Vec<f32>>>; 3] = Default::default();
    for (set, asked) in sets.iter().enumerate() {
        let pixels = asked.pairs.iter().map(|&p| grid.pixels(p).to_vec());
        let real: Vec<Vec<f32>> = pixels.collect();
        let shown = [(0, real)];
        tell(set, "real pictures", &shown);
        first[set].extend(shown.map(|(_, real)| real));
    }
    for (name, _, config) in arms(stage) {
        for (set, asked) in sets.iter().enumerate() {
            stage
                .progress
                .println(&format!("pictures: {name}, {} pairs", asked.pairs.len()));
            let mut drawn = Vec::new();
            for &seed in stage.seeds_of(set) {
                let samples = canvas.draw(&asked.prompts, None, &config, seed)?.samples;
                drawn.push((seed, samples));
            }
            tell(set, &name, &drawn);
            first[set].extend(drawn.into_iter().take(1).map(|(_, drawn)| drawn));
        }
    }
    let arm = &arms(stage)[AS_CREATED].0;
    report.claims.extend(claims(&OF_ALL, &of_all, arm));
    report
        .claims
        .extend(claims(&OF_RECOGNISED, &of_recognised, arm));
    for (set, file) in ["pictures-trained.png", "pictures-held-out.png"]
        .into_iter()
        .enumerate()
    {
        let sheet = sheets::pictures(&sets[set].prompts, &first[set])?;
        let which = ["Trained", "Held-out"][set];
        let caption = format!(
            "{which} pairs. In each cell: real; guidance 1; guidance {SCALE}; style at {STYLE_SCALE} with and without renorm; as `orrery create` draws"
        );
        report.figures.push(Figure::still(file, &caption, &sheet)?);
    }
    let mut shown = vec![Arm::new(
        "real pictures",
        "what the judge makes of the originals: the ceiling",
    )];
    shown.extend(
        arms(stage)
            .iter()
            .map(|(name, about, _)| Arm::new(name, about)),
    );
    report.experiments.push(Experiment {
        title: "Pictures".into(),
        about: format!(
            "The embedded picture model draws {} trained pairs of subject and style and all {} held-out pairs of {} subjects, \
             asked in English; {} Euler steps where an arm does not say. A judge trained on the real pictures of all subjects says what it sees. Earlier models were \
             read on these test pairs twice, and what was found there led to the scale of the style (docs/stiv.md). How `orrery create` draws was chosen on the development pairs.",
            sets[TRAINED_SET].pairs.len(),
            sets[HELD_OUT].pairs.len(),
            grid.subjects.len(),
            stage.steps()
        ),
        arms: shown.clone(),
        measures: of_all,
    });
    report.experiments.push(Experiment {
        title: "Pictures of recognised subjects".into(),
        about: format!(
            "The same for the {} subjects that people recognise at this size: {} trained pairs, and the held-out pairs above \
             that are theirs. The judge names one of these subjects, the likeliest in its eyes.",
            known.len(),
            sets[FAMILIAR].pairs.len(),
        ),
        arms: shown,
        measures: of_recognised,
    });
    if stage.options.full {
        report
            .experiments
            .push(choose(&canvas, judge, stage, &choice)?);
    }
    Ok(())
}

impl Stage<'_> {
    /// Noise seeds of a set: a short run draws the many trained pairs once.
    fn seeds_of(&self, set: usize) -> &[u64] {
        match (set, self.options.full) {
            (HELD_OUT, _) | (_, true) => &self.options.seeds,
            _ => &self.options.seeds[..1],
        }
    }
}

/// The arm that claims are about.
const AS_CREATED: usize = 4;

fn arms(stage: &Stage) -> [(String, String, SampleConfig); 5] {
    let guided = format!("guidance {SCALE}");
    let emphasis = format!("{guided}, style {STYLE_SCALE}");
    [
        (
            "guidance 1".into(),
            "one pass a step; renorm has nothing to do".into(),
            stage.sampling(1.0, true),
        ),
        (
            format!("{guided}, renorm"),
            "one scale for all the prompt: 2 passes a step".into(),
            stage.sampling(SCALE, true),
        ),
        (
            format!("{emphasis}, renorm"),
            "the style guided a little more than the rest: 3 passes a step".into(),
            styled(stage, SCALE, STYLE_SCALE, true),
        ),
        (
            format!("{emphasis}, no renorm"),
            "the same with the guided velocity as long as it comes".into(),
            styled(stage, SCALE, STYLE_SCALE, false),
        ),
        (
            "as `orrery create` draws".into(),
            format!(
                "{} steps, of which those before time {} are guided, the style at {}: a third of the passes",
                defaults::STEPS,
                defaults::GUIDED_UNTIL,
                defaults::STYLE_EMPHASIS * SCALE
            ),
            SampleConfig {
                steps: defaults::STEPS,
                guided_until: defaults::GUIDED_UNTIL,
                ..styled(stage, SCALE, defaults::STYLE_EMPHASIS * SCALE, true)
            },
        ),
    ]
}
