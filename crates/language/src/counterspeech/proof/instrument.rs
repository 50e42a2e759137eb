//! Do the study's tests find what is there, and nothing else?

use base::command::Failure;
use base::proof::{Arm, Better, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Unit};

use crate::counterspeech::study::{PowerOptions, PowerRow, Primary, power};

const EFFECTS: [f64; 3] = [0.0, 0.2, 0.5];
const SOURCE: &str = "ours: the instrument of the study";
const TESTS: [(Primary, &str, &str); 3] = [
    (
        Primary::Mixed,
        "mixed model",
        "intercepts for participants and messages, REML, Wald's z",
    ),
    (Primary::Wilcoxon, "Wilcoxon", "participants' means"),
    (
        Primary::MannWhitney,
        "Mann–Whitney",
        "single ratings, taken as independent, which they are not",
    ),
];

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let study = PowerOptions {
        participants: 24,
        messages: 10,
        each: 4,
        configs: 7,
        points: 5,
        effects: EFFECTS.to_vec(),
        simulations: if options.full { 1000 } else { 300 },
        seed: options.seeds.first().copied().unwrap_or(0),
        alpha: 0.05,
        participant_deviation: 0.6,
        message_deviation: 0.4,
    };
    let rows = power(&study, options.context, !options.progress)?;
    let row = |effect: f64, test: Primary| {
        rows.iter()
            .find(|it| it.effect == effect && it.test == test)
    };
    let mut measures = Vec::new();
    for effect in EFFECTS {
        let (name, about, better) = match effect {
            0.0 => (
                "false positives".to_owned(),
                "share of comparisons with p < .05 where there is no effect; 5 % is right",
                Better::Near,
            ),
            _ => (
                format!("power at d = {effect}"),
                "share of comparisons with p < .05",
                Better::Higher,
            ),
        };
        let mut measure = Measure::new(&name, about, better, Unit::Share);
        let found = TESTS
            .iter()
            .filter_map(|(test, name, _)| Some((name, row(effect, *test)?)));
        measure.outcomes = found
            .map(|(name, it)| match it.interval {
                Some(interval) => Outcome::given(name, it.share, interval),
                None => Outcome::numbers(name, &[(0, it.share)]),
            })
            .collect();
        measures.push(measure);
    }
    let shown = |it: Option<&PowerRow>| {
        it.map_or("–".to_owned(), |it| {
            let ends = it.interval.map_or(String::new(), |ends| {
                format!(" [{:.1}, {:.1}]", 100.0 * ends.low, 100.0 * ends.high)
            });
            format!("{:.1} %{ends}", 100.0 * it.share)
        })
    };
    let (none, half) = (row(0.0, Primary::Mixed), row(0.5, Primary::Mixed));
    report.claims.push(Claim::settled(
        [
            "The mixed model keeps its level",
            "false positives between 3 and 7 %",
        ],
        SOURCE,
        none.is_some_and(|it| (0.03..=0.07).contains(&it.share)),
        shown(none),
    ));
    report.claims.push(Claim::settled(
        [
            "The designed study finds an effect of d = 0.5",
            "power at least 80 %",
        ],
        SOURCE,
        half.is_some_and(|it| it.interval.map_or(it.share, |ends| ends.low) >= 0.8),
        shown(half),
    ));
    let near = EFFECTS.iter().all(|effect| {
        row(*effect, Primary::Mixed).is_some_and(|it| (it.estimated - effect).abs() < 0.05)
    });
    let estimates = EFFECTS.iter().filter_map(|effect| {
        Some(format!(
            "{effect}: {:.3}",
            row(*effect, Primary::Mixed)?.estimated
        ))
    });
    report.claims.push(Claim::settled(
        [
            "The analysis gives back the simulated effect sizes",
            "mean d within 0.05 of each",
        ],
        SOURCE,
        near,
        estimates.collect::<Vec<_>>().join(", "),
    ));
    report.experiments.push(Experiment {
        title: "Simulated studies".into(),
        about: format!(
            "{} simulated studies for each effect: {} participants rate {} configurations on {} of {} messages, five points; deviations of participants {} and messages {} of the noise. Six comparisons a study, not corrected; intervals are Student's over studies. **Simulated ratings; no people.**",
            study.simulations, study.participants, study.configs, study.each, study.messages, study.participant_deviation, study.message_deviation
        ),
        arms: TESTS.iter().map(|it| Arm::new(it.1, it.2)).collect(),
        measures,
    });
    Ok(())
}
