//! Every configuration against the baseline.

use std::collections::{BTreeMap, BTreeSet};

use base::numerics::statistics::{Interval, mean};
use base::numerics::{
    Coefficient, cliffs_delta, cohens_d, holm, mann_whitney, mixed_model, wilcoxon,
};
use serde::Serialize;

use super::{Primary, Rating};

/// A configuration against the baseline, in one aspect and condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The aspect.
    pub aspect: String,
    /// The condition.
    pub condition: String,
    /// The configuration.
    pub config: String,
    /// Ratings of it.
    pub ratings: usize,
    /// Their mean.
    pub mean: f64,
    /// Mean of the baseline's ratings.
    pub baseline: f64,
    /// Cohen's d of the ratings.
    pub d: Option<f64>,
    /// Its 95 % interval.
    pub d_interval: Option<Interval>,
    /// Cliff's delta of the ratings.
    pub delta: Option<f64>,
    /// Mann–Whitney over single ratings, taken as independent.
    pub p_mann_whitney: Option<f64>,
    /// Wilcoxon over participants' means.
    pub p_wilcoxon: Option<f64>,
    /// The mixed model's difference, intercepts for participants and messages.
    pub mixed: Option<f64>,
    /// Its standard error.
    pub mixed_error: Option<f64>,
    /// Its p.
    pub p_mixed: Option<f64>,
    /// p of the test that decides, Holm-corrected over configurations.
    pub p_holm: Option<f64>,
}

impl Comparison {
    /// The p that decides, not corrected.
    pub fn p(&self, primary: Primary) -> Option<f64> {
        match primary {
            Primary::Mixed => self.p_mixed,
            Primary::Wilcoxon => self.p_wilcoxon,
            Primary::MannWhitney => self.p_mann_whitney,
        }
    }

    /// `***` below .01, `**` below .05, `*` below .1, as in the paper's figures.
    pub fn stars(&self) -> &'static str {
        match self.p_holm {
            Some(p) if p < 0.01 => "***",
            Some(p) if p < 0.05 => "**",
            Some(p) if p < 0.1 => "*",
            _ => "",
        }
    }
}

/// Compares every configuration with `baseline`, one aspect and condition after the other.
pub fn compare(ratings: &[&Rating], baseline: &str, primary: Primary) -> Vec<Comparison> {
    let mut cells: BTreeMap<(&str, &str), Vec<&Rating>> = BTreeMap::new();
    for rating in ratings {
        let key = (rating.aspect.as_str(), rating.condition.as_str());
        cells.entry(key).or_default().push(rating);
    }
    let each = cells
        .into_values()
        .map(|cell| compare_cell(&cell, baseline, primary));
    each.flatten().collect()
}

fn compare_cell(cell: &[&Rating], baseline: &str, primary: Primary) -> Vec<Comparison> {
    let values = |config: &str| -> Vec<f64> {
        let of = cell.iter().filter(|it| it.config == config);
        of.map(|it| it.value as f64).collect()
    };
    let base = values(baseline);
    let configs: BTreeSet<&str> = cell.iter().map(|it| it.config.as_str()).collect();
    let configs: Vec<&str> = configs.into_iter().filter(|it| *it != baseline).collect();
    let (Some(first), false) = (cell.first(), base.is_empty()) else {
        return Vec::new();
    };
    let coefficients = coefficients(cell, &configs);
    let base_means = participant_means(cell, baseline);
    let mut found: Vec<Comparison> = Vec::new();
    for (at, config) in configs.iter().enumerate() {
        let values = values(config);
        let d = cohens_d(&values, &base);
        let means = participant_means(cell, config);
        let pairs = means
            .iter()
            .filter_map(|(who, mean)| Some(mean - base_means.get(who)?));
        let differences: Vec<f64> = pairs.collect();
        let mixed = coefficients.as_ref().and_then(|all| all.get(at + 1));
        found.push(Comparison {
            aspect: first.aspect.clone(),
            condition: first.condition.clone(),
            config: (*config).to_owned(),
            ratings: values.len(),
            mean: mean(&values),
            baseline: mean(&base),
            d: d.map(|it| it.0),
            d_interval: d.map(|it| it.1),
            delta: cliffs_delta(&values, &base),
            p_mann_whitney: mann_whitney(&values, &base).map(|it| it.p),
            // No difference at all: nothing speaks against "no difference".
            p_wilcoxon: match differences.is_empty() {
                true => None,
                false => Some(wilcoxon(&differences).map_or(1.0, |it| it.p)),
            },
            mixed: mixed.map(|it| it.estimate),
            mixed_error: mixed.map(|it| it.error),
            p_mixed: mixed.map(|it| it.p),
            p_holm: None,
        });
    }
    let tested: Vec<(usize, f64)> = found
        .iter()
        .enumerate()
        .filter_map(|(at, it)| Some((at, it.p(primary)?)))
        .collect();
    let corrected = holm(&tested.iter().map(|it| it.1).collect::<Vec<f64>>());
    for ((at, _), p) in tested.iter().zip(corrected) {
        found[*at].p_holm = Some(p);
    }
    found
}

/// Each participant's mean rating of a configuration.
pub(super) fn participant_means<'a>(
    ratings: &[&'a Rating],
    config: &str,
) -> BTreeMap<&'a str, f64> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for rating in ratings.iter().filter(|it| it.config == config) {
        let sum = sums.entry(rating.participant.as_str()).or_default();
        *sum = (sum.0 + rating.value as f64, sum.1 + 1.0);
    }
    let means = sums
        .into_iter()
        .map(|(who, (sum, count))| (who, sum / count));
    means.collect()
}

/// Coefficients of `rating ~ configuration + (1|participant) + (1|message)`: the intercept, then one a configuration.
fn coefficients(cell: &[&Rating], configs: &[&str]) -> Option<Vec<Coefficient>> {
    let columns = configs.len() + 1;
    let mut x = Vec::with_capacity(cell.len() * columns);
    for rating in cell {
        x.push(1.0);
        x.extend(
            configs
                .iter()
                .map(|config| f64::from(u8::from(rating.config == *config))),
        );
    }
    let y: Vec<f64> = cell.iter().map(|it| it.value as f64).collect();
    let participants = numbered(cell.iter().map(|it| it.participant.as_str()));
    let messages = numbered(cell.iter().map(|it| it.record.as_str()));
    // A factor of one group is the intercept again.
    let factors: Vec<&[usize]> = [&participants, &messages]
        .into_iter()
        .filter(|groups| groups.iter().any(|group| *group > 0))
        .map(Vec::as_slice)
        .collect();
    mixed_model(&x, columns, &y, &factors).map(|model| model.fixed)
}

/// Names as numbers, in the order in which they come.
fn numbered<'a>(names: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    names
        .map(|name| {
            let next = known.len();
            *known.entry(name).or_insert(next)
        })
        .collect()
}
