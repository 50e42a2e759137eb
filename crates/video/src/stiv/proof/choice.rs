//! Guidance scales tried on the development pairs.

use engine::proof::{Arm, Experiment};

use super::ProofError;
use super::pictures::{Asked, Exhibition, measures, named, record, styled};
use crate::stiv::embedded::defaults;

/// Scales of the text that were tried, each with these multiples of it as the scale of the style.
const SCALES: [f32; 2] = [2.0, 3.0];
const STYLE_RATIOS: [f32; 4] = [1.0, 1.5, 2.0, 3.0];
const RENORMS: [f32; 2] = [0.0, 1.0];
/// Noise of the choice; no result is drawn with it.
const CHOICE_SEEDS: [u64; 4] = [77_000, 77_001, 77_002, 77_003];

/// Tries scales on pairs that training never saw and no result is measured on, with noise of their own.
pub(super) fn choose(exhibition: &Exhibition, asked: &Asked) -> Result<Experiment, ProofError> {
    let mut measures = measures().split_off(2);
    for measure in &mut measures {
        measure.name = measure.name.replace("held out", "development");
    }
    let mut arms = Vec::new();
    let settings = SCALES.into_iter().flat_map(|text| {
        let of_ratio = move |ratio: f32| {
            let style = (ratio > 1.0).then_some(ratio * text);
            RENORMS.map(|renorm| (text, style, renorm))
        };
        STYLE_RATIOS.into_iter().flat_map(of_ratio)
    });
    for (text, style, renorm) in settings {
        let name = named(text, style, renorm);
        let say = format!("choice of the scales: {name}");
        exhibition.stage.progress.say(&say);
        let config = styled(exhibition.stage, text, style, renorm);
        let mut shares = Vec::new();
        for seed in CHOICE_SEEDS {
            let drawn = exhibition.draw(asked, &config, seed)?;
            shares.push(asked.count(&exhibition.judge.judge(&drawn), seed));
        }
        record(&mut measures, 0, &name, &shares);
        arms.push(Arm::new(&name, ""));
    }
    Ok(Experiment {
        title: "Guidance scales on the development pairs".into(),
        about: format!(
            "{} development pairs, which training never saw, {} times with noise that no result uses; test pairs have no part in \
             it. In use: {}.",
            asked.pairs.len(),
            CHOICE_SEEDS.len(),
            named(
                defaults::GUIDANCE,
                defaults::style_guidance(defaults::GUIDANCE),
                defaults::RENORM
            )
        ),
        arms,
        measures,
    })
}
