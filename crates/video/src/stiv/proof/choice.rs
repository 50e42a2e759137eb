//! Guidance scales: those in use, and those tried on the development pairs; how pictures are counted.

use base::command::Failure;
use base::proof::{Arm, Experiment, Measure, Outcome, Share};

use super::Stage;
use super::asked::Asked;
use super::draw::Canvas;
use crate::stiv::embedded::defaults;
use crate::stiv::judge::Judge;
use crate::stiv::sample::{Guidance, SampleConfig};

/// The guidance scale in use.
pub(super) const SCALE: f32 = defaults::GUIDANCE;
/// The scale of the style where all steps are guided.
pub(super) const STYLE_SCALE: f32 = 1.25 * SCALE;

/// Scales of the text that were tried, each with these multiples of it as the scale of the style.
const SCALES: [f32; 3] = [2.0, 2.5, 3.0];
const STYLE_MULTIPLES: [f32; 4] = [1.0, 1.25, 1.5, 2.0];
/// Noise of the choice; no result is drawn with it.
const CHOICE_SEEDS: [u64; 4] = [77_000, 77_001, 77_002, 77_003];

/// Tries scales on pairs that neither training nor a result has seen, with noise of their own.
pub(super) fn choose(
    canvas: &Canvas,
    judge: &Judge,
    stage: &Stage,
    asked: &Asked,
) -> Result<Experiment, Failure> {
    let mut measures = measures().split_off(2);
    for measure in &mut measures {
        measure.name = measure.name.replace("held out", "development");
    }
    let mut arms = Vec::new();
    for text in SCALES {
        for style in STYLE_MULTIPLES.map(|multiple| multiple * text) {
            let name = format!("guidance {text}, style {style}, renorm");
            (stage.progress).println(&format!("choice of the scales: {name}"));
            let config = styled(stage, text, style, true);
            let mut shares = Vec::new();
            for seed in CHOICE_SEEDS {
                let drawn = canvas.draw(&asked.prompts, None, &config, seed)?;
                shares.push(asked.count(&judge.judge(&drawn.samples), seed));
            }
            record(&mut measures, 0, &name, &shares);
            arms.push(Arm::new(&name, ""));
        }
    }
    Ok(Experiment {
        title: "Guidance scales on the development pairs".into(),
        about: format!(
            "{} development pairs, {} times with noise that no result uses; neither training nor the test has part in them. The \
             scales of the other experiments are {SCALE} for the text and {STYLE_SCALE} for the style.",
            asked.pairs.len(),
            CHOICE_SEEDS.len()
        ),
        arms,
        measures,
    })
}

/// Separate scales for subject and style.
pub(super) fn styled(stage: &Stage, text: f32, style: f32, renorm: bool) -> SampleConfig {
    SampleConfig {
        guidance: Guidance::Style { text, style },
        ..stage.sampling(text, renorm)
    }
}

pub(super) fn measures() -> Vec<Measure> {
    let measure = |name: &str, about: &str| Measure::share(name, about);
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
