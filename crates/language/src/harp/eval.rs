//! Arms side by side on tasks with right answers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use base::rng::Rng;
use serde::{Deserialize, Serialize};

use super::{
    BeamCompat, GenerateConfig, HarpConfig, HarpPipeline, Item, Metric, Scoring, SystemError,
    beam_config,
};

/// What is compared.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The ordinary model.
    Vanilla,
    /// Second looks where it hesitates.
    Harp,
    /// Second looks at every token.
    Always,
    /// Beam search with the ordinary model.
    Beam,
}

/// What an arm gave for one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmResult {
    /// The task's name.
    pub id: String,
    /// The arm.
    pub arm: Arm,
    /// From 0 to 1.
    pub score: f64,
    /// What it answered.
    pub answer: String,
    /// Steps it took.
    pub steps: usize,
    /// Forward passes: one a step and one a second look; in beam search one a step and beam.
    pub passes: usize,
    /// Wall time, with the prompt.
    pub seconds: f64,
}

/// An arm over all tasks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The arm.
    pub arm: Arm,
    /// Tasks.
    pub items: usize,
    /// Mean score, from 0 to 1.
    pub score: f64,
    /// 95 % bootstrap interval of the mean over tasks.
    pub interval: [f64; 2],
    /// Forward passes a step.
    pub passes_per_token: f64,
    /// Wall time in all.
    pub seconds: f64,
    /// Time a step, divided by the ordinary arm's; absent without that arm.
    pub cost: Option<f64>,
}

/// How tasks are run.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalConfig {
    /// θ, δ and β of the arms with second looks, sampler, length.
    pub generate: GenerateConfig,
    /// How answers are scored where a task does not say.
    pub scoring: Scoring,
    /// Prompts are questions in the model's chat format.
    pub chat: bool,
    /// Beams of the arm `beam`.
    pub beams: usize,
    /// Which beam search.
    pub compat: BeamCompat,
}

/// Runs one arm on one task.
///
/// # Errors
/// What the model reports, such as a prompt that does not fit.
pub fn evaluate(
    pipeline: &HarpPipeline,
    item: &Item,
    arm: Arm,
    config: &EvalConfig,
) -> Result<ArmResult, SystemError> {
    let prompt = match config.chat {
        true => pipeline.chat(None, &item.prompt)?,
        false => pipeline.prompt(&item.prompt)?,
    };
    let begun = Instant::now();
    let (answer, steps, passes) = match arm {
        Arm::Beam => {
            let GenerateConfig {
                max_tokens, end, ..
            } = &config.generate;
            let search = beam_config(config.compat, config.beams, *max_tokens, end.clone());
            let (beam, text) = pipeline.beam(&prompt, &search)?;
            (text, beam.ids.len(), beam.ids.len() * config.beams)
        }
        _ => {
            let metric = match arm {
                Arm::Vanilla => Metric::Never,
                Arm::Always => Metric::Always,
                _ => config.generate.harp.metric,
            };
            let harp = HarpConfig {
                metric,
                ..config.generate.harp.clone()
            };
            let looks = harp.steps;
            let generate = GenerateConfig {
                harp,
                ..config.generate.clone()
            };
            let mut listen = |_: usize, _: &_| ControlFlow::Continue(());
            let made = pipeline.generate(&[prompt], &generate, &mut listen)?;
            let made = made.into_iter().next();
            made.map(|it| (it.text, it.steps, it.steps + looks * it.hesitations))
                .unwrap_or_default()
        }
    };
    let scoring = item.scoring.unwrap_or(config.scoring);
    Ok(ArmResult {
        id: item.id.clone().unwrap_or_default(),
        arm,
        score: scoring.score(&answer, &item.answer),
        answer,
        steps,
        passes,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Each arm over all tasks, in the order of the arms.
pub fn summarize(results: &[ArmResult]) -> Vec<Evaluation> {
    let mut arms: BTreeMap<Arm, Vec<&ArmResult>> = BTreeMap::new();
    results
        .iter()
        .for_each(|it| arms.entry(it.arm).or_default().push(it));
    let sum =
        |rows: &[&ArmResult], f: fn(&ArmResult) -> f64| rows.iter().map(|it| f(it)).sum::<f64>();
    let time = |rows: &[&ArmResult]| sum(rows, |it| it.seconds) / sum(rows, |it| it.steps as f64);
    let ordinary = arms.get(&Arm::Vanilla).map(|rows| time(rows));
    let rows = arms.iter().map(|(arm, rows)| {
        let scores: Vec<f64> = rows.iter().map(|it| it.score).collect();
        Evaluation {
            arm: *arm,
            items: rows.len(),
            score: scores.iter().sum::<f64>() / scores.len() as f64,
            interval: bootstrap(&scores, 0),
            passes_per_token: sum(rows, |it| it.passes as f64) / sum(rows, |it| it.steps as f64),
            seconds: sum(rows, |it| it.seconds),
            cost: ordinary.map(|ordinary| time(rows) / ordinary),
        }
    });
    rows.collect()
}

/// The 95 % percentile interval of the mean of `values`, from 2000 resamples.
pub(super) fn bootstrap(values: &[f64], seed: u64) -> [f64; 2] {
    let pairs: Vec<(f64, f64)> = values.iter().map(|value| (*value, 1.0)).collect();
    bootstrap_ratio(&pairs, seed)
}

/// The same for `Σ a / Σ b` over pairs that are drawn together, such as sums and sizes of documents.
pub(super) fn bootstrap_ratio(pairs: &[(f64, f64)], seed: u64) -> [f64; 2] {
    const RESAMPLES: usize = 2000;
    let mut rng = Rng::new(seed).child("bootstrap");
    let mut ratio = || {
        let (mut a, mut b) = (0.0, 0.0);
        for _ in 0..pairs.len() {
            let (x, y) = pairs[rng.below(pairs.len())];
            (a, b) = (a + x, b + y);
        }
        a / b
    };
    let mut ratios: Vec<f64> = (0..RESAMPLES).map(|_| ratio()).collect();
    ratios.sort_by(f64::total_cmp);
    [
        ratios[RESAMPLES / 40],
        ratios[RESAMPLES - 1 - RESAMPLES / 40],
    ]
}
