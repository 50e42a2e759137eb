//! Arms over positions that were scored with the true prefix, with bootstrap intervals over documents.

use base::numerics::statistics::Interval;
use base::proof::{Arm, Better, Bound, Claim, Experiment, Measure, Outcome, Unit};

use crate::harp::eval::bootstrap_ratio;
use crate::harp::{Guess, Position};

/// Positions of a document; of every seed, one after the other.
pub(super) type Document = Vec<Position>;

/// One arm: from which entropy on the model looks twice, and in which column of the mixed guesses that is.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    /// None: never.
    pub(super) look: Option<(f32, usize)>,
}

impl Rule {
    pub(super) fn vanilla() -> Self {
        Self {
            name: "vanilla".into(),
            look: None,
        }
    }

    /// Second looks above `theta` bits; below 0 at every position.
    pub(super) fn above(theta: f32, delta: f32, column: usize) -> Self {
        let when = match theta < 0.0 {
            true => "always".to_owned(),
            false => format!("θ = {theta}"),
        };
        Self {
            name: format!("δ = {delta}, {when}"),
            look: Some((theta, column)),
        }
    }

    fn looks(&self, position: &Position) -> bool {
        self.look.is_some_and(|(theta, _)| position.entropy > theta)
    }

    fn guess(&self, position: &Position) -> Guess {
        match self.look {
            Some((theta, column)) if position.entropy > theta => position.mixed[column],
            _ => position.vanilla,
        }
    }
}

fn hit(guess: Guess) -> f64 {
    f64::from(u8::from(guess.hit))
}

/// Mean of `value` over all positions, with its interval.
fn outcome(name: &str, documents: &[Document], value: impl Fn(&Position) -> f64) -> Outcome {
    let sums = documents.iter().map(|document| {
        (
            document.iter().map(&value).sum::<f64>(),
            document.len() as f64,
        )
    });
    let sums: Vec<(f64, f64)> = sums.collect();
    let (total, count) = sums
        .iter()
        .fold((0.0, 0.0), |at, it| (at.0 + it.0, at.1 + it.1));
    let [low, high] = bootstrap_ratio(&sums, 0);
    Outcome::given(name, total / count, Interval { low, high })
}

/// All arms with accuracy, loss, and what each changes beside the first one.
pub(super) fn experiment(
    title: &str,
    about: &str,
    documents: &[Document],
    rules: &[Rule],
) -> Experiment {
    let about =
        format!("{about} Intervals are bootstrapped over documents; differences are paired.");
    let mut measures = [
        Measure::share("accuracy", "best token right, given the true prefix"),
        Measure::lower("loss", "−ln p of the right token, in nats"),
        Measure::lower("loss − vanilla", "in thousandths of a nat"),
        Measure::new(
            "second looks",
            "share of positions",
            Better::Lower,
            Unit::Share,
        ),
    ];
    for rule in rules {
        let found = [
            outcome(&rule.name, documents, |it| hit(rule.guess(it))),
            outcome(&rule.name, documents, |it| rule.guess(it).loss),
            outcome(&rule.name, documents, |it| {
                1000.0 * (rule.guess(it).loss - it.vanilla.loss)
            }),
            outcome(&rule.name, documents, |it| {
                f64::from(u8::from(rule.looks(it)))
            }),
        ];
        for (measure, found) in measures.iter_mut().zip(found) {
            measure.outcomes.push(found);
        }
    }
    Experiment {
        title: title.to_owned(),
        about,
        arms: rules.iter().map(|rule| Arm::new(&rule.name, "")).collect(),
        measures: measures.into(),
    }
}

/// What would show that one arm is better than another.
pub(super) struct Comparison<'a> {
    pub(super) statement: &'a str,
    pub(super) source: &'a str,
    /// The loss must fall by this, in thousandths of a nat.
    pub(super) gain: f64,
}

/// Claims that `method` has lower loss than `baseline`, and no lower accuracy.
pub(super) fn claims(
    documents: &[Document],
    [method, baseline]: [&Rule; 2],
    comparison: &Comparison<'_>,
) -> [Claim; 2] {
    let name = format!("{} − {}", method.name, baseline.name);
    let loss = Measure::lower("difference of loss, in thousandths of a nat,", "");
    let accuracy = Measure::share("difference of accuracy", "");
    let bound = match comparison.gain {
        0.0 => Bound::Below(0.0),
        gain => Bound::AtMost(-gain),
    };
    let losses = outcome(&name, documents, |it| {
        1000.0 * (method.guess(it).loss - baseline.guess(it).loss)
    });
    let hits = outcome(&name, documents, |it| {
        hit(method.guess(it)) - hit(baseline.guess(it))
    });
    let Comparison {
        statement, source, ..
    } = comparison;
    [
        Claim::tested(
            &format!("{statement}: lower loss"),
            source,
            bound,
            (&loss, &losses),
        ),
        Claim::tested(
            &format!("{statement}: accuracy no lower"),
            source,
            Bound::AtLeast(0.0),
            (&accuracy, &hits),
        ),
    ]
}

/// The median entropy of all positions, in bits.
pub(super) fn median_entropy(documents: &[Document]) -> f32 {
    let mut all: Vec<f32> = documents.iter().flatten().map(|it| it.entropy).collect();
    all.sort_by(f32::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f32::NAN)
}
