//! Detection metrics (section 8 of the specification): risky is positive, the score is P(risk).

use base::numerics::statistics::Interval;
use base::rng::Rng;
use serde::Serialize;

/// False-positive rates whose region has metrics of its own (paper, table of low false-positive regions).
pub const LOW_RATES: [f64; 3] = [0.1, 0.01, 0.001];

/// The region of the ROC curve up to a false-positive rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LowRate {
    /// The rate.
    pub fpr: f64,
    /// The area under the curve up to it, divided by it.
    pub auc: f64,
    /// The recall there, interpolated.
    pub recall: f64,
    /// The recall of the last threshold that does not exceed it.
    pub recall_step: f64,
}

/// All metrics. Those that need both classes are absent where there is only one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// Items.
    pub items: u64,
    /// Risky ones.
    pub risky: u64,
    /// Area under the ROC curve; ties count half.
    pub auc: Option<f64>,
    /// Average precision, the step sum over recall.
    pub auprc: Option<f64>,
    /// At the threshold.
    pub f1: f64,
    /// At the threshold; absent without risky items.
    pub recall: Option<f64>,
    /// At the threshold; 0 when nothing is flagged.
    pub precision: f64,
    /// False positives among harmless items at the threshold.
    pub false_positive_rate: Option<f64>,
    /// Mean of both classes' recalls.
    pub balanced_accuracy: Option<f64>,
    /// Right ones among all.
    pub accuracy: f64,
    /// Mean of both classes' F1.
    pub f1_macro: f64,
    /// Low false-positive regions.
    pub low_rates: Vec<LowRate>,
}

/// Scored items, the highest score first.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Score and whether it is risky.
    items: Vec<(f64, bool)>,
}

impl Scored {
    /// Items of equally long lists; the rest of a longer one is left out.
    pub fn new(scores: &[f64], risky: &[bool]) -> Self {
        let mut items: Vec<(f64, bool)> =
            scores.iter().copied().zip(risky.iter().copied()).collect();
        items.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self { items }
    }

    /// The metrics at `threshold`; scores above it are flagged.
    pub fn metrics(&self, threshold: f64) -> Metrics {
        self.weighted(threshold, &vec![1; self.items.len()])
    }

    /// False-positive rate, recall and threshold of every distinct score, from none flagged to all.
    pub fn roc(&self) -> Vec<[f64; 3]> {
        let curve = self.curve(&vec![1; self.items.len()]);
        let [positive, negative] = curve
            .last()
            .map_or([0.0; 2], |point| [point.hits, point.alarms]);
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { f64::NAN };
        let points = curve.iter();
        points
            .map(|p| [share(p.alarms, negative), share(p.hits, positive), p.score])
            .collect()
    }

    /// The 95 % interval of a metric: percentiles of `resamples` bootstrap resamples of the items; none where the metric
    /// is absent in most of them.
    pub fn bootstrap(
        &self,
        threshold: f64,
        resamples: usize,
        rng: &Rng,
        metric: impl Fn(&Metrics) -> Option<f64>,
    ) -> Option<Interval> {
        let all = self.resampled(threshold, resamples, rng);
        interval(all.iter().filter_map(metric).collect(), resamples)
    }

    /// The metrics of bootstrap resamples.
    pub fn resampled(&self, threshold: f64, resamples: usize, rng: &Rng) -> Vec<Metrics> {
        let draw = |index: usize| {
            let mut rng = rng.item(index as u64);
            let mut weights = vec![0u32; self.items.len()];
            for _ in 0..self.items.len() {
                if let Some(weight) = weights.get_mut(rng.below(self.items.len())) {
                    *weight += 1;
                }
            }
            self.weighted(threshold, &weights)
        };
        (0..resamples).map(draw).collect()
    }

    /// A threshold above which at most a share `fpr` of the harmless items lies: half-way between two scores, or the highest
    /// score where even that one is too many. None without harmless items.
    pub fn threshold_at(&self, fpr: f64) -> Option<f64> {
        let roc = self.roc();
        let last = roc.iter().rposition(|[rate, ..]| *rate <= fpr)?;
        let [at, next] = [last, last + 1].map(|at| roc.get(at).map_or(0.0, |[.., score]| *score));
        Some(if at.is_finite() {
            (at + next) / 2.0
        } else {
            next
        })
    }

    fn curve(&self, weights: &[u32]) -> Vec<Point> {
        let mut curve = vec![Point {
            score: f64::INFINITY,
            hits: 0.0,
            alarms: 0.0,
        }];
        let (mut hits, mut alarms) = (0.0, 0.0);
        for (index, ((score, risky), weight)) in self.items.iter().zip(weights).enumerate() {
            match risky {
                true => hits += f64::from(*weight),
                false => alarms += f64::from(*weight),
            }
            let next = self.items.get(index + 1);
            if next.is_none_or(|(next, _)| next != score) {
                curve.push(Point {
                    score: *score,
                    hits,
                    alarms,
                });
            }
        }
        curve
    }

