//! What the embedded picture model is to reach.

use base::proof::{Claim, Measure};

const SOURCE: &str = "Orrery's target for the embedded model";
/// Titles of claims, what would show them, and the least shares of subject and style, for trained and held-out pairs.
pub(super) type Goals = [(&'static str, &'static str, [f64; 2]); 2];

pub(super) const OF_ALL: Goals = [
    (
        "Asked for a trained pair of any of 993 subjects, the picture model draws the right subject in the right style",
        "subject ≥ 80 % and style ≥ 90 % of 200 trained pairs (chance 0.1 % and 33 %)",
        [0.80, 0.90],
    ),
    (
        "It also draws pairs of subject and style that it never saw together",
        "subject ≥ 30 % and style ≥ 75 % of the held-out pairs (chance 0.1 % and 33 %)",
        [0.30, 0.75],
    ),
];

pub(super) const OF_RECOGNISED: Goals = [
    (
        "Of the 120 subjects that people recognise at this size, it draws trained pairs right",
        "subject ≥ 90 % and style ≥ 95 % of 200 trained pairs, the judge choosing among these subjects (chance 1 % and 33 %)",
        [0.90, 0.95],
    ),
    (
        "Of those subjects, it also draws pairs that it never saw together",
        "subject ≥ 35 % and style ≥ 75 % of their held-out pairs (chance 1 % and 33 %)",
        [0.35, 0.75],
    ),
];

/// Whether `measures`, subject and style of trained and then of held-out pairs, reach `goals` with the arm `arm`.
pub(super) fn claims(goals: &Goals, measures: &[Measure], arm: &str) -> Vec<Claim> {
    let claim = |(set, (title, shown_by, least)): (usize, &(&str, &str, [f64; 2]))| {
        let [subject, style] = [0, 1].map(|what| &measures[2 * set + what]);
        let met = |measure: &Measure, least: f64| {
            measure.of(arm).is_some_and(|outcome| outcome.mean >= least)
        };
        let met = met(subject, least[0]) && met(style, least[1]);
        let evidence = format!(
            "{arm}: subject {}, style {}",
            subject.show(arm),
            style.show(arm)
        );
        Claim::settled([*title, *shown_by], SOURCE, met, evidence)
    };
    goals.iter().enumerate().map(claim).collect()
}
