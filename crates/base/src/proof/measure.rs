//! What was measured: values seed by seed, their mean and its 95 % interval.

use serde::{Deserialize, Serialize};

use crate::numerics::statistics::{Interval, mean, student, wilson};

/// Which way a measure should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// It should meet a value that the measure's text names.
    Near,
}

/// How a measure is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share in `[0, 1]`, printed in percent.
    Share,
    /// A count, printed whole.
    Count,
    /// A ratio or distance, printed with three digits.
    Number,
    /// Decibels.
    Decibel,
}

impl Unit {
    /// `value` in this unit.
    pub fn show(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => "–".to_owned(),
            Self::Share => format!("{:.1} %", 100.0 * value),
            Self::Count => format!("{value:.0}"),
            Self::Number if value.abs() < 10.0 => format!("{value:.3}"),
            Self::Number => format!("{value:.1}"),
            Self::Decibel => format!("{value:.1} dB"),
        }
    }
}

/// `hits` of `of` trials with one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Share {
    /// The seed.
    pub seed: u64,
    /// Trials that succeeded.
    pub hits: usize,
    /// All trials.
    pub of: usize,
}

impl Share {
    /// The share; NaN without trials.
    pub fn value(&self) -> f64 {
        self.hits as f64 / self.of as f64
    }
}

/// One value of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Value {
    /// The seed.
    pub seed: u64,
    /// What was measured with it.
    pub value: f64,
    /// Trials behind a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
}

/// How an interval was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Student's t over the seeds.
    Student,
    /// Wilson's score interval over all trials.
    Wilson,
    /// Nothing is drawn: the value is exact, and so is its interval.
    Exact,
    /// Given by whoever measured, such as a bootstrap over items.
    Given,
}

/// What a measure gave for one arm.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Outcome {
    /// The arm's name.
    pub arm: String,
    /// Seed by seed.
    pub values: Vec<Value>,
    /// The mean over seeds; of shares, all hits over all trials.
    pub mean: f64,
    /// The 95 % interval of the mean; absent where there is too little to make one.
    pub interval: Option<Interval>,
    /// How the interval was made.
    pub method: Option<Method>,
}

impl Outcome {
    /// Numbers, one a seed; Student's interval.
    pub fn numbers(arm: &str, values: &[(u64, f64)]) -> Self {
        let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        let interval = student(&numbers);
        Self {
            arm: arm.to_owned(),
            values: values
                .iter()
                .map(|&(seed, value)| Value {
                    seed,
                    value,
                    of: None,
                })
                .collect(),
            mean: mean(&numbers),
            interval,
            method: interval.map(|_| Method::Student),
        }
    }

    /// A value that no draw changes.
    pub fn exact(arm: &str, value: f64) -> Self {
        Self {
            interval: Some(Interval {
                low: value,
                high: value,
            }),
            method: Some(Method::Exact),
            ..Self::numbers(arm, &[(0, value)])
        }
    }

    /// A value with an interval of its own, such as a bootstrap over items.
    pub fn given(arm: &str, value: f64, interval: Interval) -> Self {
        Self {
            interval: Some(interval),
            method: Some(Method::Given),
            ..Self::numbers(arm, &[(0, value)])
        }
    }

    /// The difference `self − other`, paired by seed; Student's interval over the pairs.
    pub fn minus(&self, other: &Self) -> Self {
        let pairs: Vec<(u64, f64)> = self
            .values
            .iter()
            .filter_map(|a| {
                let b = other.values.iter().find(|b| b.seed == a.seed)?;
                Some((a.seed, a.value - b.value))
            })
            .collect();
        Self::numbers(&format!("{} − {}", self.arm, other.arm), &pairs)
    }

    /// Shares of one and the same model, whose trials are independent across seeds; Wilson's interval.
    pub fn shares(arm: &str, shares: &[Share]) -> Self {
        let (hits, of) = pooled(shares);
        let interval = wilson(hits, of);
        Self {
            arm: arm.to_owned(),
            values: shares
                .iter()
                .map(|share| Value {
                    seed: share.seed,
                    value: share.value(),
                    of: Some(share.of),
                })
                .collect(),
            mean: hits as f64 / of as f64,
            interval,
            method: interval.map(|_| Method::Wilson),
        }
    }

