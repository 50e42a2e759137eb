//! What the proof claims of its measures; thresholds were fixed before the runs.

use base::proof::{Better, Bound, Claim, Experiment, Measure, Outcome, Unit};

use super::{PLAIN, TAGGED, UNFILTERED, UNTAGGED};

/// The claims of an experiment.
pub(super) fn claims(experiment: &Experiment) -> Vec<Claim> {
    let measure = |name: &str| experiment.measure(name);
    let of = |name: &str, arm: &str| measure(name)?.of(arm);
    let points = |name: &str, better| Measure::new(name, "", better, Unit::Share);
    let ours = "spec of this proof, fixed before the runs";
    let paper = "paper, section 4.2";
    let mut claims = Vec::new();
    let mut add =
        |statement: &str, source: &str, bound: Bound, tested: Option<(Measure, Outcome)>| {
            let Some((measure, outcome)) = tested else {
                let why = "this arm is trained with `--full` only";
                claims.push(Claim::not_run(
                    [statement, "as measured with --full"],
                    source,
                    why,
                ));
                return;
            };
            let found = (&measure, &outcome);
            claims.push(Claim::tested(statement, source, bound, found));
        };
    let single = |name: &str, arm: &str| Some((measure(name)?.clone(), of(name, arm)?.clone()));
    let minus = |name: &str, a: (&str, &str), b: (&str, &str)| {
        let difference = of(a.0, a.1)?.minus(of(b.0, b.1)?);
        Some((points(name, Better::Higher), difference))
    };
    let both = "attribute and subject";
    add(
        "A word for the attribute makes the right one appear",
        paper,
        Bound::AtLeast(0.15),
        minus(
            "gain in attribute and subject",
            (both, TAGGED),
            (both, UNTAGGED),
        ),
    );
    add(
        "The subject of the text stays",
        paper,
        Bound::AtLeast(0.9),
        single("subject", TAGGED),
    );
    let ratio = || {
        let [tagged, untagged] = [of("leakage", TAGGED)?, of("leakage", UNTAGGED)?];
        let pairs = tagged.values.iter().zip(&untagged.values);
        let values: Vec<(u64, f64)> = pairs
            .map(|(a, b)| (a.seed, a.value.max(0.0) / b.value))
            .collect();
        let outcome = Outcome::numbers(&format!("{TAGGED} / {UNTAGGED}"), &values);
        Some((Measure::lower("ratio of leakage", ""), outcome))
    };
    add(
        "What was not asked for stays away",
        ours,
        Bound::AtMost(0.5),
        ratio(),
    );
    add(
        "Colour of one reference goes with the stroke of another one",
        paper,
        Bound::AtLeast(0.5),
        single("two references", TAGGED),
    );
    add(
        "Swapped tags swap attributes",
        ours,
        Bound::AtLeast(0.7),
        single("swap", TAGGED),
    );
    add(
        "The range filter does not harm lighting, or helps",
        "paper, ablation",
        Bound::AtLeast(0.0),
        minus(
            "gain in lighting",
            ("lighting", TAGGED),
            ("lighting", UNFILTERED),
        ),
    );
    add(
        "Other words for an attribute do as well",
        ours,
        Bound::AtMost(0.05),
        minus(
            "loss with synonyms",
            (both, TAGGED),
            ("with synonyms", TAGGED),
        ),
    );
    let loss = |arm| of(both, arm)?.minus(of("with synonyms", arm)?).into();
    let more = |plain: Option<Outcome>, tagged: Option<Outcome>| {
        let difference = plain?.minus(&tagged?);
        Some((
            points("further loss with synonyms", Better::Higher),
            difference,
        ))
    };
    add(
        "Without tag augmentation, other words fail",
        "paper, ablation",
        Bound::Above(0.0),
        more(loss(PLAIN), loss(TAGGED)),
    );
    claims
}
