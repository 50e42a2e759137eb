//! The whole analysis of a study's ratings.

use std::collections::{BTreeMap, BTreeSet};

use base::numerics::statistics::Interval;
use base::numerics::{cohens_d, holm, mann_whitney, quantile};
use serde::Serialize;

use super::super::SystemError;
use super::super::indicators::Measured;
use super::super::rank::{Aggregate, Scale, rank};
use super::agree::{IndicatorAgreement, against_indicators, agreement};
use super::compare::participant_means;
use super::{Agreement, CONDITIONS, Comparison, Participant, Preregistration, Rating, compare};

/// Somebody whose ratings do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// The participant.
    pub participant: String,
    /// By which rule.
    pub reason: String,
}

/// What seeing the context changes, between participants.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionDifference {
    /// The aspect.
    pub aspect: String,
    /// The configuration.
    pub config: String,
    /// Cohen's d of participants' means, with context against without.
    pub d: Option<f64>,
    /// Its 95 % interval.
    pub d_interval: Option<Interval>,
    /// Mann–Whitney over participants' means.
    pub p: f64,
    /// Holm-corrected over configurations.
    pub p_holm: f64,
}

/// A configuration's mean rank by people and by indicators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranks {
    /// The configuration.
    pub config: String,
    /// Mean rank over the aspects, 1 the best.
    pub human: f64,
    /// Mean rank over the indicators; none without them.
    pub algorithmic: Option<f64>,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// SHA-256 of the pre-registration.
    pub prereg_sha: String,
    /// The registered level of significance.
    pub alpha: f64,
    /// Participants that were registered.
    pub planned_participants: usize,
    /// What the study is called.
    pub title: String,
    /// Whether the ratings were simulated.
    pub simulated: bool,
    /// Participants that count.
    pub participants: usize,
    /// Ratings that count.
    pub ratings: usize,
    /// Those who do not.
    pub excluded: Vec<Excluded>,
    /// Everybody.
    pub comparisons: Vec<Comparison>,
    /// What seeing the context changes.
    pub conditions: Vec<ConditionDifference>,
    /// Which subgroup, and its comparisons.
    pub subgroup: Option<(String, Vec<Comparison>)>,
    /// Agreement of raters.
    pub agreement: Vec<Agreement>,
    /// Ratings and indicators.
    pub indicators: Vec<IndicatorAgreement>,
    /// Both rankings.
    pub ranks: Vec<Ranks>,
}

/// Analyses ratings as the pre-registration says. `measured` are the indicators of the replies, where there are any.
///
/// # Errors
/// [`SystemError::Input`]: nobody is left, or the baseline was not rated.
pub fn analyse(
    ratings: &[Rating],
    participants: &[Participant],
    prereg: &Preregistration,
    measured: &[Measured],
) -> Result<Analysis, SystemError> {
    let excluded = excluded(ratings, participants, prereg);
    let out: BTreeSet<&str> = excluded.iter().map(|it| it.participant.as_str()).collect();
    let kept = ratings
        .iter()
        .filter(|it| !out.contains(it.participant.as_str()));
    let kept: Vec<&Rating> = kept.collect();
    if kept.is_empty() {
        return Err(SystemError::input(
            "the exclusion rules leave nobody: see `participants.csv` and the rules of the pre-registration",
        ));
    }
    if !kept.iter().any(|it| it.config == prereg.baseline) {
        return Err(SystemError::Input(format!(
            "no rating is one of the baseline `{}`: name the right one in the pre-registration",
            prereg.baseline
        )));
    }
    let people: BTreeSet<&str> = kept.iter().map(|it| it.participant.as_str()).collect();
    let subgroup = (!prereg.subgroup.is_empty() && !participants.is_empty()).then(|| {
        let fits = |it: &&Participant| {
            prereg
                .subgroup
                .iter()
                .all(|(key, value)| it.covariates.get(key) == Some(value))
        };
        let chosen: BTreeSet<&str> = participants
            .iter()
            .filter(fits)
            .map(|it| it.participant.as_str())
            .collect();
        let of = kept
            .iter()
            .copied()
            .filter(|it| chosen.contains(it.participant.as_str()));
        let name: Vec<String> = prereg
            .subgroup
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let all: Vec<&Rating> = of.collect();
        (
            name.join(", "),
            compare(&all, &prereg.baseline, prereg.primary),
        )
    });
    Ok(Analysis {
        prereg_sha: prereg.sha.clone(),
        alpha: prereg.alpha,
        planned_participants: prereg.planned_participants,
        title: prereg.title.clone(),
        simulated: people.iter().any(|it| it.starts_with("simulated")),
        participants: people.len(),
        ratings: kept.len(),
        comparisons: compare(&kept, &prereg.baseline, prereg.primary),
        conditions: condition_differences(&kept),
        subgroup,
        agreement: agreement(&kept),
        indicators: against_indicators(&kept, measured),
        ranks: ranks(&kept, measured),
        excluded,
    })
}