    fn weighted(&self, threshold: f64, weights: &[u32]) -> Metrics {
        let curve = self.curve(weights);
        let [positive, negative] = curve
            .last()
            .map_or([0.0; 2], |point| [point.hits, point.alarms]);
        let flagged = curve.iter().rfind(|point| point.score > threshold);
        let [hits, alarms] = flagged.map_or([0.0; 2], |point| [point.hits, point.alarms]);
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let f1 = |right: f64, wrong: f64| share(2.0 * right, 2.0 * right + wrong).unwrap_or(0.0);
        let (misses, quiet) = (positive - hits, negative - alarms);
        let recall = share(hits, positive);
        let specificity = share(quiet, negative);
        let both = positive > 0.0 && negative > 0.0;
        Metrics {
            items: (positive + negative) as u64,
            risky: positive as u64,
            auc: both.then(|| area(&curve, f64::INFINITY) / (positive * negative)),
            auprc: both.then(|| average_precision(&curve, positive)),
            f1: f1(hits, alarms + misses),
            recall,
            precision: share(hits, hits + alarms).unwrap_or(0.0),
            false_positive_rate: share(alarms, negative),
            balanced_accuracy: recall.zip(specificity).map(|(a, b)| (a + b) / 2.0),
            accuracy: share(hits + quiet, positive + negative).unwrap_or(f64::NAN),
            f1_macro: (f1(hits, alarms + misses) + f1(quiet, alarms + misses)) / 2.0,
            low_rates: if both {
                LOW_RATES
                    .iter()
                    .map(|&fpr| low_rate(&curve, fpr, positive, negative))
                    .collect()
            } else {
                Vec::new()
            },
        }
    }
}

/// Flagged so far when everything from `score` on is.
#[derive(Clone, Copy, Debug)]
struct Point {
    score: f64,
    hits: f64,
    alarms: f64,
}

/// The area under hits over alarms up to `limit` alarms, by trapezoids.
fn area(curve: &[Point], limit: f64) -> f64 {
    let mut sum = 0.0;
    for pair in curve.windows(2) {
        let [a, b] = [pair[0], pair[1]];
        if a.alarms >= limit {
            break;
        }
        let end = if b.alarms > limit {
            between(a, b, limit)
        } else {
            b
        };
        sum += (end.alarms - a.alarms) * (a.hits + end.hits) / 2.0;
    }
    sum
}

/// The point at `alarms` on the line from `a` to `b`.
fn between(a: Point, b: Point, alarms: f64) -> Point {
    let part = (alarms - a.alarms) / (b.alarms - a.alarms);
    Point {
        score: b.score,
        hits: a.hits + part * (b.hits - a.hits),
        alarms,
    }
}

fn average_precision(curve: &[Point], positive: f64) -> f64 {
    let step = |pair: &[Point]| {
        let [a, b] = [pair[0], pair[1]];
        let flagged = b.hits + b.alarms;
        if flagged > 0.0 {
            (b.hits - a.hits) * b.hits / flagged
        } else {
            0.0
        }
    };
    curve.windows(2).map(step).sum::<f64>() / positive
}

fn low_rate(curve: &[Point], fpr: f64, positive: f64, negative: f64) -> LowRate {
    let limit = fpr * negative;
    let last = curve
        .iter()
        .rposition(|point| point.alarms <= limit)
        .unwrap_or(0);
    let step = curve[last];
    let at = match curve.get(last + 1) {
        Some(next) => between(step, *next, limit),
        None => step,
    };
    LowRate {
        fpr,
        auc: area(curve, limit) / positive / limit,
        recall: at.hits / positive,
        recall_step: step.hits / positive,
    }
}

/// The middle 95 % of `values`; none when fewer than half of `asked` are there.
pub fn interval(mut values: Vec<f64>, asked: usize) -> Option<Interval> {
    if values.len() * 2 < asked || values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Some(Interval {
        low: at(0.025),
        high: at(0.975),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half_and_one_class_has_recall_alone() {
        let scored = Scored::new(&[0.9, 0.5, 0.5, 0.1], &[true, true, false, false]);
        let metrics = scored.metrics(0.5);
        assert_eq!((metrics.auc, metrics.recall), (Some(0.875), Some(0.5)));
        assert_eq!(metrics.false_positive_rate, Some(0.0));
        let one = Scored::new(&[0.9, 0.2], &[true, true]).metrics(0.5);
        assert_eq!(
            (one.auc, one.recall, one.false_positive_rate),
            (None, Some(0.5), None)
        );
        assert!(Scored::new(&[], &[]).metrics(0.5).auc.is_none());
    }

    #[test]
    fn thresholds_hold_the_rate_that_was_asked_for() {
        let scores = [0.9, 0.8, 0.7, 0.6, 0.5];
        let scored = Scored::new(&scores, &[true, false, true, false, false]);
        let near = |fpr: f64, wanted: f64| {
            let found = scored.threshold_at(fpr).unwrap();
            assert!((found - wanted).abs() < 1e-12, "{fpr}: {found}");
        };
        near(0.34, 0.65);
        near(0.0, 0.85);
        near(1.0, 0.25);
        assert_eq!(Scored::new(&[0.9], &[false]).threshold_at(0.0), Some(0.9));
        assert_eq!(Scored::new(&[0.9], &[true]).threshold_at(0.0), None);
    }

    #[test]
    fn the_bootstrap_surrounds_the_value_and_repeats() {
        let scores: Vec<f64> = (0..200).map(|i| f64::from(i % 37)).collect();
        let risky: Vec<bool> = (0..200).map(|i| i % 37 + i % 11 > 22).collect();
        let scored = Scored::new(&scores, &risky);
        let auc = scored.metrics(20.0).auc.unwrap();
        let bounds = || {
            scored
                .bootstrap(20.0, 300, &Rng::new(1), |m| m.auc)
                .unwrap()
        };
        assert!(bounds().low < auc && auc < bounds().high && bounds() == bounds());
    }
}
