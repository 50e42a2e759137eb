//! Percentile bootstrap over clusters.

use super::statistics::Interval;
use crate::rng::Rng;

/// The 95 % percentile interval of a statistic when clusters, such as records that several values come from, are drawn again
/// with replacement. `statistic` gets the numbers of the drawn clusters, as many as there are; what it calls NaN is left out.
/// None without clusters or finite values.
pub fn bootstrap(
    clusters: usize,
    draws: usize,
    rng: &mut Rng,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Option<Interval> {
    if clusters == 0 {
        return None;
    }
    let mut drawn = vec![0; clusters];
    let mut values = Vec::with_capacity(draws);
    for _ in 0..draws {
        drawn.fill_with(|| rng.below(clusters));
        values.push(statistic(&drawn));
    }
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    Some(Interval {
        low: quantile(&values, 0.025)?,
        high: quantile(&values, 0.975)?,
    })
}

/// The quantile of sorted values, with linear interpolation; none of nothing.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share.clamp(0.0, 1.0) * (sorted.len().checked_sub(1)?) as f64;
    let (low, rest) = (at.floor() as usize, at.fract());
    let high = sorted[(low + 1).min(sorted.len() - 1)];
    Some(sorted[low] + rest * (high - sorted[low]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_near_the_normal_one() {
        let mut rng = Rng::new(4);
        let values: Vec<f64> = (0..400).map(|_| f64::from(rng.normal())).collect();
        let mean = |drawn: &[usize]| drawn.iter().map(|&at| values[at]).sum::<f64>() / 400.0;
        let all: Vec<usize> = (0..400).collect();
        let interval = bootstrap(400, 2000, &mut rng, mean).unwrap();
        let middle = mean(&all);
        for end in [interval.low, interval.high] {
            // 1.96/√400
            assert!(((end - middle).abs() - 0.098).abs() < 0.015, "{interval:?}");
        }
        assert_eq!(bootstrap(0, 10, &mut rng, |_| 0.0), None);
        assert_eq!(quantile(&[1.0, 3.0], 0.25), Some(1.5));
    }
}