    /// Shares of models trained anew with each seed: the seeds are the sample, so Student's interval; Wilson's over
    /// the trials of a single seed, which then says nothing about other trainings.
    pub fn trained_shares(arm: &str, shares: &[Share]) -> Self {
        let numbers: Vec<f64> = shares.iter().map(Share::value).collect();
        let Some(interval) = student(&numbers) else {
            return Self::shares(arm, shares);
        };
        let within = |end: f64| end.clamp(0.0, 1.0);
        Self {
            mean: mean(&numbers),
            interval: Some(Interval {
                low: within(interval.low),
                high: within(interval.high),
            }),
            method: Some(Method::Student),
            ..Self::shares(arm, shares)
        }
    }
}

/// Hits and trials of all seeds.
pub(super) fn pooled(shares: &[Share]) -> (usize, usize) {
    let sum = |f: fn(&Share) -> usize| shares.iter().map(f).sum();
    (sum(|share| share.hits), sum(|share| share.of))
}

/// Something measured for some or all arms of an experiment.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Measure {
    /// A few words, the head of its column.
    pub name: String,
    /// How it was measured, in a sentence.
    pub about: String,
    /// Which way it should go.
    pub better: Better,
    /// How it is printed.
    pub unit: Unit,
    /// What came out.
    pub outcomes: Vec<Outcome>,
}

impl Measure {
    /// A measure without outcomes yet.
    pub fn new(name: &str, about: &str, better: Better, unit: Unit) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            better,
            unit,
            outcomes: Vec::new(),
        }
    }

    /// A number of which more is better.
    pub fn higher(name: &str, about: &str) -> Self {
        Self::new(name, about, Better::Higher, Unit::Number)
    }

    /// A number of which less is better.
    pub fn lower(name: &str, about: &str) -> Self {
        Self::new(name, about, Better::Lower, Unit::Number)
    }

    /// A share of which more is better.
    pub fn share(name: &str, about: &str) -> Self {
        Self::new(name, about, Better::Higher, Unit::Share)
    }

    /// The outcome of an arm.
    pub fn of(&self, arm: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.arm == arm)
    }

    /// "83.0 % [78.1, 87.2]" for an arm; "–" where it was not measured.
    pub fn show(&self, arm: &str) -> String {
        self.of(arm)
            .map_or_else(|| "–".to_owned(), |outcome| self.cell(outcome))
    }

    /// An outcome in this measure's unit, with its interval.
    pub fn cell(&self, outcome: &Outcome) -> String {
        let mean = self.unit.show(outcome.mean);
        match outcome.interval {
            Some(Interval { low, high }) => {
                format!("{mean} [{}, {}]", self.bare(low), self.bare(high))
            }
            None => mean,
        }
    }

    /// A number without its unit.
    fn bare(&self, value: f64) -> String {
        let text = self.unit.show(value);
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn share(seed: u64, hits: usize) -> Share {
        Share {
            seed,
            hits,
            of: 100,
        }
    }

    #[test]
    fn one_model_pools_its_trials_and_several_trainings_do_not() {
        let shares = [share(0, 80), share(1, 90), share(2, 100)];
        let one = Outcome::shares("a", &shares);
        assert_eq!((one.mean, one.method), (0.9, Some(Method::Wilson)));
        let trained = Outcome::trained_shares("a", &shares);
        assert_eq!(trained.method, Some(Method::Student));
        let (one, several) = (one.interval.unwrap(), trained.interval.unwrap());
        assert!(several.low < one.low && several.high == 1.0);
        let single = Outcome::trained_shares("a", &shares[..1]);
        assert_eq!(single.method, Some(Method::Wilson));
    }

    #[test]
    fn cells_carry_mean_and_interval() {
        let mut measure = Measure::new("right", "", Better::Higher, Unit::Share);
        measure.outcomes = vec![Outcome::shares("a", &[share(0, 50)])];
        assert_eq!(measure.show("a"), "50.0 % [40.4, 59.6]");
        assert_eq!(measure.show("b"), "–");
        let mut measure = Measure::new("passes", "", Better::Lower, Unit::Count);
        measure.outcomes = vec![Outcome::numbers("a", &[(0, 100.0)])];
        assert_eq!(measure.show("a"), "100");
    }
}
