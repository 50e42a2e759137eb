//! Simulated studies with known effects: do the tests find them, and nothing else?

use base::command::{Context, Failure, Steps};
use base::numerics::statistics::{Interval, mean, student};
use base::rng::Rng;
use serde::Serialize;

use super::latin::balanced_latin_square;
use super::{Primary, Rating, compare};

/// A simulated study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PowerOptions {
    /// Participants of one condition.
    pub participants: usize,
    /// Toxic messages of the set.
    pub messages: usize,
    /// Toxic messages a participant.
    pub each: usize,
    /// Configurations, the baseline among them.
    pub configs: usize,
    /// Points of the scale.
    pub points: u8,
    /// Effects to simulate, in standard deviations of a rating (Cohen's d).
    pub effects: Vec<f64>,
    /// Studies for each effect.
    pub simulations: usize,
    /// Seed.
    pub seed: u64,
    /// Level.
    pub alpha: f64,
    /// Deviation of participants' intercepts; that of the noise is 1.
    pub participant_deviation: f64,
    /// Deviation of messages' intercepts.
    pub message_deviation: f64,
}

/// How often a test found an effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PowerRow {
    /// The simulated effect.
    pub effect: f64,
    /// The test.
    pub test: Primary,
    /// Share of comparisons with p below the level, not corrected: at effect 0 the false positives, else the power.
    pub share: f64,
    /// Its 95 % interval over studies.
    pub interval: Option<Interval>,
    /// Mean of the estimated d.
    pub estimated: f64,
}

/// Ratings of one aspect in one condition: every configuration but the baseline `Ba` has `effect`. Participants are called
/// `simulated…`, so that no report takes them for people.
pub fn simulate(options: &PowerOptions, effect: f64, rng: &Rng) -> Vec<Rating> {
    let mut draws = rng.child("ratings");
    let spread = [
        1.0,
        options.participant_deviation,
        options.message_deviation,
    ];
    let deviation = spread.iter().map(|it| it * it).sum::<f64>().sqrt();
    let normals = |rng: &mut Rng, count: usize, deviation: f64| -> Vec<f64> {
        (0..count)
            .map(|_| deviation * f64::from(rng.normal()))
            .collect()
    };
    let people = normals(
        &mut draws,
        options.participants,
        options.participant_deviation,
    );
    let messages = normals(&mut draws, options.messages, options.message_deviation);
    let square = balanced_latin_square(options.configs);
    let middle = (f64::from(options.points) + 1.0) / 2.0;
    let mut ratings = Vec::new();
    for (participant, person) in people.iter().enumerate() {
        for at in 0..options.each {
            let turn = participant * options.each + at;
            let message = turn % options.messages;
            for (place, &config) in square[turn % square.len()].iter().enumerate() {
                let raised = if config > 0 { effect * deviation } else { 0.0 };
                let noise = f64::from(draws.normal());
                let value = (middle + person + messages[message] + raised + noise).round();
                ratings.push(Rating {
                    participant: format!("simulated-{participant:03}"),
                    condition: "context".into(),
                    record: format!("m{message:03}"),
                    config: match config {
                        0 => "Ba".into(),
                        n => format!("c{n}"),
                    },
                    aspect: "simulated".into(),
                    value: value.clamp(1.0, f64::from(options.points)) as i64,
                    order: at * options.configs + place + 1,
                    seconds: 10.0,
                    attention_ok: None,
                });
            }
        }
    }
    ratings
}

/// Simulates studies and analyses them with [`compare`], as ratings of people are.
///
/// # Errors
/// [`Failure::Input`] for a study that cannot be; Ctrl-C.
pub fn power(
    options: &PowerOptions,
    context: Context,
    quiet: bool,
) -> Result<Vec<PowerRow>, Failure> {
    let enough = options.participants >= 2
        && options.configs >= 2
        && options.each >= 1
        && options.messages >= options.each;
    if !enough || options.simulations < 2 || options.effects.is_empty() {
        return Err(Failure::input(
            "a simulated study needs two participants, two configurations, as many messages as each participant sees, two simulations and an effect: raise what is lower",
        ));
    }
    let rng = Rng::new(options.seed).child("power");
    let mut rows = Vec::new();
    let mut steps = Steps::new("simulated studies", quiet);
    for (number, &effect) in options.effects.iter().enumerate() {
        let tests = [Primary::Mixed, Primary::Wilcoxon, Primary::MannWhitney];
        let mut shares: [Vec<f64>; 3] = Default::default();
        let mut estimated = Vec::new();
        for simulation in 0..options.simulations {
            steps.at(
                number * options.simulations + simulation,
                options.effects.len() * options.simulations,
            );
            context.proceed()?;
            let rng = rng.child(&format!("d = {effect}")).item(simulation as u64);
            let ratings = simulate(options, effect, &rng);
            let found = compare(&ratings.iter().collect::<Vec<_>>(), "Ba", Primary::Mixed);
            estimated.extend(found.iter().filter_map(|it| it.d));
            for (test, shares) in tests.iter().zip(&mut shares) {
                let p = found.iter().filter_map(|it| it.p(*test));
                let hits: Vec<f64> = p.map(|p| f64::from(u8::from(p < options.alpha))).collect();
                if !hits.is_empty() {
                    shares.push(mean(&hits));
                }
            }
        }
        for (test, shares) in tests.into_iter().zip(shares) {
            rows.push(PowerRow {
                effect,
                test,
                share: mean(&shares),
                interval: student(&shares).map(|it| Interval {
                    low: it.low.max(0.0),
                    high: it.high.min(1.0),
                }),
                estimated: mean(&estimated),
            });
        }
    }
    steps.finish();
    Ok(rows)
}
