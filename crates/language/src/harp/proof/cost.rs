//! What second looks cost: on a cached model, in the official form without a cache, and beside beam search.

use std::ops::ControlFlow;
use std::time::Instant;

use base::command::{Failure, Steps};
use base::proof::{Arm, Better, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Unit};
use engine::models::decoder::{Cache, Decoder, Input, Logits, Request, Segment};

use super::model;
use crate::harp::{GenerateConfig, Generation, HarpConfig, HarpPipeline, MaskLife, TokenStep};

const CHEAPER: [&str; 2] = [
    "With a cached first look, 256 tokens cost at most a fifth of the official form without a cache",
    "5 times cheaper or more, at a θ that hesitates at no more than 15 % of the tokens",
];
const BEAMS: [&str; 2] = [
    "Without a cache HARP at its defaults is faster than beam search with 3 beams",
    "less than 0.75 of its time",
];
const PROMPT: &str = "Tell the story of a lighthouse keeper who finds a letter in a bottle.";
const TOKENS: usize = 256;

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let pipeline = match model() {
        Ok(pipeline) => pipeline,
        Err(why) => {
            report.claims.push(Claim::not_run(
                CHEAPER,
                "extension: a cache for the first look",
                &why,
            ));
            report.claims.push(Claim::not_run(
                BEAMS,
                "paper, table 1: inference twice as fast",
                &why,
            ));
            return Ok(());
        }
    };
    let prompt = pipeline.chat(None, PROMPT)?;
    let (vanilla, vanilla_time) = timed(&pipeline, &prompt, HarpConfig::vanilla())?;
    options.context.proceed()?;
    // A threshold that the ordinary run passes at 12 % of its tokens.
    let mut entropies: Vec<f32> = vanilla.trace.iter().map(|step| step.entropy).collect();
    entropies.sort_by(f32::total_cmp);
    let theta = entropies
        .get(entropies.len() * 88 / 100)
        .copied()
        .unwrap_or(1.0);
    let theta = (theta * 100.0).ceil() / 100.0;
    let selective = HarpConfig {
        theta,
        ..HarpConfig::default()
    };
    let lasting = HarpConfig {
        mask: MaskLife::Persistent,
        ..HarpConfig::default()
    };
    let windowed = HarpConfig {
        window: Some(64),
        ..HarpConfig::default()
    };
    let arms = [
        (format!("HARP, θ = {theta}"), selective),
        ("HARP, θ = 1".to_owned(), HarpConfig::default()),
        ("HARP, θ = 1, mask persists".to_owned(), lasting),
        ("HARP, θ = 1, last 64 positions".to_owned(), windowed),
    ];
    let mut runs = Vec::new();
    for (name, config) in arms {
        options.context.proceed()?;
        let (made, seconds) = timed(&pipeline, &prompt, config)?;
        runs.push((name, made, seconds));
    }
    // Passes over whole prefixes of the second run's text, one and three at a time.
    let ids = [prompt.as_slice(), &runs[0].1.ids].concat();
    let stride = if options.full { 1 } else { 8 };
    let mut steps = Steps::new("prefixes", !options.progress);
    let mut passes = Vec::new();
    for at in (0..TOKENS).step_by(stride) {
        steps.at(at, TOKENS);
        options.context.proceed()?;
        let prefix = &ids[..prompt.len() + at];
        passes.push([1, 3].map(|rows| pass(&pipeline.decoder, prefix, rows)));
    }
    steps.finish();
    let passes = passes.into_iter().map(|[one, three]| Ok([one?, three?]));
    let passes = passes.collect::<Result<Vec<[f64; 2]>, Failure>>()?;
    let without_cache = |made: &Generation| -> f64 {
        let looks = made.trace.iter().enumerate();
        looks
            .map(|(at, step)| passes[at / stride][0] * (1.0 + f64::from(u8::from(step.hesitated))))
            .sum()
    };
    let mut measures = [
        Measure::new(
            "second looks",
            "share of the steps",
            Better::Lower,
            Unit::Share,
        ),
        Measure::lower("passes a token", "1 + share of second looks"),
        Measure::higher("tokens a second", "with the cache, prompt included"),
        Measure::higher(
            "without a cache ÷ with it",
            "time of the official form, which reads the whole prefix at each look, over the time with the cache",
        ),
    ];
    let every = [("vanilla".to_owned(), vanilla, vanilla_time)];
    let mut ratios = Vec::new();
    for (name, made, seconds) in every.iter().chain(&runs) {
        let ratio = without_cache(made) / seconds;
        ratios.push(ratio);
        let row = [
            made.hesitation_rate(),
            made.passes_per_token(&HarpConfig::default()),
            made.ids.len() as f64 / seconds,
            ratio,
        ];
        for (measure, value) in measures.iter_mut().zip(row) {
            measure.outcomes.push(Outcome::numbers(name, &[(0, value)]));
        }
    }
    let sampled = match stride {
        1 => "every length".to_owned(),
        n => format!("every {n}th length, taken for those after it"),
    };
    report.experiments.push(Experiment {
        title: "Cost on SmolLM2".into(),
        about: format!(
            "{TOKENS} tokens after a prompt of {}, greedy, one run each. Passes without a cache were timed at {sampled}; they compute the last logits only, where the official code computes all. One run: times on a shared machine vary.",
            prompt.len()
        ),
        arms: every.iter().chain(&runs).map(|it| Arm::new(&it.0, "")).collect(),
        measures: measures.into(),
    });
    let rate = runs[0].1.hesitation_rate();
    report.claims.push(Claim::settled(
        CHEAPER,
        "extension: a cache for the first look",
        ratios[1] >= 5.0 && rate <= 0.15,
        format!(
            "{:.1} times cheaper at θ = {theta}, {:.1} % of the tokens; at θ = 1 {:.2} times, {:.1} %",
            ratios[1],
            100.0 * rate,
            ratios[2],
            100.0 * runs[1].1.hesitation_rate()
        ),
    ));
    let harp = without_cache(&runs[1].1);
    let beams: f64 = (0..TOKENS).map(|at| passes[at / stride][1]).sum();
    report.claims.push(Claim::settled(
        BEAMS,
        "paper, table 1: inference twice as fast",
        harp < 0.75 * beams,
        format!(
            "{:.2} of its time: {harp:.1} s beside {beams:.1} s",
            harp / beams
        ),
    ));
    Ok(())
}