fn excluded(
    ratings: &[Rating],
    participants: &[Participant],
    prereg: &Preregistration,
) -> Vec<Excluded> {
    /// Seconds and check of each item.
    type Items<'a> = BTreeMap<(&'a str, &'a str), (f64, Option<bool>)>;
    let mut people: BTreeMap<&str, Items<'_>> = BTreeMap::new();
    for it in ratings {
        let items = people.entry(it.participant.as_str()).or_default();
        items.insert(
            (it.record.as_str(), it.config.as_str()),
            (it.seconds, it.attention_ok),
        );
    }
    let rules = prereg.exclusion;
    let refused: BTreeSet<&str> = participants
        .iter()
        .filter(|it| !it.consent)
        .map(|it| it.participant.as_str())
        .collect();
    let mut found = Vec::new();
    for (participant, items) in people {
        let checks: Vec<bool> = items.values().filter_map(|it| it.1).collect();
        let passed = checks.iter().filter(|it| **it).count() as f64 / checks.len() as f64;
        let mut seconds: Vec<f64> = items.values().map(|it| it.0).collect();
        seconds.sort_by(f64::total_cmp);
        let median = quantile(&seconds, 0.5).unwrap_or(0.0);
        let reason = if refused.contains(participant) {
            "no consent".to_owned()
        } else if items.len() < rules.min_items {
            format!("{} items of at least {}", items.len(), rules.min_items)
        } else if passed < rules.min_attention {
            format!("{:.0} % of the attention checks passed", 100.0 * passed)
        } else if median < rules.min_seconds {
            format!("{median:.1} s an item")
        } else {
            continue;
        };
        found.push(Excluded {
            participant: participant.to_owned(),
            reason,
        });
    }
    found
}

fn condition_differences(ratings: &[&Rating]) -> Vec<ConditionDifference> {
    let aspects: BTreeSet<&str> = ratings.iter().map(|it| it.aspect.as_str()).collect();
    let configs: BTreeSet<&str> = ratings.iter().map(|it| it.config.as_str()).collect();
    let mut found = Vec::new();
    for aspect in aspects {
        let mut of_aspect = Vec::new();
        for config in &configs {
            let means = CONDITIONS.map(|condition| {
                let chosen = ratings.iter().copied();
                let chosen = chosen.filter(|it| it.aspect == aspect && it.condition == condition);
                let chosen: Vec<&Rating> = chosen.collect();
                participant_means(&chosen, config)
                    .into_values()
                    .collect::<Vec<f64>>()
            });
            let [with, without] = &means;
            if let Some(test) = mann_whitney(with, without) {
                let d = cohens_d(with, without);
                of_aspect.push(ConditionDifference {
                    aspect: aspect.to_owned(),
                    config: (*config).to_owned(),
                    d: d.map(|it| it.0),
                    d_interval: d.map(|it| it.1),
                    p: test.p,
                    p_holm: 1.0,
                });
            }
        }
        let p: Vec<f64> = of_aspect.iter().map(|it| it.p).collect();
        for (it, corrected) in of_aspect.iter_mut().zip(holm(&p)) {
            it.p_holm = corrected;
        }
        found.extend(of_aspect);
    }
    found
}

fn ranks(ratings: &[&Rating], measured: &[Measured]) -> Vec<Ranks> {
    let configs: BTreeSet<&str> = ratings.iter().map(|it| it.config.as_str()).collect();
    let configs: Vec<&str> = configs.into_iter().collect();
    let aspects: BTreeSet<&str> = ratings.iter().map(|it| it.aspect.as_str()).collect();
    let mean = |values: Vec<f64>| {
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let human = aspects.iter().map(|aspect| Scale {
        name: (*aspect).to_owned(),
        more_is_better: *aspect != "artificiality",
        values: configs
            .iter()
            .map(|config| {
                let of = ratings
                    .iter()
                    .filter(|it| it.config == *config && it.aspect == *aspect);
                mean(of.map(|it| it.value as f64).collect())
            })
            .collect(),
    });
    let indicators = super::super::indicators::PANELS
        .iter()
        .filter_map(|(name, more, columns)| {
            let column = columns.iter().find(|column| {
                measured
                    .iter()
                    .any(|it| super::super::indicators::value(it, column).is_some())
            })?;
            let of = |config: &&str| {
                let chosen = measured.iter().filter(|it| it.config == **config);
                mean(
                    chosen
                        .filter_map(|it| super::super::indicators::value(it, column))
                        .collect(),
                )
            };
            Some(Scale {
                name: (*name).to_owned(),
                more_is_better: *more,
                values: configs.iter().map(of).collect(),
            })
        });
    let indicators: Vec<Scale> = indicators.collect();
    let human = rank(configs.len(), &human.collect::<Vec<_>>(), Aggregate::Borda);
    let algorithmic = rank(configs.len(), &indicators, Aggregate::Borda);
    let found = human.iter().map(|it| Ranks {
        config: configs[it.at].to_owned(),
        human: it.score,
        algorithmic: algorithmic
            .iter()
            .find(|other| other.at == it.at)
            .map(|it| it.score)
            .filter(|it| it.is_finite()),
    });
    found.collect()
}
