//! What the proof claims; thresholds are those of the specification, fixed before the runs.

use base::proof::{Better, Bound, Claim, Experiment, Measure, Outcome, Unit};

use super::{BASE, BEST, CONCEPTS, GRAPE, ONCE, VERIFIED, score_of};

/// The claims of an experiment.
pub(super) fn claims(experiment: &Experiment) -> Vec<Claim> {
    let minus = |name: &str, above: &str, below: &str| {
        let measure = experiment.measure(name)?;
        Some(measure.of(above)?.minus(measure.of(below)?))
    };
    let ours = "spec of this proof, fixed before the runs";
    let paper = "paper, ConceptMix table";
    let mut claims = Vec::new();
    let mut add =
        |statement: &str, source: &str, what: &str, bound: Bound, outcome: Option<Outcome>| {
            if let Some(outcome) = outcome {
                let measure = Measure::new(what, "", Better::Higher, Unit::Share);
                claims.push(Claim::tested(
                    statement,
                    source,
                    bound,
                    (&measure, &outcome),
                ));
            }
        };
    for concepts in 1..=CONCEPTS {
        let name = score_of(concepts);
        add(
            &format!("Planned edits make more of the prompt come true: {name}"),
            paper,
            "gain in score",
            Bound::Above(0.0),
            minus(&name, GRAPE, BASE),
        );
    }
    let [one, four] = [1, CONCEPTS].map(|it| minus(&score_of(it), GRAPE, BASE));
    add(
        "The gain is larger with four concepts than with one",
        paper,
        "difference of gains",
        Bound::Above(0.0),
        one.zip(four).map(|(one, four)| Outcome {
            arm: "gain with 4 − gain with 1".into(),
            ..four.minus(&one)
        }),
    );
    add(
        "Over all prompts the gain is large",
        ours,
        "gain in score",
        Bound::AtLeast(0.1),
        minus("all", GRAPE, BASE),
    );
    add(
        "One edit after the other does no worse than all at once",
        ours,
        "difference in score",
        Bound::AtLeast(0.0),
        minus("all", GRAPE, ONCE),
    );
    add(
        "Editing does no worse than drawing twice and choosing",
        ours,
        "difference in score",
        Bound::AtLeast(0.0),
        minus("all", GRAPE, BEST),
    );
    for concepts in 1..=CONCEPTS {
        let name = score_of(concepts);
        add(
            &format!("With verification the score is never below the generator's: {name}"),
            "our extension",
            "difference in score",
            Bound::AtLeast(0.0),
            minus(&name, VERIFIED, BASE),
        );
    }
    claims
}