/// A run of all tokens, and how long it took.
fn timed(
    pipeline: &HarpPipeline,
    prompt: &[u32],
    harp: HarpConfig,
) -> Result<(Generation, f64), Failure> {
    let config = GenerateConfig {
        harp,
        max_tokens: TOKENS,
        ..GenerateConfig::default()
    };
    let mut listen = |_: usize, _: &TokenStep| ControlFlow::Continue(());
    let begun = Instant::now();
    let made = pipeline.generate(&[prompt.to_vec()], &config, &mut listen)?;
    let seconds = begun.elapsed().as_secs_f64();
    let first = made.into_iter().next();
    Ok((
        first.ok_or_else(|| Failure::failed("nothing was generated"))?,
        seconds,
    ))
}

/// Seconds of a pass over `rows` sequences as long as `prefix`, without a cache.
fn pass(decoder: &Decoder, prefix: &[u32], rows: usize) -> Result<f64, Failure> {
    let mut caches: Vec<Cache> = (0..rows).map(|_| Cache::new(decoder.config())).collect();
    let segments = caches
        .iter_mut()
        .map(|cache| Segment::new(Input::Ids(prefix), cache));
    let mut segments: Vec<Segment<'_>> = segments.collect();
    let request = Request {
        logits: Logits::Last,
        ..Request::default()
    };
    let begun = Instant::now();
    decoder
        .forward(&mut segments, &request)
        .map_err(Failure::failed)?;
    Ok(begun.elapsed().as_secs_f64())
}
