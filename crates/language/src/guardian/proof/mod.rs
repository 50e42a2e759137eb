//! The small-scale proof (section 9 of the specification), on a frozen SmolLM2-135M-Instruct:
//!
//! 1. **tool-calls**: wrong tool calls are found, also where only the request tells (tools of training and test differ);
//! 2. **context-relevance**: a context that does not answer "What does X mean?" is found (nouns differ);
//! 3. **definitions**: one classifier follows whichever definition it is given;
//! 4. **small-guard**: the guard that ships, on held-out parts of public sets, beside three other detectors.
//!
//! The published model is not at hand here; what is shown is the idea with a classifier on features of a small model.

mod guard;
mod peers;
mod tasks;

use base::command::Failure;
use base::proof::{Measure, Outcome, Proof};
use base::rng::Rng;

use super::metrics::{Metrics, Scored, interval};
use super::pipeline::{Classifier, Guardian, GuardianOptions};

/// Bootstrap resamples.
const RESAMPLES: usize = 1000;
/// The language model.
const MODEL: &str = "smollm2";

/// For the registry.
pub const PROOF: Proof = Proof::new(
    "Granite Guardian",
    [3, 5],
    &[
        ("tool-calls", tasks::tool_calls),
        ("context-relevance", tasks::context_relevance),
        ("definitions", tasks::definitions),
        ("small-guard", guard::prove),
    ],
)
.open_claims(&[
    (
        ["Aggregated harm benchmarks: AUC 0.871, F1 0.758 (8B)", "needs the 8B checkpoint and the ten benchmarks"],
        "paper, tables 3 and 4",
        "weights and benchmarks are not at hand; `orrery guardian eval --model ibm-granite/…` runs them where they are",
    ),
    (
        [
            "Groundedness on TRUE: AUC 0.854 on average (8B)",
            "needs the 8B checkpoint and the nine sets",
        ],
        "paper, table 6",
        "as above",
    ),
]);

/// SmolLM2 as a guard by its answers' labels.
fn guardian() -> Result<Guardian, Failure> {
    let plain = GuardianOptions {
        classifier: Classifier::Labels,
        ..GuardianOptions::default()
    };
    Ok(Guardian::load(MODEL, plain)?)
}

/// A measure of scores, one row of them a training seed: the mean over seeds, with a bootstrap over items.
fn outcome(
    arm: &str,
    scores: &[Vec<f64>],
    risky: &[bool],
    metric: fn(&Metrics) -> Option<f64>,
) -> Outcome {
    let scored: Vec<Scored> = scores
        .iter()
        .map(|scores| Scored::new(scores, risky))
        .collect();
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let value = mean(
        scored
            .iter()
            .filter_map(|it| metric(&it.metrics(0.5)))
            .collect(),
    );
    let rng = Rng::new(0).child("bootstrap");
    // Each seed's items are in another order, so that each is resampled by itself; the mean hardly differs.
    let resampled: Vec<Vec<Metrics>> = scored
        .iter()
        .map(|it| it.resampled(0.5, RESAMPLES / scored.len().max(1), &rng))
        .collect();
    let pooled: Vec<f64> = resampled.iter().flatten().filter_map(metric).collect();
    match interval(pooled, RESAMPLES) {
        Some(bounds) => Outcome::given(arm, value, bounds),
        None => Outcome::numbers(arm, &[(0, value)]),
    }
}

/// The area under the ROC curve.
fn auc(metrics: &Metrics) -> Option<f64> {
    metrics.auc
}

/// A measure of the area under the ROC curve.
fn auc_measure(name: &str, about: &str) -> Measure {
    let about = format!("{about}; mean over trainings, 95 % bootstrap over items and trainings");
    Measure::higher(name, &about)
}
